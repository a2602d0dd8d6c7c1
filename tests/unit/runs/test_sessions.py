"""Sessions: cut ids, the active run first, removal, beginning anew, and the log a person can read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hermes_cli.runs import sessions
from hermes_cli.runs.errors import AmbiguousIdError, NoSuchRunError, NoSuchSessionError, SessionBusyError
from hermes_cli.runs.session_log import SessionLogs
from hermes_cli.runs.store import Store, open_connection
from hermes_cli.runs.types import NewEvent, Run, RunRequest

DAY = 86400.0
END = NewEvent(type="completed", terminal="completed")


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    connection = open_connection(tmp_path / "state.db")
    yield Store(connection, clock=clock)
    connection.close()


@pytest.fixture
def logs(tmp_path: Path) -> SessionLogs:
    return SessionLogs(tmp_path / "sessions", lambda text: text.replace("secret", "***"))


def begin(store: Store, digits: str, session: str | None = None, message: str = "hello") -> Run:
    request = RunRequest(message=message, session_id=session)
    run, _ = store.create_run(
        f"run_{digits}", request, agent="shell", on_conflict="queue", new_session_id=f"ses_{digits}"
    )
    return run


def end(store: Store, run: Run, text: str = "") -> Run:
    said = [NewEvent(type="delta", payload={"text": text})] if text else []
    return store.append(run, [*said, END])[0]


def write(logs: SessionLogs, store: Store, session: str) -> list[dict[str, object]]:
    position, since = logs.position(session)
    lines, _ = logs.missing(store, session, since)
    logs.append(session, position, lines)
    path = logs.path(session)
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_an_id_may_be_cut_to_what_is_unique(store: Store) -> None:
    begin(store, "00aa000000000000")
    begin(store, "00aaf00000000000")
    assert sessions.find_run(store, "run_00aa0") == "run_00aa000000000000"
    assert sessions.find_run(store, "00AAF") == "run_00aaf00000000000"
    assert sessions.find_session(store, "ses_00aaf00000000000") == "ses_00aaf00000000000"
    with pytest.raises(AmbiguousIdError):
        sessions.find_run(store, "00aa")
    for given in ("00a", "", "run_", "ses_00aa0", "00aa%", "00ab", "g" * 16, "00aa0" + "0" * 40):
        with pytest.raises(NoSuchRunError):
            sessions.find_run(store, given)
    with pytest.raises(NoSuchSessionError):
        sessions.find_session(store, "ffff")


def test_the_active_run_comes_first_then_the_latest(store: Store) -> None:
    first = begin(store, "a" * 16)
    session = first.session_id
    end(store, first)
    active = begin(store, "b" * 16, session)
    store.append(active, [], status="running")
    queued = begin(store, "c" * 16, session)
    found = [run.run_id for run in sessions.runs_of(store, session, limit=10)]
    assert found == [active.run_id, queued.run_id, first.run_id]
    assert [run.run_id for run in sessions.runs_of(store, session, limit=1)] == [active.run_id]
    behind = sessions.runs_of(store, session, before=queued.run_id, limit=10)
    assert [run.run_id for run in behind] == [first.run_id]
    assert sessions.active_run(store, session) == active.run_id
    assert sessions.latest_run(store, session) == queued.run_id


def test_a_session_goes_with_its_runs_and_not_while_one_is_open(store: Store) -> None:
    run = begin(store, "a" * 16)
    with pytest.raises(SessionBusyError) as caught:
        sessions.delete(store, run.session_id)
    assert caught.value.run_id == run.run_id
    end(store, run)
    other = begin(store, "b" * 16)
    assert sessions.delete(store, run.session_id) == 1
    with pytest.raises(NoSuchSessionError):
        store.session(run.session_id)
    assert store.run(other.run_id).run_id == other.run_id
    assert store.check() == []


def test_sessions_are_listed_by_activity_and_page_on(store: Store) -> None:
    runs = [begin(store, digit * 16) for digit in "abc"]
    end(store, runs[0])
    end(store, begin(store, "d" * 16, runs[0].session_id))
    listed = [one.session_id for one in sessions.sessions(store, limit=10)]
    assert listed == [runs[0].session_id, runs[2].session_id, runs[1].session_id]
    page = sessions.sessions(store, before=listed[0], limit=1)
    assert [one.session_id for one in page] == [listed[1]]


def test_only_what_nobody_went_on_with_begins_anew_and_once(store: Store, clock: Clock) -> None:
    idle = end(store, begin(store, "a" * 16)).session_id
    begin(store, "b" * 16)  # waits still
    clock.now += DAY
    end(store, begin(store, "c" * 16))
    assert sessions.idle_sessions(store, clock.now - DAY / 2) == [idle]
    sessions.reset(store, idle, clock())
    assert sessions.idle_sessions(store, clock.now - DAY / 2) == []
    end(store, begin(store, "d" * 16, idle))
    clock.now += DAY
    assert idle in sessions.idle_sessions(store, clock.now - DAY / 2)


def test_the_log_tells_what_was_said_once_whatever_was_cut_off(
    store: Store, logs: SessionLogs, clock: Clock
) -> None:
    run = begin(store, "a" * 16, message="a secret")
    session = run.session_id
    assert write(logs, store, session) == []
    end(store, run, "one")
    first = write(logs, store, session)
    assert [(line["type"], line["text"]) for line in first] == [("message", "a ***"), ("answer", "one")]
    assert write(logs, store, session) == first
    end(store, begin(store, "b" * 16, session), "two")
    whole = write(logs, store, session)
    data = logs.path(session).read_bytes()
    for size in range(len(data)):
        logs.path(session).write_bytes(data[:size])
        assert write(logs, store, session) == whole
    sessions.reset(store, session, clock())
    end(store, begin(store, "c" * 16, session), "three")
    kinds = [line["type"] for line in write(logs, store, session)]
    assert kinds == [*("message", "answer") * 2, "reset", "message", "answer"]
    logs.remove(session)
    assert [line["type"] for line in write(logs, store, session)] == kinds


def test_the_log_of_what_has_lost_its_events_has_what_is_left(store: Store, logs: SessionLogs) -> None:
    run = end(store, begin(store, "a" * 16), "all of it")
    store.expire_events(1e12)
    (_, answer) = write(logs, store, run.session_id)
    assert (answer["text"], answer["cut"]) == ("all of it", True)
