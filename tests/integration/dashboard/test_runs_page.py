"""Runs on their pages: started, followed, allowed, ended, and what others write can do nothing."""

from __future__ import annotations

import signal

from hermes_cli.gateway.run_api import RunBody, RunView
from tests.integration.dashboard.browser import Browser, Dashboard, running
from tests.integration.dashboard.pages import fields_of, follow, send, stream_address, visible, wait_for
from tests.integration.gateway.harness import Gateway, Yard, until

RUNS = "/profiles/coder/runs"


def ended(gateway: Gateway, run_id: str) -> RunView:
    until("the run has ended", lambda: gateway.client.runs.get(run_id).terminal_state)
    return gateway.client.runs.get(run_id)


def started(gateway: Gateway, message: str) -> str:
    return gateway.client.runs.start(RunBody(message=message)).run_id


def asks(gateway: Gateway, run_id: str) -> None:
    until("it asks", lambda: gateway.client.runs.get(run_id).pending_approval_id)


def test_an_empty_list_says_what_to_do(browser: Browser) -> None:
    page = browser.get(RUNS)
    assert page.status == 200
    assert "hermes -p coder run start MESSAGE" in page.text


def test_a_run_is_started_from_the_page_once_however_often_the_form_is_sent(
    browser: Browser, gateway: Gateway
) -> None:
    fields = fields_of(browser.get(RUNS).text, RUNS)
    sent = {**fields, "message": "echo hello from the page"}
    answers = [browser.post(RUNS, sent) for _ in range(3)]
    assert {answer.status for answer in answers} == {303}
    [location] = {answer.headers["location"] for answer in answers}
    [run] = gateway.client.runs.recent()
    assert location == f"{RUNS}/{run.run_id}"
    ended(gateway, run.run_id)
    page = browser.get(location)
    assert "hello from the page" in visible(page.text)
    assert 'data-status="completed"' in page.text


def test_a_script_is_told_where_to_go(browser: Browser, gateway: Gateway) -> None:
    fields = fields_of(browser.get(RUNS).text, RUNS)
    answer = browser.post(RUNS, {**fields, "message": "true"}, accept="application/json")
    assert answer.status == 200
    assert gateway.client.runs.recent()[0].run_id in answer.text


def test_the_list_is_narrowed_and_paged_by_its_address(browser: Browser, gateway: Gateway) -> None:
    good, bad = started(gateway, "true"), started(gateway, "exit 3")
    ended(gateway, good)
    ended(gateway, bad)
    failed = browser.get(f"{RUNS}?status=failed").text
    assert bad in failed
    assert good not in failed
    assert "exit code 3" in visible(failed)
    assert 'value="failed" selected' in failed
    earlier = browser.get(f"{RUNS}?before={bad}").text
    assert good in earlier
    assert f"{RUNS}/{bad}" not in earlier
    assert good in browser.get(f"{RUNS}?status=%3Cscript%3E").text
    assert "No run is in this state" in browser.get(f"{RUNS}?status=expired").text


def test_a_list_says_when_it_changes(browser: Browser, gateway: Gateway) -> None:
    events = follow(browser, RUNS)
    wait_for(events, "reach", lambda data: data["state"] == "ok")
    run_id = started(gateway, "true")
    first = wait_for(events, "changed")
    assert first.id
    ended(gateway, run_id)
    assert run_id in browser.get(RUNS).text


def test_what_a_run_says_comes_as_it_says_it_and_once(browser: Browser, gateway: Gateway) -> None:
    run_id = started(gateway, "echo one; while [ ! -e go ]; do sleep 0.05; done; echo two")
    until(
        "it said one", lambda: "one" in visible(browser.get(f"{RUNS}/{run_id}").text.partition("output")[2])
    )
    page = browser.get(f"{RUNS}/{run_id}").text
    events = browser.events(stream_address(page))
    gateway.home.workspace.joinpath("go").touch()
    text = ""
    while (event := events.next()) is not None and event.name != "end":
        if event.name == "pieces":
            text += "".join(piece[1] for piece in event.data["pieces"] if piece[0] == "text")
    assert event is not None
    assert text == "two\n"
    ended(gateway, run_id)
    assert "one\ntwo\n" in visible(browser.get(f"{RUNS}/{run_id}").text)


