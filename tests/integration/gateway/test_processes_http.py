"""Background processes over a real gateway: they and their output outlive it, and nothing is told twice."""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hermes_cli.home import Home
from hermes_cli.processes.profile import registry_of
from hermes_cli.processes.registry import Registry
from hermes_cli.processes.types import Owner, StartRequest

from .harness import TOKEN, Gateway, Yard, until

ROOT = "/v1/processes"


@pytest.fixture(autouse=True)
def no_process_left(yard: Yard) -> Iterator[None]:
    yield
    for home in [Home.of(root=yard.root)]:
        registry_of(home).kill_all(grace=0)


@pytest.fixture
def gateway(yard: Yard) -> Gateway:
    return yard.start(yard.profile()).ready()


def call(gateway: Gateway, path: str, body: object = None, *, method: str = "") -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    return gateway.json(ROOT + path, method=method or ("GET" if body is None else "POST"), body=data)


def ok(gateway: Gateway, path: str, body: object = None, **options: Any) -> Any:
    status, answer = call(gateway, path, body, **options)
    assert status in (200, 201), answer
    return answer


def start(gateway: Gateway, command: str, **fields: Any) -> str:
    return str(ok(gateway, "", {"command": command, **fields})["session_id"])


class Stream:
    """Server-sent events as a client reads them."""

    def __init__(self, gateway: Gateway, path: str, **headers: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
        asked = {"Authorization": f"Bearer {TOKEN}", "Accept": "text/event-stream", **headers}
        self.connection.request("GET", ROOT + path, headers=asked)
        self.answer = self.connection.getresponse()

    def events(self) -> Iterator[tuple[str, str | None, Any]]:
        """Type, id and data of each, until the stream ends."""
        fields: dict[str, str] = {}
        try:
            while line := self.answer.readline():
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name:
                    fields[name] = value
                elif fields.get("event"):
                    yield fields["event"], fields.get("id"), json.loads(fields["data"])
                    fields = {}
        finally:
            self.close()

    def close(self) -> None:
        self.answer.close()
        self.connection.close()


def test_every_verb_answers(gateway: Gateway) -> None:
    started = ok(gateway, "", {"argv": ["cat"], "session_key": "s", "task_id": "t"})
    assert started["status"] == "running"
    one = started["session_id"]
    assert [row["session_id"] for row in ok(gateway, "?session_key=s")["processes"]] == [one]
    assert ok(gateway, "?task_id=other")["processes"] == []
    assert ok(gateway, f"/{one}/write", {"data": "a "})["bytes_written"] == 2
    sent = base64.b64encode(b"\xff b").decode()
    assert ok(gateway, f"/{one}/write", {"data_base64": sent})["bytes_written"] == 3
    assert ok(gateway, f"/{one}/submit", {"text": " c"}) == {
        "session_id": one,
        "status": "ok",
        "bytes_written": 3,
    }
    assert ok(gateway, f"/{one}/close", {})["status"] == "closed"
    waited = ok(gateway, f"/{one[:10]}/wait?timeout=5")
    assert (waited["status"], waited["exit_code"]) == ("exited", 0)
    assert waited["output"] == "a \N{REPLACEMENT CHARACTER} b c\n"
    assert ok(gateway, f"/{one}/log?limit=1")["total_lines"] == 1
    assert ok(gateway, f"/{one}?cursor=5")["output"] == " c\n"
    until("its keeper's end", lambda: not _status(gateway, one)["control"])
    assert ok(gateway, f"/{one}/kill", {})["status"] == "already_exited"


def test_kill_ends_everything_that_was_started(gateway: Gateway) -> None:
    one = start(gateway, "trap '' TERM; setsid sleep 1000 & sleep 1000; sleep 1000")
    killed = ok(gateway, f"/{one}/kill", {"grace": 0.2})
    assert (killed["status"], killed["exit_code"]) == ("killed", 137)
    assert ok(gateway, f"/{one}/wait")["status"] == "killed"


def test_a_terminal_has_the_size_that_is_sent(gateway: Gateway) -> None:
    one = start(gateway, "read x; stty size; read x", pty=True, rows=10, columns=20)
    assert ok(gateway, f"/{one}/resize", {"rows": 33, "columns": 44})["status"] == "ok"
    ok(gateway, f"/{one}/submit", {})
    until("size", lambda: "33 44" in ok(gateway, f"/{one}/output?cursor=0")["output"])


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("", {"command": "x", "argv": ["x"]}, 422, "cannot_start"),
        ("", {}, 422, "cannot_start"),
        ("", {"command": "x", "comand": "y"}, 400, "bad_request"),
        ("", {"command": 7}, 400, "bad_request"),
        ("", [], 400, "bad_request"),
        ("", {"argv": ["/no/such/program"]}, 422, "cannot_start"),
        ("", {"command": "x", "cwd": "/no/such/place"}, 422, "cannot_start"),
        ("", {"command": "x", "cwd": "relative"}, 422, "cannot_start"),
        ("", {"argv": ["a\0b"]}, 422, "cannot_start"),
        ("", {"command": "x", "watch_patterns": ["re:("]}, 422, "bad_pattern"),
        ("", {"command": "x", "rows": 0}, 400, "bad_request"),
        ("", {"command": "x", "cap_bytes": 1 << 40}, 429, "limit"),
        ("/dead", None, 404, "not_found"),
        ("/..%2f..", None, 404, "not_found"),
        ("/proc_0123456789ab/kill", {}, 404, "not_found"),
        ("/events?after=x", None, 400, "bad_request"),
        ("/events?wait=-1", None, 400, "bad_request"),
        ("/events/ack", {"ids": ["1"]}, 400, "bad_request"),
    ],
)
def test_what_cannot_be_is_a_problem_with_a_code(
    gateway: Gateway, path: str, body: object, status: int, code: str
) -> None:
    answered, problem = call(gateway, path, body)
    assert (answered, problem["code"]) == (status, code), problem
    assert problem["detail"]
    assert ok(gateway, "")["processes"] == []


