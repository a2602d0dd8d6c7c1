"""The configuration on its page: changed as text, checked before it is saved, without its secrets."""

from __future__ import annotations

from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from hermes_cli.home import Home
from tests.integration.dashboard.browser import Browser, Dashboard, running
from tests.integration.dashboard.pages import fields_of, visible

CONFIG = "/profiles/coder/config"
TEXT = "# <mine> & yours\ngateway:\n  port: 8700  # as agreed\n"
TOKEN = "correct-horse-battery-staple"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home.of("coder", tmp_path)
    made.path.mkdir(parents=True)
    made.config.write_text(TEXT)
    made.env.write_text(f"HERMES_GATEWAY_TOKEN={TOKEN}\n")
    made.env.chmod(0o600)
    return made


@pytest.fixture
def served(home: Home) -> Iterator[Dashboard]:
    with running(home.root) as dashboard:
        yield dashboard


def shown(page: str) -> str:
    """What the editor holds; of the first line break HTML takes one."""
    return unescape(
        page.partition('name="text"')[2].partition(">")[2].partition("</textarea>")[0]
    ).removeprefix("\n")


def test_the_text_is_changed_with_its_comments(browser: Browser, home: Home) -> None:
    page = browser.get(CONFIG).text
    assert shown(page) == TEXT
    assert TOKEN not in page
    new = TEXT.replace("8700", "8701")
    # As a browser sends it (WHATWG HTML, form-data set: line breaks are CR LF).
    sent = {**fields_of(page, CONFIG), "text": new.replace("\n", "\r\n")}
    answer = browser.post(CONFIG, sent)
    assert (answer.status, answer.headers["location"]) == (303, f"{CONFIG}?saved=1")
    assert home.config.read_text() == new
    after = browser.get(answer.headers["location"]).text
    assert "Saved." in visible(after)
    assert 'action="/profiles/coder/restart"' in after


def test_what_is_wrong_is_named_and_nothing_is_written(browser: Browser, home: Home) -> None:
    fields = fields_of(browser.get(CONFIG).text, CONFIG)
    wrong = "gateway:\n  port: <b>many</b>\n"
    answer = browser.post(CONFIG, {**fields, "text": wrong})
    assert answer.status == 422
    assert "Line 2, column 9" in visible(answer.text)
    assert "gateway.port" in visible(answer.text)
    assert "<b>many" not in answer.text
    assert shown(answer.text) == wrong
    assert home.config.read_text() == TEXT
    mended = browser.post(CONFIG, {**fields_of(answer.text, CONFIG), "text": "gateway:\n  port: 8702\n"})
    assert mended.status == 303
    assert home.config.read_text() == "gateway:\n  port: 8702\n"


def test_somebody_elses_change_is_shown_and_not_overwritten_unseen(browser: Browser, home: Home) -> None:
    fields = fields_of(browser.get(CONFIG).text, CONFIG)
    theirs = "gateway:\n  port: 8800\n"
    home.config.write_text(theirs)
    mine = {**fields, "text": "gateway:\n  port: 8701\n"}
    answer = browser.post(CONFIG, mine)
    assert answer.status == 409
    assert home.config.read_text() == theirs
    assert "8800" in answer.text
    assert "8701" in shown(answer.text)
    again = browser.post(CONFIG, {**fields_of(answer.text, CONFIG), "text": mine["text"]})
    assert again.status == 303
    assert home.config.read_text() == mine["text"]


def test_what_is_wrong_already_is_said_on_opening(browser: Browser, home: Home) -> None:
    home.config.write_text("gateway:\n  prot: 8700\n  drain_timeout: soon\n")
    page = visible(browser.get(CONFIG).text)
    assert "Line 3" in page
    assert "prot" in page
    home.config.write_bytes(b"\xff\xfe")
    assert "not UTF-8 text" in visible(browser.get(CONFIG).text)


def test_a_form_that_is_not_ours_or_too_long_changes_nothing(browser: Browser, home: Home) -> None:
    assert browser.post(CONFIG, {"text": "gateway: {}\n", "version": "x"}).status == 403
    fields = fields_of(browser.get(CONFIG).text, CONFIG)
    large = browser.post(CONFIG, {**fields, "text": "# " + "x" * 300_000})
    assert large.status == 422
    assert home.config.read_text() == TEXT


def test_there_may_be_no_file_yet(home: Home) -> None:
    with running(home.root) as dashboard:
        browser = dashboard.client()
        path = "/profiles/default/config"
        page = browser.get(path).text
        assert shown(page) == ""
        fields = fields_of(page, path)
        assert browser.post(path, {**fields, "text": "gateway:\n  port: 8703\n"}).status == 303
    assert Home.of(root=home.root).config.read_text() == "gateway:\n  port: 8703\n"
