"""Conversations in the browser: begun, answered as the answer comes, gone on with, and deleted."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from .conftest import Visit
from .counted import AWAY
from .looks import judge
from .world import DEADLINE, Installation, installed

HOSTILE = "echo '<img src=x onerror=alert(1)></div><script>alert(2)</script>'"


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(tmp_path_factory.mktemp("sessions"), "coder") as made:
        yield made


def begin(page: Page, message: str) -> None:
    """Say something in a new session, and be on its page."""
    page.get_by_label("Begin a session").fill(message)
    page.get_by_role("button", name="Send").click()
    expect(page).to_have_url(re.compile("/profiles/coder/sessions/ses_"))


def answers(page: Page) -> list[str]:
    return page.locator('.turn[data-role="agent"] .text').all_inner_texts()


def test_a_conversation_is_begun_gone_on_with_and_deleted(installation: Installation, visit: Visit) -> None:
    page = visit(installation.origin).open("/profiles/coder/sessions")
    judge(page, "sessions-begin")
    begin(page, "echo one; touch begun; until [ -e answered ]; do sleep 0.05; done; echo done with one")
    answer = page.get_by_role("log")
    expect(answer).to_contain_text("one")
    judge(page, "session-answering")
    (installation.gateway("coder").home.workspace / "answered").touch()
    expect(page.locator('.turn[data-role="agent"]')).to_contain_text("done with one")
    expect(answer).to_be_hidden()

    message = page.get_by_label("Say something")
    message.fill("echo two")
    message.press("Control+Enter")
    expect(page.locator('.turn[data-role="agent"]')).to_have_count(2)
    expect(page.locator('.turn[data-role="user"]').last).to_contain_text("echo two")
    assert [text.split() for text in answers(page)] == [["one", "done", "with", "one"], ["two"]]
    expect(message).to_have_value("")
    judge(page, "session")
    mine = page.url

    page.get_by_role("link", name="Sessions").first.click()
    expect(page.get_by_role("table")).to_contain_text("ses_")
    judge(page, "sessions")
    page.goto(mine)
    page.get_by_text("Delete…").click()
    page.get_by_role("button", name="Delete this session").click()
    expect(page).to_have_url(re.compile("/profiles/coder/sessions$"))
    expect(page.get_by_role("heading", name="Sessions")).to_be_visible()
    expect(page.get_by_role("link", name=mine.rpartition("/")[2])).to_have_count(0)


def test_hostile_messages_and_answers_are_only_text(installation: Installation, visit: Visit) -> None:
    page = visit(installation.origin).open("/profiles/coder/sessions")
    begin(page, HOSTILE)
    expect(page.locator('.turn[data-role="agent"]')).to_contain_text("<script>alert(2)</script>")
    assert page.locator("main img, main script").count() == 0
    judge(page, "session-hostile")


def test_an_answer_is_whole_when_the_gateway_died_meanwhile(installation: Installation, visit: Visit) -> None:
    visitor = visit(installation.origin)
    visitor.expects(AWAY)
    page = visitor.open("/profiles/coder/sessions")
    begin(page, "echo before; until [ -e after ]; do sleep 0.05; done; echo after")
    expect(page.get_by_role("log")).to_contain_text("before")
    gateway = installation.gateway("coder")
    gateway.kill()
    gateway.ended()
    expect(page.locator("#reach")).to_be_visible()
    installation.yard.start(gateway.home).ready(DEADLINE)
    expect(page.locator("#reach")).to_be_hidden()
    (gateway.home.workspace / "after").touch()
    expect(page.locator('.turn[data-role="agent"]')).to_contain_text("after")
    assert [text.split() for text in answers(page)] == [["before", "after"]]