def test_what_is_wrong_with_a_request_for_a_process_is_said(gateway: Gateway) -> None:
    one = start(gateway, "echo hello")
    ok(gateway, f"/{one}/wait")
    for path, body, status, code in [
        (f"/{one}/output?cursor=7", None, 400, "bad_cursor"),
        (f"/{one}/output?cursor=-1", None, 400, "bad_cursor"),
        (f"/{one}/output?cursor=1e3", None, 400, "bad_cursor"),
        (f"/{one}/output?wait=soon", None, 400, "bad_request"),
        (f"/{one}/log?offset=2", None, 400, "bad_cursor"),
        (f"/{one}/log?limit=0", None, 400, "bad_request"),
        (f"/{one}/write", {"data": "x"}, 409, "not_running"),
        (f"/{one}/write", {}, 400, "bad_request"),
        (f"/{one}/write", {"data": "x", "data_base64": "eA=="}, 400, "bad_request"),
        (f"/{one}/write", {"data_base64": "!"}, 400, "bad_request"),
        (f"/{one}/resize", {"rows": 2, "columns": 2}, 409, "not_running"),
        (f"/{one}/kill", {"grace": -1}, 400, "bad_request"),
        (f"/{one}/none", None, 404, "not_found"),
    ]:
        answered, problem = call(gateway, path, body)
        assert (answered, problem["code"]) == (status, code), (path, problem)
    stream = Stream(gateway, f"/{one}/output?cursor=7")
    assert stream.answer.status == 400
    stream.close()


def test_a_page_waits_for_output_and_no_longer(gateway: Gateway) -> None:
    one = start(gateway, "read x; echo woken; read x")
    with ThreadPoolExecutor(1) as pool:
        page = pool.submit(ok, gateway, f"/{one}/output?cursor=0&wait=9")
        time.sleep(0.3)
        assert not page.done()
        before = time.monotonic()
        ok(gateway, f"/{one}/submit", {})
        assert page.result()["output"] == "woken\n"
        assert time.monotonic() - before < 1
    before = time.monotonic()
    assert ok(gateway, f"/{one}/output?cursor=6&wait=0.3")["output"] == ""
    assert 0.3 <= time.monotonic() - before < 2


def test_a_stream_goes_on_from_its_cursor_to_the_end(gateway: Gateway) -> None:
    one = start(gateway, "printf 123; read x; printf 'd\\303\\251f\\n'; exit 5")
    events = Stream(gateway, f"/{one}/output").events()
    kind, cursor, data = next(events)
    assert (kind, cursor, data["output"]) == ("output", "3", "123")
    ok(gateway, f"/{one}/submit", {})
    seen, ended = "", None
    for kind, _, data in events:
        if kind == "end":
            ended = data
        else:
            seen += data["output"]
    assert seen == "d\N{LATIN SMALL LETTER E WITH ACUTE}f\n"
    assert ended is not None
    assert (ended["status"], ended["exit_code"], ended["cursor"]) == ("exited", 5, 8)
    again = list(Stream(gateway, f"/{one}/output?cursor=0", **{"Last-Event-ID": "4"}).events())
    assert "".join(data.get("output", "") for _, _, data in again) == "\N{LATIN SMALL LETTER E WITH ACUTE}f\n"
    assert [kind for kind, _, _ in again][-1] == "end"