def test_the_stream_goes_on_through_a_killed_gateway(browser: Browser, yard: Yard, gateway: Gateway) -> None:
    run_id = started(
        gateway, "for i in 1 2 3; do echo line $i; done; while [ ! -e go ]; do sleep 0.05; done; echo the end"
    )
    events = follow(browser, f"{RUNS}/{run_id}")
    wait_for(events, "reach", lambda data: data["state"] == "ok")
    gateway.kill()
    gateway.ended()
    down = wait_for(events, "reach", lambda data: data["state"] != "ok")
    assert down.data["state"] == "down"
    assert down.data["next_step"]
    assert down.data["sentence"] in visible(browser.get(f"{RUNS}/{run_id}").text)
    again = yard.start(gateway.home).ready()
    wait_for(events, "reach", lambda data: data["state"] == "ok")
    gateway.home.workspace.joinpath("go").touch()
    assert wait_for(events, "end") is not None
    text = visible(browser.get(f"{RUNS}/{run_id}").text)
    assert [text.count(f"line {number}\n") for number in (1, 2, 3)] == [1, 1, 1]
    assert text.count("the end\n") == 1
    ended(again, run_id)


def test_what_is_dangerous_is_shown_and_allowed_or_denied(browser: Browser, gateway: Gateway) -> None:
    for decision, status in (("approve", "completed"), ("deny", "cancelled")):
        run_id = started(gateway, "rm -rf /tmp/no-such-thing/*")
        asks(gateway, run_id)
        page = browser.get(f"{RUNS}/{run_id}").text
        assert "It waits to be allowed" in page
        assert "rm -rf /tmp/no-such-thing/*" in visible(page)
        answer = send(browser, f"{RUNS}/{run_id}", "/approval", decision=decision)
        assert answer.status == 303
        assert ended(gateway, run_id).status == status
        again = browser.post(
            f"{RUNS}/{run_id}/approval", {**fields_of(page, "/approval"), "decision": decision}
        )
        assert again.status == 409


def test_a_run_is_cancelled_and_run_again(browser: Browser, gateway: Gateway) -> None:
    run_id = started(gateway, "sleep 1000")
    page = browser.get(f"{RUNS}/{run_id}").text
    cancel = fields_of(page, "/cancel")
    assert send(browser, f"{RUNS}/{run_id}", "/cancel").status == 303
    assert ended(gateway, run_id).status == "cancelled"
    assert browser.post(f"{RUNS}/{run_id}/cancel", cancel).status == 409
    page = browser.get(f"{RUNS}/{run_id}").text
    assert "/cancel" not in page
    retry = fields_of(page, "/retry")
    [location] = {browser.post(f"{RUNS}/{run_id}/retry", retry).headers["location"] for _ in range(2)}
    new = location.rpartition("/")[2]
    assert gateway.client.runs.get(new).retry_of == run_id
    assert run_id in browser.get(location).text
    gateway.client.runs.cancel(new)
    ended(gateway, new)


def test_the_events_are_one_click_away(browser: Browser, gateway: Gateway) -> None:
    run_id = started(gateway, "echo '<b>hi</b>'")
    ended(gateway, run_id)
    page = browser.get(f"{RUNS}/{run_id}?view=events").text
    assert "<td>delta</td>" in page
    assert "&lt;b&gt;hi&lt;/b&gt;" in page
    assert "<b>hi" not in page
    events = browser.events(f"{RUNS}/{run_id}/events?view=events&cursor=0")
    first = wait_for(events, "pieces")
    assert first.data["pieces"][0][:2] == ["event", 1]


