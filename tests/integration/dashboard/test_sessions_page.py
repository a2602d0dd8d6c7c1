"""Conversations on their pages: said, answered as it comes, found again, exported, deleted."""

from __future__ import annotations

import json
import signal

from hermes_cli.gateway.run_api import RunBody
from tests.integration.dashboard.browser import Browser, Events
from tests.integration.dashboard.pages import fields_of, follow, send, stream_address, visible, wait_for
from tests.integration.gateway.harness import Gateway, Yard, until

SESSIONS = "/profiles/coder/sessions"


def idle(gateway: Gateway, session_id: str) -> None:
    until(
        "nothing goes on",
        lambda: all(run.terminal_state for run in gateway.client.runs.session_runs(session_id)),
    )


def said(events: Events, wanted: str) -> str:
    """What the active run says, until `wanted` is in it."""
    text = ""
    while wanted not in text:
        event = events.next()
        assert event is not None, f"the stream ended after {text!r}"
        if event.name == "answer":
            text = ""
        if event.name == "pieces":
            text += "".join(piece[1] for piece in event.data["pieces"] if piece[0] == "text")
    return text


def test_an_empty_list_says_what_to_do(browser: Browser) -> None:
    assert "hermes -p coder chat" in browser.get(SESSIONS).text


def test_a_session_is_begun_gone_on_with_and_shown_as_turns(browser: Browser, gateway: Gateway) -> None:
    answer = send(browser, SESSIONS, SESSIONS, message="echo first answer")
    assert answer.status == 303
    here = answer.headers["location"]
    session_id = here.rpartition("/")[2]
    idle(gateway, session_id)
    form = fields_of(browser.get(here).text, "/messages")
    for _ in range(2):
        assert browser.post(f"{here}/messages", {**form, "message": "echo second answer"}).status == 303
    idle(gateway, session_id)
    assert gateway.client.runs.session(session_id).runs == 2
    text = visible(browser.get(here).text)
    places = [
        text.index(piece) for piece in ("echo first", " first answer\n", "echo second", " second answer\n")
    ]
    assert places == sorted(places)
    assert session_id in browser.get(SESSIONS).text


def test_a_page_that_is_opened_again_finds_the_answer_that_is_coming(
    browser: Browser, gateway: Gateway
) -> None:
    run = gateway.client.runs.start(
        RunBody(message="echo one; while [ ! -e go ]; do sleep 0.05; done; echo two")
    )
    here = f"{SESSIONS}/{run.session_id}"
    for _ in range(2):
        page = browser.get(here).text
        assert f'data-active="{run.run_id}"' in page
        assert said(browser.events(stream_address(page)), "one\n") == "one\n"
    events = follow(browser, here)
    said(events, "one\n")
    gateway.home.workspace.joinpath("go").touch()
    assert said(events, "two\n")
    wait_for(events, "answer", lambda data: data["run_id"] is None)
    page = browser.get(here).text
    assert "one\ntwo\n" in visible(page)
    assert "data-active" not in page


def test_a_stream_that_is_resumed_says_nothing_twice(browser: Browser, gateway: Gateway) -> None:
    run = gateway.client.runs.start(
        RunBody(message="echo one; while [ ! -e go ]; do sleep 0.05; done; echo two")
    )
    here = f"{SESSIONS}/{run.session_id}"
    seen = wait_for(follow(browser, here), "pieces", lambda data: "one" in str(data["pieces"][-1]))
    again = browser.events(f"{here}/events", **{"last-event-id": seen.id})
    gateway.home.workspace.joinpath("go").touch()
    assert said(again, "two\n") == "two\n"
    idle(gateway, run.session_id)