def test_a_killed_gateway_takes_nothing_with_it(yard: Yard) -> None:
    home = yard.profile()
    first = yard.start(home).ready()
    one = start(
        first, "i=0; while read x; do i=$((i+1)); echo line $i $x; done; exit 9", notify_on_complete=True,
        session_key="me",
    )  # fmt: skip
    ok(first, f"/{one}/submit", {"text": "before"})
    until("output", lambda: ok(first, f"/{one}/output?cursor=0")["output"] == "line 1 before\n")
    first.kill()
    first.ended()
    registry: Registry = registry_of(home)
    registry.submit(one, "meanwhile")
    second = yard.start(home).ready()
    assert ok(second, f"/{one}")["status"] == "running"
    ok(second, f"/{one}/submit", {"text": "after"})
    second.kill()
    second.ended()
    registry.close(one)
    assert registry.wait(one, 5).exit_code == 9
    third = yard.start(home).ready()
    assert ok(third, f"/{one}/log")["output"] == "line 1 before\nline 2 meanwhile\nline 3 after"
    (event,) = ok(third, "/events?session_key=me&wait=5")["events"]
    assert (event["type"], event["session_id"], event["exit_code"]) == ("completion", one, 9)
    third.kill()
    third.ended()
    fourth = yard.start(home).ready()
    assert [again["id"] for again in ok(fourth, "/events?session_key=me")["events"]] == [event["id"]]
    assert ok(fourth, "/events/ack", {"session_key": "me", "ids": [event["id"]]}) == {"acknowledged": 1}
    assert ok(fourth, "/events?session_key=me")["events"] == []


def test_events_go_to_their_owner_alone_and_wake_who_waits_for_them(gateway: Gateway) -> None:
    with ThreadPoolExecutor(2) as pool:
        mine = pool.submit(ok, gateway, "/events?session_key=me&wait=9")
        other = pool.submit(ok, gateway, "/events?session_key=other&wait=2")
        time.sleep(0.2)
        one = start(
            gateway,
            "echo ready; echo no; sleep 1000",
            watch_patterns=["ready"],
            session_key="me",
            chat_id="c",
        )
        (event,) = mine.result()["events"]
        assert other.result()["events"] == []
    assert (event["type"], event["output"], event["chat_id"]) == ("watch_match", "ready", "c")
    assert ok(gateway, "/events/ack", {"session_key": "other", "ids": [event["id"]]})["acknowledged"] == 0
    assert ok(gateway, "/events/ack", {"ids": [event["id"]]})["acknowledged"] == 0
    assert ok(gateway, f"/events?session_key=me&after={event['id']}")["events"] == []
    assert ok(gateway, "/events/ack", {"session_key": "me", "ids": [event["id"]]})["acknowledged"] == 1
    assert ok(gateway, f"/{one}/kill", {"grace": 0})["status"] == "killed"


def test_a_lost_process_is_told_of_though_nobody_asks(gateway: Gateway) -> None:
    one = start(gateway, "sleep 1000", notify_on_complete=True, session_key="me")
    status = _status(gateway, one)
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(ok, gateway, "/events?session_key=me&wait=9")
        os.kill(status["keeper"]["pid"], signal.SIGKILL)
        (event,) = told.result()["events"]
    assert (event["type"], event["status"]) == ("completion", "lost")
    assert "kill -9" in event["message"]


def test_waiting_takes_no_thread(gateway: Gateway) -> None:
    one = start(gateway, "read x")
    with ThreadPoolExecutor(60) as pool:
        pages = [pool.submit(ok, gateway, f"/{one}/output?cursor=0&wait=8") for _ in range(30)]
        waits = [pool.submit(ok, gateway, f"/{one}/wait?timeout=8") for _ in range(30)]
        status = Path(f"/proc/{gateway.process.pid}/status")
        waiting = lambda: gateway.json("/v1/status")[1]["connections"] > 60  # noqa: E731
        until("60 waiting clients", waiting)
        threads = int(status.read_text().partition("Threads:")[2].split()[0])
        assert threads < 25
        before = _cpu(gateway)
        time.sleep(1)
        assert _cpu(gateway) - before < 0.2
        ok(gateway, f"/{one}/submit", {})
        assert all(page.result()["status"] == "exited" for page in pages)
        assert all(wait.result()["status"] == "exited" for wait in waits)