def test_what_a_run_says_can_do_nothing(browser: Browser, gateway: Gateway) -> None:
    hostile = r"printf '<script>alert(1)</script>\033]0;owned\007\033[2Jx\rover\n'"
    run_id = started(gateway, hostile)
    ended(gateway, run_id)
    for path in (RUNS, f"{RUNS}/{run_id}", f"{RUNS}/{run_id}?view=events"):
        page = browser.get(path).text
        assert "<script>alert" not in page
        assert "\x1b" not in page
    assert "\x07" not in page
    for address in ("cursor=0", "cursor=0&view=events"):
        events = browser.events(f"{RUNS}/{run_id}/events?{address}")
        while (event := events.next()) is not None and event.name != "end":
            assert "\x1b" not in str(event.data)


def test_a_run_that_is_not_there_is_no_page(browser: Browser) -> None:
    for given in ("feed", "run_ffffffffffffffff", "..%2f..%2fstatus", "%00", "%F0%9F%92%A9"):
        answer = browser.get(f"{RUNS}/{given}")
        assert answer.status in (400, 404), (given, answer.text)
        assert "Traceback" not in answer.text


def test_a_cursor_that_is_none_is_refused_in_words(browser: Browser, gateway: Gateway) -> None:
    run_id = started(gateway, "true")
    ended(gateway, run_id)
    for cursor in ("x", "run_feed:1", "999999999", "-1", "%0d%0ax:%20y", "%E2%98%83"):
        assert browser.get(f"{RUNS}/{run_id}?cursor={cursor}").status == 400, cursor
        events = browser.events(f"{RUNS}/{run_id}/events?cursor={cursor}")
        first = events.next()
        assert first is not None
        assert (first.name, first.data["state"], first.data["comes_back"]) == ("reach", "refused", False)
        assert events.next() is None


def test_nothing_is_started_without_something_to_say(browser: Browser, gateway: Gateway) -> None:
    assert send(browser, RUNS, RUNS, message=" \r\n ").status == 400
    assert not gateway.client.runs.recent()


def test_forms_that_are_not_ours_change_nothing(browser: Browser, gateway: Gateway) -> None:
    run_id = started(gateway, "sleep 1000")
    for action in ("cancel", "approval", "retry"):
        assert browser.post(f"{RUNS}/{run_id}/{action}", {"decision": "deny"}).status == 403
    assert browser.post(RUNS, {"message": "true"}).status == 403
    [run] = gateway.client.runs.recent()
    assert (run.run_id, run.terminal_state, run.cancel_requested_at) == (run_id, None, None)
    gateway.client.runs.cancel(run_id)
    ended(gateway, run_id)


def test_a_gateway_that_is_down_is_said_and_the_page_waits_for_it(
    served: Dashboard, yard: Yard, gateway: Gateway
) -> None:
    gateway.kill(signal.SIGTERM)
    gateway.ended()
    browser = served.client()
    page = browser.get(RUNS)
    assert page.status == 200
    assert "data-failed" in page.text
    assert "hermes -p coder gateway" in page.text
    fields = fields_of(page.text, RUNS)
    answer = browser.post(RUNS, {**fields, "message": "true"}, accept="application/json")
    assert answer.status == 503
    events = browser.events(stream_address(page.text))
    assert wait_for(events, "reach").data["state"] == "down"
    again = yard.start(gateway.home).ready()
    wait_for(events, "reach", lambda data: data["state"] == "ok")
    assert not again.client.runs.recent()


def test_a_dashboard_that_is_restarted_goes_on_from_the_cursor(yard: Yard, gateway: Gateway) -> None:
    run_id = started(gateway, "echo one; while [ ! -e go ]; do sleep 0.05; done; echo two")
    with running(yard.root) as first:
        events = first.client().events(f"{RUNS}/{run_id}/events?cursor=0")
        seen = wait_for(events, "pieces", lambda data: "one\n" in str(data["pieces"]) or "one" in str(data))
        first.end(signal.SIGKILL)
    gateway.home.workspace.joinpath("go").touch()
    with running(yard.root) as second:
        events = second.client().events(f"{RUNS}/{run_id}/events?cursor={seen.id}")
        text = ""
        while (event := events.next()) is not None and event.name != "end":
            if event.name == "pieces":
                text += "".join(piece[1] for piece in event.data["pieces"] if piece[0] == "text")
    assert text == "two\n"