def test_what_somebody_else_says_is_shown(browser: Browser, gateway: Gateway) -> None:
    run = gateway.client.runs.start(RunBody(message="echo one"))
    idle(gateway, run.session_id)
    events = follow(browser, f"{SESSIONS}/{run.session_id}")
    wait_for(events, "reach", lambda data: data["state"] == "ok")
    gateway.client.runs.start(RunBody(message="echo from elsewhere", session_id=run.session_id))
    wait_for(events, "changed")
    idle(gateway, run.session_id)
    assert "from elsewhere" in visible(browser.get(f"{SESSIONS}/{run.session_id}").text)


def test_a_busy_session_says_so_and_keeps_nothing(browser: Browser, gateway: Gateway) -> None:
    run = gateway.client.runs.start(RunBody(message="sleep 1000"))
    here = f"{SESSIONS}/{run.session_id}"
    fields = fields_of(browser.get(here).text, "/messages")
    answer = browser.post(f"{here}/messages", {**fields, "message": "true"}, accept="application/json")
    assert answer.status == 409
    assert run.run_id in answer.text
    gateway.client.runs.cancel(run.run_id)
    idle(gateway, run.session_id)
    assert gateway.client.runs.session(run.session_id).runs == 1


def test_the_stream_goes_on_through_a_killed_gateway(browser: Browser, yard: Yard, gateway: Gateway) -> None:
    run = gateway.client.runs.start(
        RunBody(message="echo one; while [ ! -e go ]; do sleep 0.05; done; echo two")
    )
    events = follow(browser, f"{SESSIONS}/{run.session_id}")
    said(events, "one\n")
    gateway.kill()
    gateway.ended()
    assert wait_for(events, "reach").data["state"] == "down"
    again = yard.start(gateway.home).ready()
    wait_for(events, "reach", lambda data: data["state"] == "ok")
    gateway.home.workspace.joinpath("go").touch()
    assert said(events, "two\n") == "two\n"
    idle(again, run.session_id)


def test_a_session_is_exported_and_deleted(browser: Browser, gateway: Gateway) -> None:
    run = gateway.client.runs.start(RunBody(message="echo one"))
    idle(gateway, run.session_id)
    here = f"{SESSIONS}/{run.session_id}"
    export = browser.get(f"{here}/export")
    assert f"{run.session_id}.jsonl" in export.headers["content-disposition"]
    assert [json.loads(line)["type"] for line in export.text.splitlines()] == ["message", "answer"]
    assert export.text.encode() == b"".join(gateway.client.runs.session_log(run.session_id))
    page = browser.get(here).text
    assert "Delete this session" in page
    assert browser.post(f"{here}/delete", {}).status == 403
    answer = send(browser, here, "/delete")
    assert answer.headers["location"] == SESSIONS
    assert browser.get(here).status == 404
    assert not gateway.client.runs.sessions()


def test_what_is_said_can_do_nothing(browser: Browser, gateway: Gateway) -> None:
    hostile = r"printf '<script>alert(1)</script>\033]0;owned\007\033[2J\n'"
    run = gateway.client.runs.start(RunBody(message=hostile))
    idle(gateway, run.session_id)
    for path in (SESSIONS, f"{SESSIONS}/{run.session_id}"):
        page = browser.get(path).text
        assert "<script>alert" not in page
        assert "\x1b" not in page


def test_a_session_that_is_not_there_is_no_page(browser: Browser) -> None:
    for path in ("/feed", "/..%2fruns", "/feed/export", "/%00"):
        answer = browser.get(SESSIONS + path)
        assert answer.status in (400, 404), path
        assert "Traceback" not in answer.text


def test_a_gateway_that_is_down_is_said(browser: Browser, gateway: Gateway) -> None:
    run = gateway.client.runs.start(RunBody(message="echo one"))
    idle(gateway, run.session_id)
    gateway.kill(signal.SIGTERM)
    gateway.ended()
    for path in (SESSIONS, f"{SESSIONS}/{run.session_id}"):
        page = browser.get(path)
        assert page.status == 200
        assert "data-failed" in page.text
    assert browser.get(f"{SESSIONS}/{run.session_id}/export").status == 503