def test_a_reader_that_does_not_read_costs_nobody_anything(gateway: Gateway) -> None:
    one = start(gateway, "yes 0123456789012345678901234567890123456789")
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.sendall(
            f"GET {ROOT}/{one}/output HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"
            f"Authorization: Bearer {TOKEN}\r\n\r\n".encode()
        )
        time.sleep(2)
        before = time.monotonic()
        assert ok(gateway, f"/{one}")["status"] == "running"
        assert time.monotonic() - before < 1
        resident = int(
            Path(f"/proc/{gateway.process.pid}/status").read_text().partition("VmRSS:")[2].split()[0]
        )
        assert resident < 100 << 10
    ok(gateway, f"/{one}/kill", {"grace": 0})


def test_a_drain_ends_every_wait_with_a_word_and_no_process(yard: Yard) -> None:
    gateway = yard.start(yard.profile()).ready()
    one = start(gateway, "read x; exit 4")
    stream = Stream(gateway, f"/{one}/output")
    with ThreadPoolExecutor(3) as pool:
        page = pool.submit(ok, gateway, f"/{one}/output?wait=50")
        wait = pool.submit(ok, gateway, f"/{one}/wait")
        events = pool.submit(ok, gateway, "/events?wait=50")
        until("clients", lambda: gateway.json("/v1/status")[1]["connections"] >= 5)
        before = time.monotonic()
        gateway.kill(signal.SIGTERM)
        assert gateway.ended() == 0
        assert time.monotonic() - before < 3
        assert [(kind, data) for kind, _, data in stream.events()] == [("closed", {"reason": "draining"})]
        assert page.result()["status"] == "running"
        assert wait.result()["status"] == "interrupted"
        assert events.result()["events"] == []
    registry: Registry = registry_of(gateway.home)
    registry.submit(one, "")
    assert registry.wait(one, 5).exit_code == 4


def test_the_start_of_a_gateway_settles_and_forgets(yard: Yard) -> None:
    home = yard.profile()
    registry: Registry = registry_of(home)
    old = registry.start(StartRequest(command="true")).session_id
    registry.wait(old, 5)
    path = home.processes / old / "status.json"
    until("the keeper's end", lambda: not json.loads(path.read_text())["control"])
    path.write_text(json.dumps(json.loads(path.read_text()) | {"ended_at": time.time() - 3600}))
    lost = registry.start(StartRequest(command="sleep 1000", owner=Owner(session_key="me"))).session_id
    status = home.processes / lost / "status.json"
    os.kill(json.loads(status.read_text())["keeper"]["pid"], signal.SIGKILL)
    gateway = yard.start(home).ready()
    until("the end of the old one", lambda: not (home.processes / old).exists())
    until("lost", lambda: json.loads(status.read_text())["state"] == "lost")
    text = gateway.get("/metrics")[2].decode()
    assert 'hermes_processes{state="lost"} 1' in text
    assert 'hermes_processes{state="running"} 0' in text


def test_an_idle_gateway_loads_nothing_of_it(gateway: Gateway) -> None:
    assert gateway.json("/v1/capabilities")[1]["features"]["processes"] is True
    maps = Path(f"/proc/{gateway.process.pid}/maps").read_text()
    assert "apsw" not in maps


def test_a_broken_outbox_is_a_problem_and_mended_when_it_is_gone(yard: Yard) -> None:
    home = yard.profile()
    home.processes.mkdir()
    (home.processes / "outbox.db").write_bytes(b"no database at all" * 100)
    gateway = yard.start(home).ready()
    one = start(gateway, "true", notify_on_complete=True, session_key="me")
    status, problem = call(gateway, "/events?session_key=me")
    assert (status, problem["code"]) == (503, "outbox")
    until("degraded", lambda: "outbox.db" in str(gateway.json("/v1/status")[1]["problems"]))
    (home.processes / "outbox.db").unlink()
    (event,) = ok(gateway, "/events?session_key=me&wait=5")["events"]
    assert event["session_id"] == one


def _status(gateway: Gateway, process_id: str) -> Any:
    return json.loads((gateway.home.processes / process_id / "status.json").read_text())


def _cpu(gateway: Gateway) -> float:
    """Seconds of processor time so far."""
    fields = Path(f"/proc/{gateway.process.pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
