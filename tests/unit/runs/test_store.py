"""The store of runs: numbering, the rules that the database itself keeps, cursors, retention, versions."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import apsw
import msgspec
import pytest

from hermes_cli.runs.errors import (
    BadCursorError,
    BadRequestError,
    JournalConflictError,
    KeyReusedError,
    NoSuchRunError,
    NoSuchSessionError,
    QueueFullError,
    RunEndedError,
    SessionBusyError,
    StoreError,
)
from hermes_cli.runs.schema import MIGRATIONS, VERSION, migrate
from hermes_cli.runs.store import Store, open_connection
from hermes_cli.runs.types import Event, NewEvent, Run, RunRequest

END = NewEvent(type="completed", terminal="completed")
DELTA = NewEvent(type="delta", payload={"text": "x"})


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    connection = open_connection(tmp_path / "state.db")
    yield Store(connection, clock=clock)
    connection.close()


def begin(store: Store, name: str = "run_1", **wanted: object) -> Run:
    request = RunRequest(message="hello", session_id=wanted.pop("session_id", None))  # type: ignore[arg-type]
    run, new = store.create_run(
        name,
        request,
        agent="shell",
        on_conflict="queue",
        new_session_id=f"ses_{name}",
        **wanted,  # type: ignore[arg-type]
    )
    assert new
    return run


def numbers(store: Store, run_id: str, after: int = 0) -> list[int]:
    return [msgspec.json.decode(body, type=Event).seq for body in store.events(run_id, after, 1000)]


def test_events_are_numbered_from_one_without_gaps(store: Store) -> None:
    run = begin(store)
    run, _ = store.append(run, [DELTA, DELTA])
    run, bodies = store.append(run, [DELTA])
    assert numbers(store, run.run_id) == [1, 2, 3]
    assert msgspec.json.decode(bodies[0], type=Event).event_id == "run_1:3"
    assert numbers(store, run.run_id, after=2) == [3]


def test_a_terminal_event_ends_the_run_and_nothing_comes_behind_it(store: Store) -> None:
    run, _ = store.append(begin(store), [DELTA, END])
    assert (run.status, run.terminal_state) == ("completed", "completed")
    assert store.run(run.run_id).status == "completed"
    with pytest.raises(RunEndedError):
        store.append(run, [DELTA])
    with pytest.raises(RunEndedError, match="behind"):
        store.append(begin(store, "run_2"), [END, DELTA])


def test_the_database_itself_refuses_a_second_end_and_a_later_event(store: Store) -> None:
    store.append(begin(store), [END])
    with pytest.raises(apsw.ConstraintError, match="the run has ended"):
        store.connection.execute("INSERT INTO events VALUES (1, 2, 0, x'00')")
    begin(store, "run_2")
    store.connection.execute("INSERT INTO events VALUES (2, 1, 1, x'00')")
    with pytest.raises(apsw.ConstraintError):
        store.connection.execute("INSERT INTO events VALUES (2, 2, 1, x'00')")


def test_a_session_has_one_active_run(store: Store) -> None:
    first = begin(store)
    store.append(first, [DELTA], status="running")
    second = begin(store, "run_2", session_id=first.session_id)
    with pytest.raises(apsw.ConstraintError):
        store.append(second, [DELTA], status="running")
    with pytest.raises(SessionBusyError, match="run_1"):
        store.create_run(
            "run_3", RunRequest(message="x", session_id=first.session_id), agent="shell", on_conflict="reject"
        )


def test_an_unknown_session_is_refused(store: Store) -> None:
    with pytest.raises(NoSuchSessionError):
        begin(store, session_id="ses_nowhere")


def test_one_key_is_one_run_and_another_body_is_refused(store: Store) -> None:
    first = begin(store, key="k")
    again, new = store.create_run(
        "run_2", RunRequest(message="hello"), agent="shell", on_conflict="queue", key="k", new_session_id="s"
    )
    assert (again.run_id, new) == (first.run_id, False)
    with pytest.raises(KeyReusedError) as caught:
        store.create_run("run_3", RunRequest(message="bye"), agent="shell", on_conflict="queue", key="k")
    assert caught.value.run_id == first.run_id


@pytest.mark.parametrize(
    ("cursor", "kind"),
    [("run_2:1", "foreign"), ("run_1:9", "ahead"), ("x", "malformed"), ("run_1:-1", "malformed")],
)
def test_a_cursor_that_is_not_the_runs_own_is_a_typed_error(store: Store, cursor: str, kind: str) -> None:
    store.append(begin(store), [DELTA])
    with pytest.raises(BadCursorError) as caught:
        store.check_cursor("run_1", cursor)
    assert (caught.value.kind, caught.value.code) == (kind, f"cursor_{kind}")


def test_a_cursor_into_removed_events_has_expired_and_there_is_a_snapshot(store: Store, clock: Clock) -> None:
    events = [NewEvent(type="delta", payload={"text": word}) for word in ("one ", "two ", "three")]
    store.append(begin(store), [*events, END])
    clock.now += 100
    assert store.expire_events(ended_before=clock.now) == 1
    with pytest.raises(BadCursorError) as caught:
        store.check_cursor("run_1", "run_1:1")
    assert caught.value.kind == "expired"
    assert store.snapshot("run_1") == "one two three"
    assert numbers(store, "run_1") == [4], "the terminal event stays"
    assert store.check_cursor("run_1", "run_1:3") == 3
    assert store.check() == []
    assert store.expire_events(ended_before=clock.now) == 0, "once is enough"


def test_a_forgotten_run_takes_everything_of_it_along(store: Store, clock: Clock) -> None:
    store.append(begin(store, key="k"), [END])
    begin(store, "run_2")
    clock.now += 100
    assert store.remove_runs(ended_before=clock.now) == 1
    with pytest.raises(NoSuchRunError):
        store.run("run_1")
    assert [session.session_id for session in store.sessions()] == ["ses_run_2"]
    assert store.check() == []


def test_runs_are_listed_newest_first_and_by_page(store: Store) -> None:
    for number in range(5):
        begin(store, f"run_{number}")
    assert [run.run_id for run in store.runs(limit=2)] == ["run_4", "run_3"]
    assert [run.run_id for run in store.runs(limit=2, before="run_3")] == ["run_2", "run_1"]
    store.append(store.run("run_0"), [END])
    assert [run.run_id for run in store.runs(limit=9, statuses=["completed"])] == ["run_0"]
    assert [run.run_id for run in store.open_runs()] == ["run_1", "run_2", "run_3", "run_4"]


def test_damage_is_found(store: Store) -> None:
    store.append(begin(store), [DELTA, DELTA])
    store.connection.execute("DELETE FROM events WHERE seq = 1")
    assert store.check() == ["run_1 has 1 events and says it has 2"]


def test_a_store_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    connection = open_connection(tmp_path / "state.db")
    connection.pragma("user_version", VERSION + 1)
    connection.close()
    with pytest.raises(StoreError, match="newer Hermes"):
        open_connection(tmp_path / "state.db")


def test_a_file_that_is_no_store_is_an_honest_error(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"not a database, and long enough to be looked at" * 100)
    with pytest.raises(StoreError, match=r"state\.db"):
        open_connection(tmp_path / "state.db")


@pytest.mark.parametrize("version", range(VERSION))
def test_every_earlier_version_becomes_this_one(tmp_path: Path, version: int) -> None:
    def tables(connection: apsw.Connection) -> list[object]:
        return sorted(connection.execute("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL"))

    old, new = apsw.Connection(str(tmp_path / "old.db")), apsw.Connection(str(tmp_path / "new.db"))
    migrate(old, version)
    assert old.pragma("user_version") == version
    migrate(old)
    migrate(new)
    assert tables(old) == tables(new)
    assert old.pragma("user_version") == VERSION == len(MIGRATIONS)
    old.close()
    new.close()


def test_events_of_a_long_run_are_removed_in_small_steps(store: Store, clock: Clock) -> None:
    run, _ = store.append(begin(store), [DELTA] * 100)
    store.append(run, [END])
    clock.now += 100
    steps = 0
    while store.expire_events(clock.now, limit=30):
        steps += 1
        assert store.check() == []
    assert (steps, numbers(store, "run_1"), store.snapshot("run_1")) == (4, [101], "x" * 100)
    second, _ = store.append(begin(store, "run_2"), [DELTA] * 100)
    store.append(second, [END])
    clock.now += 100
    steps = 0
    while store.remove_runs(clock.now, limit=30):
        steps += 1
        assert store.check() == []
    assert store.runs(limit=9) == []
    assert steps >= 4


def test_a_page_anywhere_and_what_is_open_are_found_by_an_index(store: Store) -> None:
    """A store of a million events answers as one of ten."""
    for query in (
        "SELECT body FROM events WHERE run = 1 AND seq > 5 ORDER BY seq LIMIT 9",
        "SELECT id, record, request FROM runs WHERE terminal IS NULL ORDER BY n",
        "SELECT n, id, snapshot IS NULL FROM runs WHERE ended_at < 5 AND first_seq < last_seq LIMIT 1",
        "SELECT id FROM runs WHERE session = 's' AND terminal IS NULL LIMIT 1",
        "DELETE FROM idempotency WHERE run = 5",
    ):
        plan = [row[3] for row in store.connection.execute(f"EXPLAIN QUERY PLAN {query}")]
        assert all("USING" in line or "SEARCH" in line for line in plan), (query, plan)


def test_a_run_that_is_not_as_it_was_believed_to_be_is_not_written(store: Store) -> None:
    run = begin(store)
    store.append(run, [DELTA])
    with pytest.raises(JournalConflictError, match="1 events"):
        store.append(run, [DELTA])
    assert numbers(store, "run_1") == [1]


def test_a_queue_has_a_limit_but_a_known_key_is_answered(store: Store) -> None:
    request = RunRequest(message="hello")
    begin(store, key="k")
    wanted = {"agent": "shell", "on_conflict": "queue", "queue_limit": 1, "new_session_id": "s"}
    with pytest.raises(QueueFullError):
        store.create_run("run_2", request, **wanted)  # type: ignore[arg-type]
    known, new = store.create_run("run_3", request, key="k", **wanted)  # type: ignore[arg-type]
    assert (known.run_id, new) == ("run_1", False)


def test_an_unknown_status_is_refused_rather_than_ignored(store: Store) -> None:
    with pytest.raises(BadRequestError, match="no status"):
        store.runs(statuses=["done"], limit=9)


def test_a_file_system_without_hard_links_has_a_store_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*paths: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with contextlib.closing(open_connection(tmp_path / "state.db")) as connection:
        assert connection.pragma("journal_mode") == "wal"
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert (tmp_path / "state.db").stat().st_mode & 0o777 == 0o600
