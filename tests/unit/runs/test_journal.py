"""The writer: what it has told is on disk, what failed undid nothing else, and it outlives every failure."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from hermes_cli.runs.errors import (
    JournalConflictError,
    LeaseHeldError,
    LeaseLostError,
    NoSuchRunError,
    StoreError,
)
from hermes_cli.runs.journal import Journal
from hermes_cli.runs.schema import migrate
from hermes_cli.runs.store import Store, open_connection
from hermes_cli.runs.types import NewEvent, Run, RunRequest

DELTA = NewEvent(type="delta", payload={"text": "x" * 200})
BIG = NewEvent(type="delta", payload={"text": "x" * 60_000})


def scene(path: Path, play: Callable[[Journal], Awaitable[None]]) -> None:
    async def playing() -> None:
        journal = Journal(path / "state.db")
        try:
            await play(journal)
        finally:
            await journal.close()

    asyncio.run(playing())


async def begin(journal: Journal, name: str = "run_1", **wanted: Any) -> Run:
    run, _ = await journal.do(
        lambda store: store.create_run(
            name,
            RunRequest(message=name),
            agent="shell",
            on_conflict="queue",
            new_session_id=f"s{name}",
            **wanted,
        )
    )
    return run


async def append(journal: Journal, run: Run, *events: NewEvent, **changes: Any) -> Run:
    after, _ = await journal.do(lambda store: store.append(run, events, **changes))
    return after


def test_what_a_step_raises_undoes_that_step_alone(tmp_path: Path) -> None:
    async def play(journal: Journal) -> None:
        def half(store: Store) -> None:
            store.create_run(
                "run_h", RunRequest(message=""), agent="", on_conflict="queue", new_session_id="h"
            )
            raise KeyError("half")

        def forbidden(store: Store) -> None:
            store.connection.execute("UPDATE runs SET status = 'unheard of'")

        steps = [begin(journal, "run_a"), journal.do(half), journal.do(forbidden), begin(journal, "run_b")]
        results = await asyncio.gather(*steps, return_exceptions=True)
        assert [type(result) for result in results] == [Run, KeyError, JournalConflictError, Run]
        assert [run.run_id for run in await journal.read(lambda store: store.open_runs())] == [
            "run_a",
            "run_b",
        ]

    scene(tmp_path, play)


def test_a_full_disk_is_an_error_of_each_step_undoes_what_was_not_told_and_passes(tmp_path: Path) -> None:
    """What SQLite undoes of itself must not be told as written: the steps before in the same transaction."""

    async def play(journal: Journal) -> None:
        run = await append(journal, await begin(journal), DELTA)
        pages = journal._connection.pragma("page_count")
        await journal.do(lambda store: store.connection.pragma("max_page_count", pages + 2))
        held, go = threading.Event(), threading.Event()

        def hold(store: Store) -> None:
            held.set()
            assert go.wait(10)

        holding = asyncio.create_task(journal.do(hold))
        await asyncio.to_thread(held.wait, 10)
        small = asyncio.create_task(append(journal, run, DELTA))
        other = asyncio.create_task(begin(journal, "run_2"))
        big = asyncio.create_task(append(journal, run, BIG))
        await asyncio.sleep(0)
        go.set()
        await holding
        results = await asyncio.gather(small, other, big, return_exceptions=True)
        assert isinstance(results[2], (StoreError, JournalConflictError))
        on_disk = [one.run_id for one in await journal.read(lambda store: store.open_runs())]
        events = await journal.read(lambda store: store.events("run_1", 0, 99))
        assert len(events) == (2 if isinstance(results[0], Run) else 1), "told is written, not told is not"
        assert ("run_2" in on_disk) == isinstance(results[1], Run)
        with pytest.raises(StoreError, match="the disk is full"):
            await append(journal, await journal.read(lambda store: store.run("run_1")), BIG)
        assert journal.failure is not None
        await journal.do(lambda store: store.connection.pragma("max_page_count", 1 << 20))
        run = await append(journal, await journal.read(lambda store: store.run("run_1")), BIG)
        assert run.last_seq == len(events) + 1, "no number is left out"
        assert journal.failure is None

    scene(tmp_path, play)


def test_a_corrupted_page_is_an_honest_error_and_others_are_written(tmp_path: Path) -> None:
    async def fill(journal: Journal) -> None:
        first, second = await begin(journal, "run_1"), await begin(journal, "run_2")
        for _ in range(100):
            first = await append(journal, first, BIG)
        await append(journal, second, DELTA)

    scene(tmp_path, fill)
    path = tmp_path / "state.db"
    data = bytearray(path.read_bytes())
    size = 4096
    # A page of the B-tree of events, not of its overflow: found by its first byte (10: a leaf of an index).
    leaves = [
        at
        for at in range(size, len(data), size)
        if data[at] == 10 and data[at + 100 : at + 4000].count(b"x") > 1000
    ]
    assert leaves
    for at in leaves:
        data[at : at + 64] = b"\xff" * 64
    path.write_bytes(data)

    async def play(journal: Journal) -> None:
        with pytest.raises(StoreError, match="doctor"):
            await journal.read(lambda store: store.events("run_1", 0, 1000))
        run = await journal.read(lambda store: store.run("run_1"))
        with pytest.raises(StoreError, match="damaged"):
            await append(journal, run, DELTA)
        problems = await journal.read(lambda store: store.check())
        assert problems
        assert (await begin(journal, "run_3")).run_id == "run_3"

    scene(tmp_path, play)


def test_one_damaged_record_keeps_no_other_run_from_going_on(tmp_path: Path) -> None:
    async def play(journal: Journal) -> None:
        await begin(journal, "run_1")
        await begin(journal, "run_2")
        await journal.do(lambda store: store.connection.execute("UPDATE runs SET record = '{' WHERE n = 1"))
        assert [run.run_id for run in await journal.read(lambda store: store.open_runs())] == ["run_2"]
        with pytest.raises(StoreError, match="run_1"):
            await journal.read(lambda store: store.run("run_1"))

    scene(tmp_path, play)


def test_after_the_close_everything_is_refused_and_what_was_asked_before_is_written(tmp_path: Path) -> None:
    async def playing() -> None:
        journal = Journal(tmp_path / "state.db")
        writes = [asyncio.create_task(begin(journal, f"run_{n}")) for n in range(50)]
        await asyncio.sleep(0)
        await journal.close()
        assert len(await asyncio.gather(*writes)) == 50
        with pytest.raises(StoreError, match="shutting down"):
            await begin(journal, "run_x")
        with pytest.raises(StoreError, match="shutting down"):
            await journal.read(lambda store: store.open_runs())

    asyncio.run(playing())
    connection = open_connection(tmp_path / "state.db")
    assert len(Store(connection).open_runs()) == 50
    connection.close()


def test_a_key_that_is_used_by_a_hundred_at_once_is_one_run(tmp_path: Path) -> None:
    async def play(journal: Journal) -> None:
        made = await asyncio.gather(
            *(
                journal.do(
                    lambda store, n=n: store.create_run(  # type: ignore[misc]
                        f"run_{n}",
                        RunRequest(message="m", metadata={"a": 1, "b": 2} if n % 2 else {"b": 2, "a": 1}),
                        agent="shell",
                        on_conflict="queue",
                        key="k",
                        new_session_id=f"s{n}",
                    )
                )
                for n in range(100)
            )
        )
        assert len({run.run_id for run, _ in made}) == 1
        assert sum(new for _, new in made) == 1

    scene(tmp_path, play)


def test_a_living_holder_keeps_its_runs_and_a_dead_ones_are_taken_over(tmp_path: Path) -> None:
    async def play(journal: Journal) -> None:
        async def also(other: Journal) -> None:
            run = await begin(journal)
            assert await journal.claim("1-1-boot", lambda _: True) == 1
            with pytest.raises(LeaseHeldError, match="pid 1"):
                await other.claim("2-2-boot", lambda _: True)
            assert await other.claim("2-2-boot", lambda _: False) == 2
            with pytest.raises(LeaseLostError, match="pid 2"):
                await append(journal, run, DELTA)
            assert (await append(other, run, DELTA)).last_seq == 1
            lease = await other.read(lambda store: store.lease())
            assert lease is not None
            assert (lease.holder, lease.epoch) == ("2-2-boot", 2)

        second = Journal(tmp_path / "state.db")
        try:
            await also(second)
        finally:
            await second.close()

    scene(tmp_path, play)


def test_those_who_open_a_new_store_at_once_make_it_once(tmp_path: Path) -> None:
    """Again and again: one in a hundred was refused while SQLite switched to its WAL."""
    errors: list[BaseException] = []

    def make(path: Path, together: threading.Barrier) -> None:
        together.wait(20)
        try:
            open_connection(path).close()
        except BaseException as error:
            errors.append(error)

    for number in range(50):
        path, together = tmp_path / str(number) / "state.db", threading.Barrier(8)
        path.parent.mkdir()
        threads = [threading.Thread(target=make, args=(path, together)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert errors == []
        assert [left.name for left in path.parent.iterdir()] == ["state.db"]


def test_a_migration_that_fails_leaves_the_store_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hermes_cli.runs.schema.MIGRATIONS", ("CREATE TABLE one (a); CREATE TABLE one (b);",))
    connection = apsw.Connection(str(tmp_path / "state.db"))
    with pytest.raises(apsw.SQLError):
        migrate(connection)
    assert connection.pragma("user_version") == 0
    assert list(connection.execute("SELECT name FROM sqlite_schema")) == []
    connection.close()


def test_the_store_is_its_owners_alone(tmp_path: Path) -> None:
    async def play(journal: Journal) -> None:
        await begin(journal)
        assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
        assert len(list(tmp_path.iterdir())) == 3

    scene(tmp_path, play)


def test_an_unknown_run_is_said_to_be_unknown(tmp_path: Path) -> None:
    async def play(journal: Journal) -> None:
        with pytest.raises(NoSuchRunError):
            await journal.read(lambda store: store.run("run_x"))

    scene(tmp_path, play)
