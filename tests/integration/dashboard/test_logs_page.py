"""The log on its page: followed without gap or repetition, searched, downloaded, looked at around a crash."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from hermes_cli.home import Home
from hermes_cli.service_manager.logs import stamp
from tests.integration.dashboard.browser import Browser, Dashboard, Events, running
from tests.integration.dashboard.pages import follow, stream_address, visible

LOGS = "/profiles/coder/logs"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    home = Home.of("coder", tmp_path)
    home.path.mkdir(parents=True)
    home.config.write_text("gateway:\n  port: 8700\n")
    home.gateway_log.mkdir(parents=True)
    return home.gateway_log


@pytest.fixture
def served(log: Path, tmp_path: Path) -> Iterator[Dashboard]:
    with running(tmp_path) as dashboard:
        yield dashboard


def write(log: Path, text: str) -> None:
    with (log / "current").open("a") as file:
        file.write(text)


def rotate(log: Path, label: str) -> None:
    (log / "current").rename(log / f"@4000000069{label}.s")


def next_lines(events: Events, number: int) -> tuple[list[str], str]:
    """At least so many lines, and the cursor behind them."""
    found: list[str] = []
    cursor = ""
    while len(found) < number:
        event = events.next()
        assert event is not None
        assert event.name == "lines", event
        found += event.data["lines"]
        cursor = event.id
    return found, cursor


def test_an_empty_log_says_what_to_do(browser: Browser) -> None:
    assert "hermes -p coder gateway start" in browser.get(LOGS).text


def test_what_is_written_comes_once_and_whole_over_rotations(browser: Browser, log: Path) -> None:
    write(log, "one\n")
    page = browser.get(LOGS).text
    assert "one" in visible(page)
    events = browser.events(stream_address(page))
    write(log, "two\nthree\n")
    found, cursor = next_lines(events, 2)
    assert found == ["two", "three"]
    rotate(log, "000001")
    write(log, "four\n")
    rotate(log, "000002")
    write(log, "five\n")
    assert next_lines(events, 2)[0] == ["four", "five"]
    again = browser.events(f"{LOGS}/events", **{"last-event-id": cursor})
    assert next_lines(again, 2)[0] == ["four", "five"]


def test_the_whole_log_is_searched_and_the_address_says_for_what(browser: Browser, log: Path) -> None:
    write(log, "before\nan OLD failure\nbehind\n")
    rotate(log, "000001")
    write(log, "".join(f"line {number}\n" for number in range(500)))
    page = browser.get(f"{LOGS}?q=old%20F").text
    assert "<mark>OLD f</mark>ailure" in page
    assert "before" in page
    assert "behind" in page
    assert "Found in 1 line of 503." in visible(page)
    assert 'value="old F"' in page
    assert "data-events" not in page
    assert "Found nowhere in 503 lines." in visible(browser.get(f"{LOGS}?q=line..").text)
    assert "Found in 10 lines of 503." in visible(browser.get(f"{LOGS}?q={quote('line .$')}&regex=1").text)
    many = visible(browser.get(f"{LOGS}?q=line").text)
    assert "Found in 500 lines of 503" in many


@pytest.mark.parametrize("words", ["(", "(a+)+$", "x" * 201])
def test_an_expression_that_is_none_or_never_ends_is_refused_and_hurts_nobody(
    browser: Browser, log: Path, words: str
) -> None:
    write(log, "a" * 4000 + "!\n")
    answer = browser.get(f"{LOGS}?regex=1&q={quote(words)}")
    assert answer.status == 400
    assert 'role="alert"' in answer.text
    assert browser.get("/healthz").status == 200


def test_a_search_that_takes_long_holds_nobody_else_up(served: Dashboard, log: Path) -> None:
    write(log, "a" * 4000 + "!\n")
    connection = served.connect()
    connection.request("GET", f"{LOGS}?regex=1&q={quote('(a+)+$')}")
    assert served.client().get("/healthz").status == 200
    assert connection.getresponse().status == 400


def test_the_whole_log_is_downloaded_as_it_was_written(browser: Browser, log: Path) -> None:
    write(log, "one \x1b[31mred\x1b[0m\n")
    rotate(log, "000001")
    write(log, "".join(f"line {number}\n" for number in range(5000)))
    answer = browser.get(f"{LOGS}/download")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="gateway-coder.log"'
    assert answer.text == "one \x1b[31mred\x1b[0m\n" + "".join(f"line {number}\n" for number in range(5000))


def test_the_line_that_explains_a_crash_is_marked(browser: Browser, log: Path) -> None:
    now = float(int(time.time()))
    write(log, "".join(f"{stamp(now + number)}  line {number}\n" for number in range(300)))
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now + 200))
    for given in (f"{moment}.500Z", f"{moment}.5+00:00", f"{moment}.5"):
        page = browser.get(f"{LOGS}?around={given}").text
        line = page.partition('id="there"')[2].partition("</div>")[0]
        assert line.endswith("line 200"), line
        assert "line 101<" in page
        assert "line 300<" not in page
        assert "line 100<" not in page
    assert "None of its lines is as old" in visible(browser.get(f"{LOGS}?around=2001-01-01T00:00:00Z").text)


@pytest.mark.parametrize("given", ["yesterday", "2026-13-01", "0001-01-01T00:00:00%2B23:59", "%00", "1e9"])
def test_a_time_that_is_none_is_refused(browser: Browser, given: str) -> None:
    assert browser.get(f"{LOGS}?around={given}").status == 400


def test_hostile_lines_are_text_on_every_page_and_in_the_stream(browser: Browser, log: Path) -> None:
    write(log, "<script>alert(1)</script>\x1b[31m&\x1b]0;x\x07\u202e\"'\n")
    for query in ("", "?q=alert", "?q=%3Cscript%3E", "?around=2100-01-01T00:00:00Z"):
        page = browser.get(LOGS + query).text
        assert "<script>alert" not in page
        assert "\x1b" not in page
        assert "\u202e" not in page
    found, _ = next_lines(browser.events(f"{LOGS}/events"), 1)
    assert found == ["<script>alert(1)</script>&\ufffd\"'"]


@pytest.mark.parametrize("cursor", ["", "x", "1-1", "99999999999999999999-1", "-1--1", "0-0"])
def test_a_rubbish_cursor_begins_anew(browser: Browser, log: Path, cursor: str) -> None:
    write(log, "one\n")
    events = browser.events(f"{LOGS}/events?cursor={cursor}")
    event = events.next()
    while event is not None and event.name == "gap":
        event = events.next()
    assert event is not None
    assert event.data == {"lines": ["one"]}


def test_another_profile_has_no_log_here(browser: Browser) -> None:
    for path in ("/profiles/nobody/logs", "/profiles/..%2f..%2fetc/logs", "/profiles/%3Cb%3E/logs/download"):
        assert browser.get(path).status == 404


def test_the_page_is_followed_from_its_last_line(browser: Browser, log: Path) -> None:
    write(log, "".join(f"line {number}\n" for number in range(1000)))
    events = follow(browser, LOGS)
    write(log, "the next\n")
    assert next_lines(events, 1)[0] == ["the next"]
