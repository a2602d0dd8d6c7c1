"""Real commands that are cancelled just as they end: each has one end, which is true, and nobody is left."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from hermes_cli.runs.store import Store

from .harness import House, assert_store_sound, assert_whole, house, marked_alive, text_of, wait_for

RACES = int(os.environ.get("RACES", "1000"))
"""How many; more by hand."""
_AT_ONCE = 20
_PATIENCE = 60.0

_COMMAND = "echo begun >>counter; echo said; exec sleep 0.25"
_SPREAD = 0.35
"""Seconds from what it says, within which it is cancelled: before its end, or behind."""


class Race(NamedTuple):
    asked_in_time: bool
    """The cancellation was accepted: it was on disk before the end."""
    ended: str


async def _race(here: House, delay: float) -> Race:
    """Cancel a run `delay` seconds after it was heard of; how it ended."""
    run = await here.submit(_COMMAND)
    await here.until(
        run.run_id, lambda run: run.output_cursor > 0 or run.terminal_state is not None, _PATIENCE
    )
    await asyncio.sleep(delay)
    answer = await here.runner.cancel(run.run_id)
    ended = await here.ended(run.run_id, _PATIENCE)
    assert not (await here.runner.cancel(run.run_id)).accepted, "it has ended"
    events = await here.events(run.run_id)
    assert_whole(events)
    types = [event["type"] for event in events]
    assert types.count("cancelling") == answer.accepted
    assert text_of(events) == "said\n"
    assert ended.terminal_state == "completed" or (ended.terminal_state == "cancelled" and answer.accepted)
    return Race(answer.accepted, ended.terminal_state)


@pytest.mark.timeout(120 + RACES // 4)
def test_a_cancellation_that_races_a_real_end_makes_one_end_and_leaves_nobody(home: Path) -> None:
    async def scene() -> Counter[Race]:
        async with house(home, concurrency=_AT_ONCE) as here:
            chance, room = random.Random(), asyncio.Semaphore(_AT_ONCE)

            async def one() -> Race:
                async with room:
                    return await _race(here, chance.uniform(0.0, _SPREAD))

            found = Counter(await asyncio.gather(*(one() for _ in range(RACES))))
            await wait_for(lambda: not marked_alive(home), "nobody is left", _PATIENCE)
            assert here.registry.running_count() == 0
            assert await here.journal.read(_terminal_events) == RACES
            return found

    found = asyncio.run(scene())
    assert {race.ended for race in found} == {"completed", "cancelled"}, "both have won"
    assert_store_sound(home)
    assert (home / "counter").read_text().count("begun\n") == RACES, "each was executed once"
    print(f"{RACES} races: {dict(found)}")


def _terminal_events(store: Store) -> int:
    ((count,),) = store.connection.execute("SELECT count(*) FROM events WHERE terminal = 1")
    return int(count)
