"""Background processes on their pages: started, followed, written to, killed."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from hermes_cli.gateway.process_api import StartBody
from tests.integration.dashboard.browser import Browser, Events
from tests.integration.dashboard.pages import fields_of, follow, send, stream_address, visible, wait_for
from tests.integration.gateway.harness import Gateway, Yard, until

PROCESSES = "/profiles/coder/processes"


@pytest.fixture(autouse=True)
def _none_is_left(yard: Yard) -> Iterator[None]:
    yield
    for gateway in yard.started:
        if gateway.process.poll() is None:
            for row in gateway.client.processes.list().processes:
                gateway.client.processes.kill(row.session_id, grace=0)


def started(gateway: Gateway, command: str, *, pty: bool = False) -> str:
    return gateway.client.processes.start(StartBody(command=command, pty=pty)).session_id


def text_until_end(events: Events) -> str:
    text = ""
    while (event := events.next()) is not None and event.name != "end":
        if event.name == "output":
            text += event.data["text"]
    assert event is not None, f"no end after {text!r}"
    return text


def test_an_empty_list_says_what_to_do(browser: Browser) -> None:
    assert "hermes -p coder process start -- COMMAND" in browser.get(PROCESSES).text


def test_a_process_is_started_talked_to_and_ends(browser: Browser, gateway: Gateway) -> None:
    answer = send(browser, PROCESSES, PROCESSES, command="read a; echo got $a; cat; exit 3", cwd="/")
    assert answer.status == 303
    here = answer.headers["location"]
    [row] = gateway.client.processes.list().processes
    assert here == f"{PROCESSES}/{row.session_id}"
    assert row.cwd == "/"
    events = follow(browser, here)
    assert send(browser, here, "/input", verb="submit", text="one").status == 303
    assert send(browser, here, "/input", verb="write", text="tw").status == 303
    assert send(browser, here, "/input", verb="write", text="o\n").status == 303
    assert send(browser, here, "/input", verb="close").status == 303
    assert text_until_end(events) == "got one\ntwo\n"
    page = browser.get(here).text
    assert 'data-status="exited"' in page
    assert "ended with exit code 3" in visible(page)
    assert "/input" not in page
    assert "/kill" not in page
    log = browser.get(f"{here}/log")
    assert log.text == "got one\ntwo\n"
    assert log.headers["content-type"] == "text/plain; charset=utf-8"
    assert "attachment" in log.headers["content-disposition"]


def test_a_process_is_killed_behind_a_second_step(browser: Browser, gateway: Gateway) -> None:
    process_id = started(gateway, "sleep 1000 & sleep 1000")
    page = browser.get(f"{PROCESSES}/{process_id}").text
    assert "Kill this process" in page
    answer = browser.post(
        f"{PROCESSES}/{process_id}/kill", fields_of(page, "/kill"), accept="application/json"
    )
    assert "It was killed" in answer.text
    assert 'data-status="killed"' in browser.get(f"{PROCESSES}/{process_id}").text
    again = browser.post(
        f"{PROCESSES}/{process_id}/kill", fields_of(page, "/kill"), accept="application/json"
    )
    assert "had ended already" in again.text


def test_the_list_is_narrowed_by_its_address(browser: Browser, gateway: Gateway) -> None:
    one, two = started(gateway, "sleep 1001"), started(gateway, "true")
    until("it has ended", lambda: gateway.client.processes.poll(two).status == "exited")
    running = browser.get(f"{PROCESSES}?status=running").text
    assert one in running
    assert two not in running
    found = browser.get(f"{PROCESSES}?q=SLEEP").text
    assert one in found
    assert two not in found
    assert 'value="SLEEP"' in found
    assert "None of the processes is like that" in browser.get(f"{PROCESSES}?q=%3Cb%3E").text


def test_a_list_says_when_it_changes_and_not_else(browser: Browser, gateway: Gateway) -> None:
    process_id = started(gateway, "read x")
    events = follow(browser, PROCESSES)
    wait_for(events, "reach", lambda data: data["state"] == "ok")
    gateway.client.processes.close(process_id)
    changed = wait_for(events, "changed")
    until("it has ended", lambda: gateway.client.processes.poll(process_id).status == "exited")
    page = browser.get(PROCESSES).text
    assert f"cursor={changed.id}" in stream_address(page)


def test_output_goes_on_through_a_killed_gateway_without_gap_or_repetition(
    browser: Browser, yard: Yard, gateway: Gateway
) -> None:
    process_id = started(gateway, "while read n; do echo line $n; done")
    here = f"{PROCESSES}/{process_id}"
    gateway.client.processes.submit(process_id, "1")
    until("it said so", lambda: "line 1\n" in visible(browser.get(here).text))
    events = follow(browser, here)
    wait_for(events, "reach", lambda data: data["state"] == "ok")
    gateway.client.processes.submit(process_id, "2")
    assert wait_for(events, "output").data["text"] == "line 2\n"
    gateway.kill()
    gateway.ended()
    assert wait_for(events, "reach").data["state"] == "down"
    again = yard.start(gateway.home).ready()
    again.client.processes.submit(process_id, "3")
    again.client.processes.close(process_id)
    assert text_until_end(events) == "line 3\n"
    assert "line 1\nline 2\nline 3\n" in visible(browser.get(here).text)


def test_a_stream_goes_on_from_its_cursor(browser: Browser, gateway: Gateway) -> None:
    process_id = started(gateway, "seq 1 20000")
    here = f"{PROCESSES}/{process_id}"
    first = browser.events(f"{here}/events?cursor=0")
    piece = wait_for(first, "output")
    rest = text_until_end(browser.events(f"{here}/events", **{"last-event-id": piece.id}))
    assert piece.data["text"] + rest == "".join(f"{number}\n" for number in range(1, 20001))


def test_much_output_is_shown_from_its_end_and_downloaded_whole(browser: Browser, gateway: Gateway) -> None:
    process_id = started(gateway, "seq 1 100000")
    until("it has ended", lambda: gateway.client.processes.poll(process_id).status == "exited")
    page = browser.get(f"{PROCESSES}/{process_id}").text
    assert "\n100000\n" in page
    assert "bytes before this are not shown here" in page
    assert len(page) < 400_000
    log = browser.get(f"{PROCESSES}/{process_id}/log").text
    assert log == "".join(f"{number}\n" for number in range(1, 100_001))


def test_what_a_process_is_called_and_says_can_do_nothing(browser: Browser, gateway: Gateway) -> None:
    hostile = r"printf '<script>alert(1)</script>\033]0;owned\007\033[2J\n'; : '<img src=x>'"
    process_id = started(gateway, hostile, pty=True)
    until("it has ended", lambda: gateway.client.processes.poll(process_id).status == "exited")
    for path in (PROCESSES, f"{PROCESSES}/{process_id}", f"{PROCESSES}?q=<img%20src=x>".replace("<", "%3C")):
        page = browser.get(path.replace(">", "%3E")).text
        assert "<script>alert" not in page
        assert "<img" not in page
        assert "\x1b" not in page
    assert "\x1b" not in text_until_end(browser.events(f"{PROCESSES}/{process_id}/events?cursor=0"))


def test_what_is_not_there_is_no_page(browser: Browser) -> None:
    for path, status in (
        ("/feed", 404),
        ("/..%2fstatus", 404),
        ("/x/log", 404),
        ("/feed/events?cursor=-1", 400),
        ("/feed/events?cursor=1e9", 400),
        ("/feed/events?cursor=%D9%A3", 400),
    ):
        answer = browser.get(PROCESSES + path)
        assert answer.status == status, path
        assert "Traceback" not in answer.text


def test_refusals_are_told_in_words(browser: Browser, gateway: Gateway) -> None:
    fields = fields_of(browser.get(PROCESSES).text, PROCESSES)
    json = {"accept": "application/json"}
    assert browser.post(PROCESSES, {**fields, "command": " "}, **json).status == 400
    nowhere = browser.post(PROCESSES, {**fields, "command": "true", "cwd": "/no/such/place"}, **json)
    assert nowhere.status == 422
    assert "/no/such/place" in nowhere.text
    process_id = started(gateway, "true")
    until("it has ended", lambda: gateway.client.processes.poll(process_id).status == "exited")
    late = {**fields, "verb": "submit", "text": "x"}
    assert browser.post(f"{PROCESSES}/{process_id}/input", late, **json).status == 409
    assert browser.post(f"{PROCESSES}/{process_id}/input", {**late, "verb": "eval"}, **json).status == 400
    elsewhere = browser.get(f"{PROCESSES}?environment=ssh")
    assert elsewhere.status in (200, 400, 409, 422, 502, 503), elsewhere.status
    assert "Traceback" not in elsewhere.text


def test_forms_that_are_not_ours_change_nothing(browser: Browser, gateway: Gateway) -> None:
    process_id = started(gateway, "sleep 1002")
    for action, fields in (("kill", {}), ("input", {"verb": "close"})):
        assert browser.post(f"{PROCESSES}/{process_id}/{action}", fields).status == 403
    assert browser.post(PROCESSES, {"command": "true"}).status == 403
    assert [row.status for row in gateway.client.processes.list().processes] == ["running"]


def test_a_gateway_that_is_down_is_said(browser: Browser, gateway: Gateway) -> None:
    process_id = started(gateway, "sleep 1003")
    gateway.kill(signal.SIGTERM)
    gateway.ended()
    for path in (PROCESSES, f"{PROCESSES}/{process_id}"):
        page = browser.get(path)
        assert page.status == 200
        assert "data-failed" in page.text
    page = browser.get(f"{PROCESSES}/{process_id}/log")
    assert page.status == 503
