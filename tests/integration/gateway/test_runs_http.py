"""Runs over a real gateway: going away cancels nothing, a kill loses nothing, and nothing runs twice."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hermes_cli.gateway.client import GatewayAnswerError, GatewayUnreachableError
from hermes_cli.gateway.run_api import RunBody, RunEvent, RunStarted
from hermes_cli.gateway.run_routes import PATHS
from hermes_cli.home import Home
from hermes_cli.processes.profile import registry_of
from hermes_cli.processes.registry import Registry

from .harness import TOKEN, Gateway, Yard, until

KILLS = int(os.environ.get("RESTARTS", "6"))
"""How often a gateway is killed at random points while its runs go on; more by hand."""

NUMBERED = "i=0; while [ $i -lt {count} ]; do i=$((i+1)); echo $i; sleep {pause}; done; echo once >>{effect}"


@pytest.fixture(autouse=True)
def no_process_left(yard: Yard) -> Iterator[None]:
    yield
    registry_of(Home.of(root=yard.root)).kill_all(grace=0)


@pytest.fixture
def gateway(yard: Yard) -> Gateway:
    return yard.start(yard.profile()).ready()


def start(gateway: Gateway, message: str, **fields: Any) -> RunStarted:
    return gateway.client.runs.start(RunBody(message=message, **fields))


def call(gateway: Gateway, path: str, body: object = None, method: str = "") -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    return gateway.json(path, method=method or ("GET" if body is None else "POST"), body=data)


def ask(
    gateway: Gateway,
    path: str,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, str, bytes]:
    """Status, media type and body."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    try:
        connection.request(method, path, body, {"Authorization": f"Bearer {TOKEN}", **(headers or {})})
        answer = connection.getresponse()
        return answer.status, (answer.getheader("content-type") or "").split(";")[0], answer.read()
    finally:
        connection.close()


@contextlib.contextmanager
def streaming(gateway: Gateway, path: str) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    asked = {"Authorization": f"Bearer {TOKEN}", "Accept": "text/event-stream"}
    try:
        connection.request("GET", path, headers=asked)
        with connection.getresponse() as answer:
            assert answer.status == 200
            yield answer
    finally:
        connection.close()


def restarted(yard: Yard, gateway: Gateway) -> Gateway:
    """Killed, and started again at once: the ledger, which would have it wait, knows of nothing."""
    gateway.kill()
    gateway.ended()
    gateway.home.state.unlink(missing_ok=True)
    return yard.start(gateway.home)


def texts(events: list[RunEvent]) -> str:
    return "".join(event.payload.get("text", "") for event in events if event.type == "delta")


def whole(events: list[RunEvent]) -> None:
    """Numbered from 1 without a gap, and the last one, and only that, is terminal."""
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.terminal for event in events] == [False] * (len(events) - 1) + [True]


def ended(gateway: Gateway, run_id: str) -> list[RunEvent]:
    events = list(gateway.client.runs.events(run_id))
    whole(events)
    return events


