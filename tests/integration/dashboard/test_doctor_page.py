"""What the doctor finds, on a page; mended by operators, behind a second step."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hermes_cli.home import Home
from tests.integration.dashboard.browser import Browser, Dashboard, running
from tests.integration.dashboard.pages import fields_of, send, visible

DOCTOR = "/profiles/coder/doctor"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home.of("coder", tmp_path)
    made.path.mkdir(parents=True)
    made.config.write_text("gateway:\n  port: 8700\n")
    made.env.write_text("HERMES_GATEWAY_TOKEN=correct-horse-battery-staple\n")
    made.env.chmod(0o644)
    return made


@pytest.fixture
def served(home: Home) -> Iterator[Dashboard]:
    with running(home.root) as dashboard:
        yield dashboard


def mode(home: Home) -> int:
    return home.env.stat().st_mode & 0o777


def test_it_says_what_the_command_says_and_mends_when_asked(browser: Browser, home: Home) -> None:
    page = browser.get(DOCTOR).text
    assert str(home.env) in page
    assert "Mend it" in page
    assert mode(home) == 0o644
    answer = send(browser, DOCTOR, "/fix")
    assert answer.status == 200
    assert mode(home) == 0o600
    assert "mended" in visible(answer.text)
    assert 'data-status="ok"' in answer.text


def test_a_script_gets_a_sentence_and_then_the_same_look(browser: Browser, home: Home) -> None:
    fields = fields_of(browser.get(DOCTOR).text, "/fix")
    answer = browser.post(f"{DOCTOR}/fix", fields, accept="application/json")
    assert answer.status == 200
    assert "mended" in json.loads(answer.text)["text"]
    assert json.loads(answer.text)["location"] == DOCTOR
    assert "mended" in visible(browser.get(DOCTOR).text)
    assert "mended" not in visible(browser.get(DOCTOR).text)


def test_each_look_is_a_new_one(browser: Browser, home: Home) -> None:
    assert str(home.env) in browser.get(DOCTOR).text
    home.env.chmod(0o600)
    (home.root / "profiles" / "<b>bad").mkdir()
    page = browser.get(DOCTOR).text
    assert str(home.env) not in page
    assert "bad" in visible(page)
    assert "<b>bad" not in page


def test_a_form_that_is_not_ours_mends_nothing(browser: Browser, home: Home) -> None:
    assert browser.post(f"{DOCTOR}/fix", {}).status == 403
    assert mode(home) == 0o644
