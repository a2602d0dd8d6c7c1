"""Power cuts: whatever is left of the files, the store opens, and what was told before the cut is there."""

from __future__ import annotations

import asyncio
import random
import shutil
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from hermes_cli.runs.journal import Journal
from hermes_cli.runs.store import Store, open_connection
from hermes_cli.runs.types import Event, NewEvent, RunRequest

_WAL_HEADER, _FRAME = 32, 24 + 4096


class Written(NamedTuple):
    """What was on disk when a follower was told: bytes of the WAL, and the events told by then."""

    wal: int
    events: tuple[bytes, ...]


def _write(directory: Path) -> list[Written]:
    """Forty transactions into a store that is then left as a power cut leaves it: copied, never closed."""
    told: list[Written] = []

    async def scene() -> None:
        path = directory / "live" / "state.db"
        path.parent.mkdir()
        open_connection(path).close()
        journal = Journal(path)
        # One WAL from the first write to the last, so that each of its lengths is one moment.
        await journal.do(lambda store: store.connection.pragma("wal_autocheckpoint", 0))
        run, _ = await journal.do(
            lambda store: store.create_run(
                "run_1", RunRequest(message="x"), agent="shell", on_conflict="queue", new_session_id="s"
            )
        )
        chance, so_far = random.Random(5), []
        for number in range(40):
            size = chance.choice([10, 300, 9000])
            events = [
                NewEvent(type="delta", payload={"text": "y" * size}) for _ in range(chance.randrange(1, 5))
            ]
            if number == 39:
                events.append(NewEvent(type="completed", terminal="completed"))
            run, bodies = await journal.do(lambda store, r=run, e=events: store.append(r, e))  # type: ignore[misc]
            so_far += bodies
            told.append(Written(Path(f"{path}-wal").stat().st_size, tuple(so_far)))
        (directory / "left").mkdir()
        for name in ("state.db", "state.db-wal"):
            shutil.copy(path.parent / name, directory / "left" / name)
        await journal.close()

    asyncio.run(scene())
    return told


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Written]]:
    directory = tmp_path_factory.mktemp("power")
    return directory / "left", _write(directory)


def _after_the_cut(left: Path, wal: bytes, place: Path, written: list[Written], cut: int) -> None:
    """Everything told when the WAL had `cut` bytes or fewer is there; what is there begins it all."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    shutil.copy(left / "state.db", place)
    (place / "state.db-wal").write_bytes(wal)
    connection = open_connection(place / "state.db")
    try:
        store = Store(connection)
        assert store.check() == []
        everything = written[-1].events
        told: tuple[bytes, ...] = max((one.events for one in written if one.wal <= cut), key=len, default=())
        if not store.runs(limit=1):
            assert not told
            return
        found = store.events("run_1", 0, 10_000)
        assert tuple(found) == everything[: len(found)]
        assert len(found) >= len(told), f"{len(told)} events were told, {len(found)} are left at {cut}"
        run = store.run("run_1")
        assert run.last_seq == len(found)
        if run.terminal_state is None:
            _, (body,) = store.append(run, [NewEvent(type="interrupted", terminal="interrupted")])
            assert msgspec.json.decode(body, type=Event).seq == len(found) + 1
        assert store.check() == []
    finally:
        connection.close()


def test_a_cut_at_every_frame_keeps_what_was_told(
    written: tuple[Path, list[Written]], tmp_path: Path
) -> None:
    left, told = written
    wal = (left / "state.db-wal").read_bytes()
    cuts = range(0, len(wal) + 1, _FRAME)
    assert len(cuts) > 80
    for at in cuts:
        cut = min(len(wal), _WAL_HEADER + at)
        _after_the_cut(left, wal[:cut], tmp_path / "cut", told, cut)


def test_a_cut_anywhere_and_a_torn_sector_keep_what_was_told(
    written: tuple[Path, list[Written]], tmp_path: Path
) -> None:
    left, told = written
    wal = (left / "state.db-wal").read_bytes()
    chance = random.Random(11)
    for _ in range(120):
        cut = chance.randrange(len(wal) + 1)
        torn = chance.randbytes(chance.choice([0, 0, 100, 512, 5000]))
        _after_the_cut(left, wal[:cut] + torn, tmp_path / "cut", told, cut)