def descendants(marker: str) -> list[int]:
    """Processes that have `marker` in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if marker.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


# Shapes


def test_a_run_is_started_looked_at_and_told_to_its_end(gateway: Gateway) -> None:
    status, started = call(gateway, "/v1/runs", {"message": "echo a; exit 3", "metadata": {"k": [1]}})
    assert status == 201
    wanted = {"run_id", "session_id", "stream_id", "status", "started_at", "cursor", "active_controls"}
    assert wanted <= started.keys()
    events = ended(gateway, started["run_id"])
    assert [event.type for event in events] == ["started", "delta", "failed"]
    _, run = call(gateway, f"/v1/runs/{started['run_id'][4:12]}")
    assert (run["status"], run["terminal_state"], run["exit_code"]) == ("failed", "failed", 3)
    assert run["last_event_id"] == events[-1].event_id
    assert (run["active_controls"], run["metadata"]) == ([], {"k": [1]})
    _, listed = call(gateway, f"/v1/runs?session_id={started['session_id']}&status=failed")
    assert [row["run_id"] for row in listed["runs"]] == [run["run_id"]]
    assert call(gateway, "/v1/runs?status=running")[1] == {"runs": []}


def test_one_key_is_one_run_and_another_body_is_refused(gateway: Gateway) -> None:
    client = gateway.client.runs
    first = client.start(RunBody(message="echo x >>count"), key="k")
    assert client.start(RunBody(message="echo x >>count"), key="k").run_id == first.run_id
    with pytest.raises(GatewayAnswerError) as caught:
        client.start(RunBody(message="echo y >>count"), key="k")
    assert (caught.value.status, caught.value.code) == (409, "idempotency_key_reused")
    assert caught.value.problem["run_id"] == first.run_id
    with ThreadPoolExecutor(8) as pool:
        same = list(pool.map(lambda _: client.start(RunBody(message="true"), key="j").run_id, range(16)))
    assert len(set(same)) == 1
    ended(gateway, first.run_id)
    assert (gateway.home.workspace / "count").read_text() == "x\n"


def test_a_busy_session_names_its_run_and_a_queued_one_waits(gateway: Gateway) -> None:
    first = start(gateway, "until [ -e go ]; do sleep 0.02; done; echo first >>order")
    body = {"message": "echo second >>order", "session_id": first.session_id}
    status, problem = call(gateway, "/v1/runs", body)
    assert (status, problem["code"], problem["run_id"]) == (409, "session_busy", first.run_id)
    status, second = call(gateway, "/v1/runs", body | {"on_conflict": "queue"})
    assert (status, second["status"]) == (201, "queued")
    client = gateway.client.runs
    until("it runs", lambda: client.get(first.run_id).status == "running")
    assert client.session(first.session_id).active_run_id == first.run_id
    assert [run.run_id for run in client.session_runs(first.session_id)] == [first.run_id, second["run_id"]]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(list, client.events(second["run_id"]))
        (gateway.home.workspace / "go").touch()
        whole(waiting.result(10))
    assert (gateway.home.workspace / "order").read_text() == "first\nsecond\n"
    assert client.session_runs(first.session_id)[0].run_id == second["run_id"]


@pytest.mark.parametrize(
    ("cursor", "status", "code"),
    [
        ("x", 400, "cursor_malformed"),
        ("-1", 400, "cursor_malformed"),
        ("run_0123456789abcdef:1", 400, "cursor_foreign"),
        ("{run}:4", 400, "cursor_ahead"),
        ("{run}:99999999999999999999", 400, "cursor_malformed"),
    ],
)
def test_a_cursor_that_is_not_the_runs_is_refused_for_pages_and_streams(
    gateway: Gateway, cursor: str, status: int, code: str
) -> None:
    run_id = start(gateway, "echo a").run_id
    ended(gateway, run_id)
    cursor = cursor.format(run=run_id)
    for accept in ("application/json", "text/event-stream"):
        for path, headers in (
            (f"/v1/runs/{run_id}/events?cursor={cursor}", {}),
            (f"/v1/runs/{run_id}/events", {"Last-Event-ID": cursor}),
        ):
            answered, _, body = ask(gateway, path, headers={"Accept": accept, **headers})
            assert (answered, json.loads(body)["code"]) == (status, code)


def test_a_page_waits_for_an_event_and_no_longer(gateway: Gateway) -> None:
    run = start(gateway, "until [ -e go ]; do sleep 0.02; done; echo woken")
    client = gateway.client.runs
    first = until("started", lambda: client.page(run.run_id).events and client.page(run.run_id))
    with ThreadPoolExecutor(1) as pool:
        page = pool.submit(client.page, run.run_id, first.cursor, wait=9)
        before = time.monotonic()
        assert client.page(run.run_id, first.cursor, wait=0.3).events == []
        assert 0.3 <= time.monotonic() - before < 2
        assert not page.done()
        (gateway.home.workspace / "go").touch()
        assert page.result().events[0].payload == {"text": "woken\n"}


def test_controls_an_agent_has_not_are_unsupported_and_change_nothing(gateway: Gateway) -> None:
    run = start(gateway, "until [ -e go ]; do sleep 0.02; done")
    path = f"/v1/runs/{run.run_id}"
    before = until("running", lambda: gateway.client.runs.get(run.run_id).last_event_id)
    controls = gateway.json("/v1/capabilities")[1]["agent"]["controls"]
    assert controls == ["approval", "cancel"]
    for where, body in (
        (f"{path}/messages", {"message": "x"}),
        (f"{path}/clarifications/c1/respond", {"answer": "x"}),
        (f"/v1/sessions/{run.session_id}/goal", {"goal": "x"}),
    ):
        status, answer = call(gateway, where, body)
        assert (status, answer["accepted"], answer["status"]) == (200, False, "unsupported"), where
        assert answer["event_id"] is None
    status, answer = call(gateway, f"{path}/approval", {"decision": "approve"})
    assert (status, answer["accepted"], answer["status"]) == (200, False, "not-active")
    assert gateway.client.runs.get(run.run_id).last_event_id == before
    (gateway.home.workspace / "go").touch()
    ended(gateway, run.run_id)
    assert call(gateway, f"{path}/cancel", {})[1]["status"] == "not-active"


@pytest.mark.parametrize(("decision", "state"), [("approve", "completed"), ("deny", "cancelled")])
def test_what_is_dangerous_waits_for_a_decision(gateway: Gateway, decision: str, state: str) -> None:
    (gateway.home.path / "workspace").mkdir(exist_ok=True)
    victim = gateway.home.workspace / "victim"
    victim.mkdir()
    run = start(gateway, "rm -rf victim")
    client = gateway.client.runs
    asked = until("approval", lambda: client.get(run.run_id).pending_approval_id)
    assert client.get(run.run_id).active_controls == ["approval", "cancel"]
    assert client.decide(run.run_id, True, "apr_other").status == "expired"
    assert victim.exists()
    status, answer = call(
        gateway, f"/v1/runs/{run.run_id}/approval", {"decision": decision, "approval_id": asked}
    )
    assert (status, answer["accepted"]) == (200, True)
    assert ended(gateway, run.run_id)[-1].type == state
    assert victim.exists() == (decision == "deny")


def test_a_session_has_a_log_and_goes_with_all_of_it(gateway: Gateway) -> None:
    client = gateway.client.runs
    run = start(gateway, "echo one")
    ended(gateway, run.run_id)
    again = start(gateway, "echo two", session_id=run.session_id)
    ended(gateway, again.run_id)
    lines = [json.loads(line) for line in client.session_log(run.session_id)]
    assert [(line["type"], line["text"]) for line in lines] == [
        ("message", "echo one"),
        ("answer", "one\n"),
        ("message", "echo two"),
        ("answer", "two\n"),
    ]
    path = gateway.home.sessions / f"{run.session_id}.jsonl"
    assert path.stat().st_mode & 0o777 == 0o600
    with path.open("ab") as file:
        file.write(b'{"type":"mess')  # as a crash leaves it
    third = start(gateway, "echo three", session_id=run.session_id)
    ended(gateway, third.run_id)
    assert [json.loads(line)["type"] for line in client.session_log(run.session_id)] == [
        *("message", "answer") * 3
    ]
    assert client.delete_session(run.session_id).runs == 3
    assert not path.exists()
    for ask_again in (client.session, client.session_runs, client.delete_session):
        with pytest.raises(GatewayAnswerError) as caught:
            ask_again(run.session_id)
        assert (caught.value.status, caught.value.code) == (404, "session_not_found")
    assert client.recent() == []


def test_secrets_of_the_profile_are_in_no_answer_and_no_log(yard: Yard) -> None:
    home = yard.profile()
    with home.env.open("a") as file:
        file.write("API_TOKEN=hunter2hunter2\n")
    gateway = yard.start(home).ready()
    run = start(gateway, "echo hunter2hunter2")
    ended(gateway, run.run_id)
    for path in (f"/v1/runs/{run.run_id}", "/v1/runs", "/v1/sessions", f"/v1/runs/{run.run_id}/events"):
        assert b"hunter2" not in gateway.get(path)[2], path
    assert b"hunter2" not in b"".join(gateway.client.runs.session_log(run.session_id))
    waiting = start(gateway, "rm -rf hunter2hunter2")
    until("approval", lambda: gateway.client.runs.get(waiting.run_id).pending_approval_id)
    assert b"hunter2" not in gateway.get(f"/v1/runs/{waiting.run_id}/events")[2]


# Cancel


def test_cancel_reaches_whatever_it_is_and_leaves_nobody(gateway: Gateway) -> None:
    client = gateway.client.runs
    marker = f"cancel-{os.urandom(6).hex()}"
    stubborn = f"trap '' TERM; (setsid sh -c 'trap \"\" TERM; while :; do sleep 1; done' {marker}) & wait"
    running = start(gateway, stubborn)
    until("grandchildren", lambda: descendants(marker))
    queued = start(gateway, "echo never", session_id=running.session_id, on_conflict="queue")
    awaiting = start(gateway, "rm -rf /tmp/nothing-of-that-name")
    until("approval", lambda: client.get(awaiting.run_id).pending_approval_id)
    for run in (queued, awaiting, running):
        assert client.cancel(run.run_id).accepted
        client.cancel(run.run_id)  # twice is harmless
        assert ended(gateway, run.run_id)[-1].type == "cancelled"
    until("nobody left", lambda: not descendants(marker))


def test_a_cancellation_that_races_the_end_leaves_one_terminal_event(gateway: Gateway) -> None:
    client = gateway.client.runs
    dice = random.Random(5)

    def race(_: int) -> str:
        run = start(gateway, "sleep 0.05")
        time.sleep(dice.uniform(0, 0.12))
        answer = client.cancel(run.run_id)
        last = ended(gateway, run.run_id)[-1].type
        assert answer.accepted or last == "completed"
        return last

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(race, range(40))) <= {"completed", "cancelled"}


# Restarts


def test_a_killed_gateway_loses_no_event_tells_none_twice_and_runs_nothing_twice(yard: Yard) -> None:
    home = yard.profile()
    gateway = yard.start(home).ready()
    dice = random.Random(11)
    effect = home.path / "effect"
    runs = [
        start(gateway, NUMBERED.format(count=10 * KILLS, pause=0.05, effect=f"{effect}{number}"))
        for number in range(3)
    ]
    client = gateway.client.runs
    with ThreadPoolExecutor(6) as pool:
        told = [pool.submit(list, client.events(run.run_id)) for run in runs for _ in range(2)]
        for _ in range(KILLS):
            time.sleep(dice.uniform(0, 0.5))
            gateway = restarted(yard, gateway)
            if dice.random() < 0.7:
                gateway.ready()
        for one in told:
            events = one.result(30 + KILLS)
            whole(events)
            assert texts(events).split() == [str(number) for number in range(1, 10 * KILLS + 1)]
            assert events[-1].type == "completed"
    for number in range(3):
        assert Path(f"{effect}{number}").read_text() == "once\n"


def test_a_run_that_ended_while_no_gateway_was_there_is_told_by_the_next(yard: Yard) -> None:
    home = yard.profile()
    gateway = yard.start(home).ready()
    run = start(gateway, "until [ -e go ]; do sleep 0.02; done; echo alone; exit 7")
    until("running", lambda: gateway.client.runs.get(run.run_id).status == "running")
    gateway.kill()
    gateway.ended()
    with pytest.raises(GatewayUnreachableError):
        gateway.client.runs.get(run.run_id)
    (home.workspace / "go").touch()
    registry: Registry = registry_of(home)
    until("end", lambda: all(row.status != "running" for row in registry.list()))
    gateway = yard.start(home).ready()
    events = ended(gateway, run.run_id)
    assert (texts(events), events[-1].type, events[-1].payload["exit_code"]) == ("alone\n", "failed", 7)


def test_a_drain_closes_streams_with_a_marker_and_ends_no_run(yard: Yard) -> None:
    home = yard.profile()
    gateway = yard.start(home).ready()
    run = start(gateway, "until [ -e go ]; do sleep 0.02; done; echo after")
    with (
        streaming(gateway, f"/v1/runs/{run.run_id}/events") as stream,
        ThreadPoolExecutor(1) as pool,
    ):
        assert b"started" in stream.read1()
        page = pool.submit(gateway.client.runs.page, run.run_id, f"{run.run_id}:1", wait=50)
        until("waiting", lambda: gateway.json("/v1/status")[1]["connections"] >= 3)
        before = time.monotonic()
        gateway.kill(signal.SIGTERM)
        assert gateway.ended() == 0
        assert time.monotonic() - before < 3
        assert page.result().events == []
        said = stream.read().decode()
    assert "event: closed" in said
    assert '"reason":"draining"' in said
    (home.workspace / "go").touch()
    gateway = yard.start(home).ready()
    assert texts(ended(gateway, run.run_id)) == "after\n"


def test_a_lost_process_makes_an_interrupted_run_once(yard: Yard) -> None:
    home = yard.profile()
    gateway = yard.start(home).ready()
    run = start(gateway, "sleep 1000")
    registry: Registry = registry_of(home)
    found = until("process", lambda: [row for row in registry.list() if row.status == "running"])
    status = json.loads((home.processes / found[0].session_id / "status.json").read_text())
    gateway.kill()
    gateway.ended()
    os.kill(status["keeper"]["pid"], signal.SIGKILL)
    for _ in range(2):
        gateway = yard.start(home).ready()
        events = ended(gateway, run.run_id)
        assert events[-1].type == "interrupted"
        assert events[-1].payload["reason"]
        gateway.kill()
        gateway.ended()


# Readers


def test_fifty_readers_that_join_at_random_are_told_the_same(gateway: Gateway) -> None:
    effect = gateway.home.path / "effect"
    run = start(gateway, NUMBERED.format(count=150, pause=0.01, effect=effect))
    dice = random.Random(3)
    delays = [dice.uniform(0, 2) for _ in range(50)]

    def read(delay: float) -> tuple[str, ...]:
        time.sleep(delay)
        return tuple(event.event_id for event in ended(gateway, run.run_id))

    with ThreadPoolExecutor(50) as pool:
        assert len(set(pool.map(read, delays))) == 1


def test_a_reader_of_a_byte_a_second_disturbs_nobody(gateway: Gateway) -> None:
    run = start(gateway, "yes 0123456789012345678901234567890123456789 | head -c 6000000")
    stop = time.monotonic() + 4
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.sendall(
            f"GET /v1/runs/{run.run_id}/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"
            f"Authorization: Bearer {TOKEN}\r\n\r\n".encode()
        )
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(ended, gateway, run.run_id)
            while time.monotonic() < stop:
                lazy.recv(1)
                before = time.monotonic()
                gateway.client.runs.get(run.run_id)
                assert time.monotonic() - before < 1
                time.sleep(0.2)
            events = other.result(10)
        assert len(texts(events)) == 6_000_000
        assert events[-1].type == "completed"
        resident = Path(f"/proc/{gateway.process.pid}/status").read_text().partition("VmRSS:")[2]
        assert int(resident.split()[0]) < 100 << 10


def test_a_reader_that_goes_away_costs_nothing_and_cancels_nothing(gateway: Gateway) -> None:
    run = start(gateway, "until [ -e go ]; do sleep 0.02; done; echo on")
    for _ in range(5):
        with streaming(gateway, f"/v1/runs/{run.run_id}/events") as stream:
            assert b"started" in stream.read1()
    until("they are gone", lambda: b"hermes_run_streams 0" in gateway.get("/metrics")[2])
    before = _cpu(gateway)
    time.sleep(1)
    assert _cpu(gateway) - before < 0.2
    assert b'hermes_runs{state="running"} 1' in gateway.get("/metrics")[2]
    (gateway.home.workspace / "go").touch()
    assert texts(ended(gateway, run.run_id)) == "on\n"


# Rubbish


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_request_is_answered_with_500(rubbish: Gateway, data: st.DataObject) -> None:
    method, path, _ = data.draw(st.sampled_from(PATHS))
    part = st.text(min_size=1, max_size=20) | st.sampled_from(["..", "run_", "ses_0000", "*", "a" * 300])
    for name in ("run_id", "session_id", "clarification_id"):
        path = path.replace(f"{{{name}}}", _quoted(data.draw(part)))
    words = st.text(max_size=12) | st.sampled_from(["-1", "1e9", "NaN", "inf", "99999999999999999999", "0"])
    query = data.draw(
        st.dictionaries(st.sampled_from(["cursor", "limit", "wait", "before", "status", "session_id"]), words)
    )
    query["wait"] = query["wait"] if query.get("wait") in ("NaN", "-1") else "0"
    if query:
        path += "?" + "&".join(f"{name}={_quoted(value)}" for name, value in query.items())
    value = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=8,
    )
    names = [
        "message",
        "session_id",
        "metadata",
        "decision",
        "workspace",
        "deadline_seconds",
        "goal",
        "answer",
    ]
    fields = st.dictionaries(st.sampled_from(names), value, max_size=4)
    body = data.draw(
        st.none() | st.binary(max_size=50) | fields.map(lambda found: json.dumps(found).encode())
    )
    if body:
        body = body.replace(b'"message": "', b'"message": "true # ')
    key = data.draw(st.none() | st.sampled_from(["k", "x" * 300, "a b"]))
    headers = {} if key is None else {"Idempotency-Key": key}
    status, media, answer = ask(rubbish, path, method=method, body=body, headers=headers)
    assert status < 500, (path, method, body, answer)
    if status >= 400:
        assert media == "application/problem+json"
        assert json.loads(answer)["code"]


@pytest.fixture(scope="module")
def rubbish(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway for all the rubbish together."""
    place = tmp_path_factory.mktemp("rubbish")
    for name in ("home", "output"):
        (place / name).mkdir()
    yard = Yard(place / "home", place / "output")
    try:
        yield yard.start(yard.profile()).ready()
    finally:
        yard.end()
        registry_of(Home.of(root=yard.root)).kill_all(grace=0)


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


def _cpu(gateway: Gateway) -> float:
    """Seconds of processor time so far."""
    fields = Path(f"/proc/{gateway.process.pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
