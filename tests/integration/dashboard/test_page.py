"""The page shows the status of a real home, live, and survives what is thrown at it."""

from __future__ import annotations

import re
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote_plus, urlencode

import pytest

from hermes_cli.gateway.records import IntentRecord
from hermes_cli.gateway.supervision_log import read_events, record_event
from hermes_cli.home import Home, save
from tests.integration.dashboard.browser import Dashboard, running


def make_home(root: Path, profile: str) -> Home:
    home = Home.of(profile, root)
    home.path.mkdir(parents=True, exist_ok=True)
    home.config.write_text("gateway:\n  port: 8700\n")
    return home


@pytest.fixture
def dashboard(tmp_path: Path) -> Iterator[Dashboard]:
    make_home(tmp_path, "coder")
    with running(tmp_path) as started:
        yield started


def test_the_page_is_whole_without_a_script(dashboard: Dashboard) -> None:
    record_event(dashboard.root, "coder", "crashed", signal="SIGKILL")
    page = dashboard.client().get("/").text
    for piece in ("Gateways", "default", "coder", "8700", "crashed, killed by SIGKILL", "<noscript>"):
        assert piece in page
    assert 'aria-current="page"' in page


def test_an_empty_home_says_what_to_do(tmp_path: Path) -> None:
    with running(tmp_path) as dashboard:
        page = dashboard.client().get("/").text
    assert "hermes profile create NAME" in page
    assert "Nothing happened in the last 24 hours" in page


def test_nothing_inline_and_nothing_from_elsewhere(dashboard: Dashboard) -> None:
    record_event(dashboard.root, "coder", "crashed", code=1)
    answer = dashboard.client().get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r"\son\w+=|\sstyle=|<style|javascript:|https?://", answer.text)
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", answer.text)
    assert set(scripts) == {""}
    addresses = re.findall(r'(?:src|href)="(/static/[^"]+)"', answer.text)
    total, seen = len(answer.text), set()
    while addresses:
        address = addresses.pop()
        if address in seen:
            continue
        seen.add(address)
        asset = dashboard.client().get(address)
        assert asset.status == 200
        assert "immutable" in asset.headers["cache-control"]
        total += len(asset.text)
        directory = address.rpartition("/")[0]
        addresses += [f"{directory}/{name}" for name in re.findall(r'from "\./([^"]+)"', asset.text)]
    assert any(address.endswith("/live.js") for address in seen)
    assert total < 100_000


def test_hostile_names_reasons_and_events_are_text(dashboard: Dashboard) -> None:
    hostile = "<script>alert(1)</script>\x1b[31m&\x1b]0;x\x07\u202e\"'"
    home = make_home(dashboard.root, "coder")
    home.parked.write_text('{"kind":"config","reason":"<img src=x onerror=alert(2)>","parked_at":1}')
    record_event(dashboard.root, "coder", "parked", detail=hostile)
    with Home.of(root=dashboard.root).supervision_log.open("a") as log:
        log.write('{"ts":"2100-01-01T00:00:00Z","profile":"<b>bad","event":"crashed"}\n')
    (dashboard.root / "profiles" / "<b>bad").mkdir()
    page = dashboard.client().get("/").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&amp;\ufffd&quot;&#x27;" in page
    assert "&lt;img src=x onerror=alert(2)&gt;" in page
    for piece in ("<img", "<b>bad", "&lt;b&gt;bad", "\x1b"):
        assert piece not in page


def test_a_crash_leads_to_the_log_around_its_time(dashboard: Dashboard) -> None:
    record_event(dashboard.root, "coder", "crashed", code=1)
    page = dashboard.client().get("/?window=1h").text
    moment = next(read_events(dashboard.root)).ts
    address = f"/profiles/coder/logs?around={quote_plus(moment)}"
    assert page.count(f'href="{address}"') >= 2, "once in the drawing, once in the list"
    assert 'aria-current="true">1 hour' in page


def test_the_timeline_can_be_had_alone_and_the_page_says_what_it_knows(dashboard: Dashboard) -> None:
    client = dashboard.client()
    before = re.findall(r'data-story="([^"]*)"', client.get("/").text)
    record_event(dashboard.root, "coder", "crashed", code=1)
    events = client.events("/events/status")
    board = events.next()
    assert board is not None
    assert [board.data["story"]] != before
    section = client.get("/timeline?window=1h").text
    assert section.startswith("<section")
    assert f'data-story="{board.data["story"]}"' in section
    assert "crashed, exit 1" in section


@pytest.mark.parametrize("window", ["", "2h", "<script>", "24h' onload='x", "1e9"])
def test_a_window_that_is_none_is_a_day(dashboard: Dashboard, window: str) -> None:
    page = dashboard.client().get("/?" + urlencode({"window": window})).text
    assert 'aria-current="true">24 hours' in page
    assert "<script>" not in page


