"""/v1/processes on each environment of a profile, over a real gateway; its events outlive a killed one."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hermes_cli.home import Home
from hermes_cli.processes import in_use
from hermes_cli.processes.environments import open_environment
from hermes_cli.processes.types import Owner, StartRequest
from tests.integration.gateway.harness import Gateway, Yard, until
from tests.integration.processes.sandboxes import Sandbox

ROOT = "/v1/processes"


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    root, logs = tmp_path / "home", tmp_path / "output"
    root.mkdir()
    logs.mkdir()
    made = Yard(root, logs)
    yield made
    made.end()


@pytest.fixture
def home(sandbox: Sandbox, yard: Yard, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A profile whose configuration names the sandbox."""
    monkeypatch.setenv("PATH", sandbox.path())
    made = yard.profile(config=sandbox.configuration())
    yield made
    yard.end()
    yard.started.clear()
    environment = open_environment(made)
    environment.kill_all(grace=0.0)
    environment.disconnect()


@pytest.fixture
def gateway(yard: Yard, home: Home) -> Gateway:
    return yard.start(home).ready()


def call(gateway: Gateway, path: str, body: object = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    return gateway.json(ROOT + path, method="GET" if body is None else "POST", body=data)


def ok(gateway: Gateway, path: str, body: object = None) -> Any:
    status, answer = call(gateway, path, body)
    assert status in (200, 201), answer
    return answer


def start(gateway: Gateway, command: str, **fields: Any) -> str:
    return str(ok(gateway, "", {"command": command, **fields})["session_id"])


def test_every_verb_answers(gateway: Gateway, sandbox: Sandbox) -> None:
    one = ok(gateway, "", {"argv": ["cat"], "session_key": "s", "env": {"A": "b"}})["session_id"]
    listed = ok(gateway, "?session_key=s")
    assert listed["environment"] == sandbox.name
    assert [row["session_id"] for row in listed["processes"]] == [one]
    named = ok(gateway, f"?environment={sandbox.name}")
    assert [row["session_id"] for row in named["processes"]] == [one]
    assert ok(gateway, f"/{one}/write", {"data": "a "})["bytes_written"] == 2
    assert ok(gateway, f"/{one}/submit", {"text": "b"})["status"] == "ok"
    page = ok(gateway, f"/{one}/output?cursor=0&wait=4")
    assert page["output"] == "a b\n"
    assert ok(gateway, f"/{one}/close", {})["status"] == "closed"
    waited = ok(gateway, f"/{one}/wait?timeout=4")
    assert (waited["status"], waited["exit_code"], waited["output"]) == ("exited", 0, "a b\n")
    assert ok(gateway, f"/{one}/log?limit=1")["total_lines"] == 1
    assert ok(gateway, f"/{one}?cursor=2")["output"] == "b\n"
    asleep = start(gateway, "sleep 600", pty=True, environment=sandbox.name)
    assert ok(gateway, f"/{asleep}/resize", {"rows": 30, "columns": 90})["status"] == "ok"
    assert ok(gateway, f"/{asleep}/kill", {"grace": 0.1})["status"] == "killed"
    assert call(gateway, "/proc_ffffffffffff")[0] == 404


def test_a_wait_for_output_or_the_end_is_answered_when_it_comes(gateway: Gateway) -> None:
    one = start(gateway, "read line; echo more; read line; exit 3")
    with ThreadPoolExecutor(2) as pool:
        page = pool.submit(ok, gateway, f"/{one}/output?wait=4")
        wait = pool.submit(ok, gateway, f"/{one}/wait?timeout=4")
        ok(gateway, f"/{one}/submit", {"text": ""})
        assert page.result()["output"] == "more\n"
        ok(gateway, f"/{one}/submit", {"text": ""})
        assert wait.result()["exit_code"] == 3


@pytest.mark.only("docker", "ssh")
def test_another_environment_than_the_profiles_is_asked_for(gateway: Gateway) -> None:
    one = start(gateway, "sleep 600", environment="local")
    assert [row["session_id"] for row in ok(gateway, "?environment=local")["processes"]] == [one]
    assert ok(gateway, "")["processes"] == []
    assert call(gateway, f"/{one}")[0] == 404
    assert ok(gateway, f"/{one}/kill?environment=local", {"grace": 0})["status"] == "killed"


@pytest.mark.only("local")
def test_an_environment_that_is_none_or_not_configured_is_refused(gateway: Gateway) -> None:
    status, answer = call(gateway, "?environment=moon")
    assert (status, answer["code"]) == (400, "bad_request")
    assert call(gateway, "", {"command": "true", "environment": "moon"})[0] == 400
    status, answer = call(gateway, "?environment=ssh")
    assert (status, answer["code"]) == (409, "environment_not_configured")
    assert "terminal.ssh.host" in answer["detail"]


def test_events_come_once_though_the_gateway_is_killed(gateway: Gateway, yard: Yard, home: Home) -> None:
    watched = "for n in 1 2 3; do read line; echo $n READY; done; sleep 600"
    one = start(gateway, "read line; echo bye; exit 4", notify_on_complete=True, session_key="me")
    other = start(gateway, watched, watch_patterns=["READY"], session_key="me")
    ok(gateway, f"/{other}/submit", {"text": ""})
    [match] = until("a match", lambda: ok(gateway, "/events?session_key=me&wait=4")["events"])
    assert (match["session_id"], match["type"], match["output"]) == (other, "watch_match", "1 READY")
    gateway.kill()
    gateway.ended()
    environment = open_environment(home)
    environment.submit(one, "")
    assert environment.wait(one, 10).exit_code == 4
    environment.disconnect()
    again = yard.start(home).ready()

    def both() -> list[Any]:
        found: list[Any] = ok(again, "/events?session_key=me&wait=1")["events"]
        return found if len(found) > 1 else []

    match, end = until("the end", both)
    assert (match["type"], match["session_id"]) == ("watch_match", other)
    assert (end["type"], end["session_id"], end["exit_code"]) == ("completion", one, 4)
    assert end["output"] == "bye\n"
    ids = [match["id"], end["id"]]
    assert ok(again, "/events/ack", {"session_key": "me", "ids": ids})["acknowledged"] == 2
    assert ok(again, "/events?session_key=me&wait=0.5")["events"] == []


@pytest.mark.only("docker", "ssh")
def test_what_a_command_line_started_is_told_by_the_gateway_and_then_let_go(
    gateway: Gateway, home: Home, sandbox: Sandbox
) -> None:
    environment = open_environment(home)
    request = StartRequest(command="exit 5", notify_on_complete=True, owner=Owner(session_key="cli"))
    one = environment.start(request).session_id
    environment.disconnect()
    [end] = until("the end", lambda: ok(gateway, "/events?session_key=cli&wait=4")["events"])
    assert (end["session_id"], end["exit_code"]) == (one, 5)
    until("nothing in use", lambda: not in_use.sandboxes_in_use(home.processes))
    threads = Path(f"/proc/{gateway.process.pid}/task")
    names = {(thread / "comm").read_text().strip() for thread in threads.iterdir()}
    assert f"events-{sandbox.name}" not in names


@pytest.mark.only("ssh")
def test_a_drain_ends_waits_in_a_sandbox_at_once(gateway: Gateway) -> None:
    one = start(gateway, "sleep 600", notify_on_complete=True)
    with ThreadPoolExecutor(2) as pool:
        page = pool.submit(ok, gateway, f"/{one}/output?wait=50")
        wait = pool.submit(ok, gateway, f"/{one}/wait")
        until("clients", lambda: gateway.json("/v1/status")[1]["connections"] >= 3)
        before = time.monotonic()
        os.kill(gateway.process.pid, 15)
        assert gateway.ended() == 0
        assert time.monotonic() - before < 4
        assert page.result()["status"] == "running"
        assert wait.result()["status"] == "interrupted"
