"""The live end of a run: everyone gets everything, in order, and nobody is held up by another."""

from __future__ import annotations

import asyncio
import random
from functools import partial
from pathlib import Path

import pytest

from hermes_cli.runs import tail as tails
from hermes_cli.runs.journal import Journal
from hermes_cli.runs.store import Store
from hermes_cli.runs.tail import Tail
from hermes_cli.runs.types import NewEvent, Run, RunRequest


def test_what_is_behind_a_cursor_is_given_and_what_is_gone_is_left_to_the_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tails, "_MOST_EVENTS", 10)
    tail = Tail(100)
    for number in range(101, 151):
        tail.add([b"%d" % number], ended=False)
    assert tail.last_seq == 150
    assert tail.after(140, 3) == [b"141", b"142", b"143"]
    assert tail.after(150, 3) == []
    assert tail.after(139, 3) is None
    assert tail.after(0, 3) is None


def test_a_tail_is_bounded_in_bytes_but_always_has_the_last_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tails, "_MOST_BYTES", 1000)
    tail = Tail(0)
    for number in range(1, 1000):
        tail.add([b"%d" % number * 100], ended=False)
        assert tail.after(number - 1, 9) == [b"%d" % number * 100]
    assert sum(map(len, tail._events)) <= 1000
    tail.add([b"x" * 5000], ended=True)
    assert tail.after(999, 9) == [b"x" * 5000]


def test_a_wait_ends_with_an_event_the_end_its_time_or_the_gateway() -> None:
    async def scene() -> None:
        tail = Tail(0)
        assert not await tail.more(0, 0.01)
        waiting = [asyncio.create_task(tail.more(seq, 5.0)) for seq in (0, 1)]
        await asyncio.sleep(0)
        tail.add([b"1"], ended=False)
        assert await waiting[0]
        tail.add([], ended=True)
        assert await waiting[1]
        quiet = Tail(0)
        waits = asyncio.create_task(quiet.more(0, 5.0))
        await asyncio.sleep(0)
        quiet.release()
        assert not await waits

    asyncio.run(scene())


def _page(store: Store, after: int, limit: int) -> list[bytes]:
    return store.events("run_1", after, limit)


def test_fifty_followers_who_join_at_random_are_told_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some fall so far behind that only the store has what they miss; one takes an event at a time."""
    monkeypatch.setattr(tails, "_MOST_EVENTS", 64)

    async def scene() -> None:
        journal = Journal(tmp_path / "state.db")
        run, _ = await journal.do(
            lambda store: store.create_run(
                "run_1", RunRequest(message="x"), agent="shell", on_conflict="queue", new_session_id="s"
            )
        )
        tail, chance = Tail(0), random.Random(7)

        async def produce(run: Run) -> None:
            for batch in range(150):
                events = [NewEvent(type="delta", payload={"text": f"{batch}.{n}"}) for n in range(20)]
                if batch == 149:
                    events.append(NewEvent(type="completed", terminal="completed"))
                before = run
                run, bodies = await journal.do(lambda store, e=events, b=before: store.append(b, e))  # type: ignore[misc]
                tail.add(bodies, ended=run.terminal_state is not None)

        async def follow(page: int, joins: int, pause: float) -> list[bytes]:
            while tail.last_seq < joins:
                await tail.more(tail.last_seq, 5.0)
            told: list[bytes] = []
            while not told or b'"terminal":true' not in told[-1]:
                assert await tail.more(len(told), 10.0)
                found = tail.after(len(told), page)
                if found is None:
                    found = await journal.read(partial(_page, after=len(told), limit=page))
                told += found
                await asyncio.sleep(pause)
            return told

        plans = [(chance.choice([7, 50, 500]), chance.randrange(2900), 0.0) for _ in range(49)]
        followers = [asyncio.create_task(follow(*plan)) for plan in [*plans, (100, 0, 0.005)]]
        await produce(run)
        told = await asyncio.gather(*followers)
        assert all(one == told[0] for one in told)
        assert len(told[0]) == 3001
        await journal.close()

    asyncio.run(scene())