def test_a_change_is_pushed_and_only_the_change(dashboard: Dashboard) -> None:
    events = dashboard.client().events("/events/status")
    first = events.next()
    assert first is not None
    assert first.name == "board"
    assert first.data["order"] == ["gateway-default", "gateway-coder"]
    assert first.data["rows"]["gateway-coder"]["wanted"] == "down"
    intent = IntentRecord(intent="running", requested_at=1.0)
    save(Home.of("coder", dashboard.root).intent, intent)
    second = events.next()
    assert second is not None
    assert second.name == "change"
    assert second.data["rows"] == {
        "gateway-coder": {"wanted": "up", "tone": "bad", "mark": "✕", "verbs": ["start", "stop"]}
    }
    assert "order" not in second.data
    make_home(dashboard.root, "zoe")
    third = events.next()
    assert third is not None
    assert third.data["order"][-1] == "gateway-zoe"
    assert list(third.data["rows"]) == ["gateway-zoe"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/profiles/nobody", 404),
        ("/profiles/nobody/delete", 404),
        ("/profiles/default/delete", 409),
        ("/profiles/..%2f..%2fetc", 404),
        ("/profiles/%00", 404),
        ("/profiles/%3Cscript%3E/delete", 404),
        ("/profiles/coder/start", 405),
        ("/static/x/..%2fapp.py", 404),
        ("/static/x/../app.py", 404),
        ("/static/x/app.py", 404),
        ("/nothing", 404),
        ("//evil.example/", 404),
        ("/logout", 405),
        ("/?" + "a=b&" * 2000, 200),
    ],
)
def test_rubbish_gets_a_plain_answer(dashboard: Dashboard, path: str, status: int) -> None:
    answer = dashboard.client().get(path)
    assert answer.status == status
    assert "Traceback" not in answer.text
    assert "<script>" not in answer.text
    assert "content-security-policy" in answer.headers


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\nx: " + b"y" * 100_000 + b"\r\n\r\n",
        b"POST /login HTTP/1.1\r\nhost: localhost\r\ncontent-length: -5\r\n\r\n",
        b"GET /events/status HTTP/1.1\r\nhost: localhost\r\n",
    ],
)
def test_broken_requests_hurt_nobody_else(dashboard: Dashboard, request_bytes: bytes) -> None:
    with socket.create_connection(("127.0.0.1", dashboard.port), timeout=10) as peer:
        peer.sendall(request_bytes)
        peer.shutdown(socket.SHUT_WR)
        while peer.recv(4096):
            pass
    assert dashboard.client().get("/healthz").status == 200


def test_a_stranger_name_for_this_machine_is_turned_away(dashboard: Dashboard) -> None:
    assert dashboard.client(host="evil.example:9119").get("/").status == 421
    assert dashboard.client(host="evil.example").get("/api/status").status == 421
    assert dashboard.client(host=f"localhost:{dashboard.port}").get("/").status == 200
    assert dashboard.client(host="[::1]:9119").get("/").status == 200


def test_the_api_says_what_status_json_says(dashboard: Dashboard) -> None:
    answer = dashboard.client().get("/api/status")
    assert answer.headers["content-type"] == "application/json"
    assert '"gateway-coder"' in answer.text


@pytest.mark.parametrize("asked", ["/hermes/", "/"])
def test_it_lives_under_a_path_whether_the_proxy_takes_it_off_or_not(tmp_path: Path, asked: str) -> None:
    with running(tmp_path, "--root-path", "/hermes", HERMES_DASHBOARD_PASSWORD="pw") as dashboard:
        browser = dashboard.client()
        away = browser.visit(asked)
        assert away.headers["location"] == "/hermes/login"
        form = browser.get("/hermes/login" if asked == "/hermes/" else "/login")
        assert set(re.findall(r'(?:href|src|action)="(/[a-z]*)', form.text)) == {"/hermes"}
        answer = browser.sign_in("pw")
        assert answer.headers["location"] == "/hermes/"
        assert all("Path=/hermes/" in cookie for cookie in browser.set_cookies)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_with_open_streams(dashboard: Dashboard, number: int) -> None:
    client = dashboard.client()
    streams = [client.events("/events/status") for _ in range(10)]
    for stream in streams:
        assert stream.next() is not None
    seconds = dashboard.end(number)
    assert dashboard.process.returncode == 0
    assert seconds < 1.0, f"it took {seconds:.2f} s"
    assert all(stream.next() is None for stream in streams)


def test_fifty_profiles_and_ten_pages_stay_small(tmp_path: Path) -> None:
    for number in range(50):
        make_home(tmp_path, f"p{number}")
    with running(tmp_path) as dashboard:
        client = dashboard.client()
        client.get("/")
        for _ in range(10):
            assert client.events("/events/status").next() is not None
        assert dashboard.resident_kib() < 45 * 1024


def test_too_many_streams_are_refused_and_the_page_still_answers(dashboard: Dashboard) -> None:
    client = dashboard.client()
    streams = [client.events("/events/status") for _ in range(64)]
    assert all(stream.next() is not None for stream in streams)
    assert client.get("/events/status").status == 503
    assert client.get("/").status == 200
    for connection in dashboard.connections:
        connection.close()
    closed = threading.Event()
    for _ in range(200):
        if client.get("/healthz").status == 200 and _accepts(dashboard):
            closed.set()
            break
    assert closed.is_set(), "closed streams are still counted"


def _accepts(dashboard: Dashboard) -> bool:
    connection = dashboard.connect()
    connection.request("GET", "/events/status")
    response = connection.getresponse()
    accepted = response.status == 200
    connection.close()
    response.close()
    return accepted
