"""Waiting on a loop: woken by what happens, by nothing else, and nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hermes_cli.processes.changes import Changes
from hermes_cli.processes.registry import Registry
from hermes_cli.processes.types import StartRequest


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    made = Registry(tmp_path / "processes", default_cwd=str(tmp_path))
    yield made
    made.kill_all(grace=0)


def test_output_wakes_every_waiter_and_silence_none(registry: Registry) -> None:
    one = registry.start(StartRequest(command="read x; echo said; read x")).session_id

    async def main() -> None:
        changes = Changes()
        waiters = [changes.watch(registry.look(one)) for _ in range(20)]
        assert not any(await asyncio.gather(*(waiter.wait(0.2) for waiter in waiters)))
        before = time.monotonic()
        waits = [asyncio.ensure_future(waiter.wait(5)) for waiter in waiters]
        await asyncio.to_thread(registry.submit, one, "")
        assert all(await asyncio.gather(*waits))
        assert time.monotonic() - before < 1
        changes.close()

    asyncio.run(main())


@pytest.mark.parametrize("how", ["kept", "killed"])
def test_the_end_of_a_keeper_wakes(registry: Registry, how: str) -> None:
    one = registry.start(StartRequest(command="read x")).session_id

    async def main() -> None:
        changes = Changes()
        kept = registry.look(one)
        with changes.watch(kept) as waiter:
            assert kept.status.keeper is not None
            if how == "killed":
                os.kill(kept.status.keeper.pid, signal.SIGKILL)
            else:
                await asyncio.to_thread(registry.close, one)
            while registry.look(one).status.state == "running":
                waiter.changed.clear()
                assert await waiter.wait(5)
        changes.close()

    asyncio.run(main())


def test_only_the_names_that_are_wanted_wake(tmp_path: Path) -> None:
    async def main() -> None:
        changes = Changes()
        with changes.subscribe() as waiter:
            assert waiter.add(tmp_path, lambda name: name == "wanted")
            assert not waiter.add(tmp_path / "not there")
            (tmp_path / "other").write_text("x")
            assert not await waiter.wait(0.1)
            (tmp_path / "wanted").write_text("x")
            assert await waiter.wait(5)
        changes.close()

    asyncio.run(main())


def test_a_directory_that_goes_and_comes_is_heard_again(tmp_path: Path) -> None:
    async def main() -> None:
        changes = Changes()
        place = tmp_path / "place"
        with changes.subscribe() as waiter:
            for _ in range(3):
                place.mkdir()
                waiter.add(place)
                waiter.changed.clear()
                (place / "file").write_text("x")
                assert await waiter.wait(5)
                (place / "file").unlink()
                place.rmdir()
        changes.close()

    asyncio.run(main())


def test_without_a_watch_left_it_looks_again_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        changes = Changes()
        monkeypatch.setattr(changes._inotify, "add", lambda path: -1)
        with changes.subscribe() as waiter:
            waiter.add(tmp_path)
            before = time.monotonic()
            assert not await waiter.wait(60)
            assert time.monotonic() - before < 3
        changes.close()

    asyncio.run(main())


def test_nothing_is_left_open(registry: Registry) -> None:
    one = registry.start(StartRequest(command="read x")).session_id

    async def main() -> None:
        changes = Changes()
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        for _ in range(50):
            with changes.watch(registry.look(one)) as waiter:
                await waiter.wait(0)
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
        assert not changes._by_watch
        changes.close()

    asyncio.run(main())
