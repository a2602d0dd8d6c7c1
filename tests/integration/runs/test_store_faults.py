"""A store that cannot be written: the run goes on, the gateway too, and all is told in the end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hermes_cli.runs.errors import LeaseHeldError, StoreError
from hermes_cli.service_manager.process_identity import Process

from .harness import assert_store_sound, assert_whole, house, text_of, wait_for


@pytest.fixture
def small_home(tmp_path: Path) -> Iterator[Path]:
    """A home on a disk of two MiB."""
    path = tmp_path / "small"
    path.mkdir()
    made = os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(path)], capture_output=True, check=False
    )
    if not made or made.returncode:
        pytest.skip("a small disk can be mounted by root alone")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def test_a_full_disk_delays_what_is_told_and_loses_nothing(small_home: Path, home: Path) -> None:
    async def scene() -> None:
        (small_home / "processes").symlink_to(home)  # what the keepers write has a disk of its own
        async with house(small_home) as here:
            gate = home / "gate"
            run = await here.submit(
                f"i=0; while [ ! -e {gate} ]; do i=$((i+1)); echo $i; sleep 0.005; done; echo last $i",
                workspace=str(home),
            )
            await here.until(run.run_id, lambda run: run.output_cursor > 0)
            filler = small_home / "filler"
            with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(b"\0" * 4096)
            await wait_for(lambda: here.journal.failure, "the store fails", 20.0)
            assert "disk is full" in str(here.journal.failure)
            with pytest.raises(StoreError, match="disk is full"):
                await here.submit("echo " + "x" * 20_000)
            assert (await here.runner.get(run.run_id)).status == "running", "what was written is readable"
            gate.touch()
            await wait_for(
                lambda: here.registry.list()[0].status == "exited", "the command goes on to its end"
            )
            filler.unlink()
            ended = await here.ended(run.run_id)
            assert ended.status == "completed"
            events = await here.events(run.run_id)
            assert_whole(events)
            *numbers, last = text_of(events).splitlines()
            assert numbers == [str(number) for number in range(1, len(numbers) + 1)]
            assert last == f"last {len(numbers)}"
            other = await here.submit("echo again")
            assert (await here.ended(other.run_id)).status == "completed"
        assert_store_sound(small_home)

    asyncio.run(scene())


def test_a_gateway_that_cannot_write_can_be_let_go_and_the_next_one_tells_all(home: Path) -> None:
    async def scene() -> None:
        async with house(home) as here:
            run = await here.submit("echo one; sleep 0.3; echo two")
            await here.until(run.run_id, lambda run: run.output_cursor > 0)
            pages = here.journal._connection.pragma("page_count")
            await here.journal.do(lambda store: store.connection.pragma("max_page_count", pages))
            with contextlib.suppress(StoreError):
                await here.journal.do(lambda store: store.connection.execute("CREATE TABLE x (a)"))
            await wait_for(
                lambda: here.registry.list()[0].status == "exited", "the command goes on to its end"
            )
        async with house(home) as here:
            assert (await here.ended(run.run_id)).status == "completed"
            events = await here.events(run.run_id)
            assert_whole(events)
            assert text_of(events) == "one\ntwo\n"

    asyncio.run(scene())


def test_the_runs_of_a_living_gateway_are_not_taken_over(home: Path) -> None:
    async def scene() -> None:
        another = await asyncio.create_subprocess_exec("sleep", "100")
        try:
            one = Process.of(another.pid)
            lease = f"{one.pid}-{one.start}-{one.boot}"
            async with house(home, lease=lease) as here:
                run = await here.submit("echo up; sleep 0.5; echo ran >>counter")
                begun = await here.until(run.run_id, lambda run: run.output_cursor > 0)
                assert begun.lease == lease
            with pytest.raises(LeaseHeldError, match=str(another.pid)):
                async with house(home):
                    pass
        finally:
            another.kill()
            await another.wait()
        async with house(home) as here:
            ended = await here.ended(run.run_id)
            assert (ended.status, ended.lease == lease) == ("completed", False)
            assert (home / "counter").read_text() == "ran\n"

    asyncio.run(scene())


def test_a_gateway_whose_runs_were_taken_over_writes_no_more_and_the_other_tells_all(home: Path) -> None:
    async def scene() -> None:
        async with house(home, lease="1-1-x") as here:
            run = await here.submit(f"echo up; while [ ! -e {home}/gate ]; do sleep 0.01; done; echo down")
            begun = await here.until(run.run_id, lambda run: run.output_cursor > 0)
            tail = here.runner.tail(run.run_id)
            assert tail is not None
            async with house(home) as other:
                (home / "gate").touch()
                assert (await other.ended(run.run_id)).status == "completed"
                events = await other.events(run.run_id)
                assert_whole(events)
                assert text_of(events) == "up\ndown\n"
            assert not await tail.more(tail.last_seq, 10.0), "who followed the first is let go"
            assert tail.last_seq == begun.last_seq
            with pytest.raises(StoreError, match="taken over"):
                await here.submit("echo more")

    asyncio.run(scene())


def test_a_gateway_with_runs_says_so_now_and_then(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hermes_cli.runs.runner._BEAT", 0.05)

    async def scene() -> None:
        async with house(home) as here:
            run = await here.submit("echo up; sleep 100")
            await here.until(run.run_id, lambda run: run.output_cursor > 0)
            beats: set[float] = set()
            while len(beats) < 3:
                lease = await here.journal.read(lambda store: store.lease())
                assert lease is not None
                assert lease.holder == begun_by
                beats.add(lease.beat_at)
                await asyncio.sleep(0.01)
            await here.runner.cancel(run.run_id)
            await here.ended(run.run_id)

    own = Process.of(os.getpid())
    begun_by = f"{own.pid}-{own.start}-{own.boot}"
    asyncio.run(asyncio.wait_for(scene(), 15.0))


def test_a_finished_process_is_kept_until_its_run_has_told_it(home: Path) -> None:
    """However long no gateway was there: it is not started again."""

    async def scene() -> None:
        async with house(home) as here:
            run = await here.submit("echo up; echo ran >>counter; sleep 0.2; echo down")
            await here.until(run.run_id, lambda run: run.output_cursor > 0)
        await wait_for(lambda: here.registry.list()[0].status == "exited", "it ends")
        here.registry._collection._clock = lambda: home.stat().st_mtime + 86400.0
        here.registry.clean()
        async with house(home) as here:
            assert (await here.ended(run.run_id)).status == "completed"
            assert text_of(await here.events(run.run_id)) == "up\ndown\n"
            assert (home / "counter").read_text() == "ran\n"
            ended = await here.runner.get(run.run_id)
            held = home / "processes" / str(ended.process_id) / "held"
            await wait_for(lambda: not held.exists(), "it may be removed now")

    asyncio.run(scene())


def test_records_that_were_removed_are_an_interruption_and_no_second_execution(home: Path) -> None:
    async def scene() -> None:
        async with house(home) as here:
            run = await here.submit("echo ran >>counter; echo up; sleep 0.2")
            begun = await here.until(run.run_id, lambda run: run.output_cursor > 0)
        await wait_for(lambda: here.registry.list()[0].status == "exited", "it ends")
        (home / "processes" / str(begun.process_id)).rename(home / "elsewhere")
        async with house(home) as here:
            ended = await here.ended(run.run_id)
            assert (ended.status, "not known" in ended.reason) == ("interrupted", True)
            assert_whole(await here.events(run.run_id))
            assert (home / "counter").read_text() == "ran\n"

    asyncio.run(scene())


def test_one_session_has_one_run_at_work_across_a_restart_and_the_queue_keeps_its_order(home: Path) -> None:
    async def scene() -> None:
        slow = "echo begin $0 >>order; sleep 0.3; echo end >>order"
        async with house(home, on_conflict="queue") as here:
            first = await here.submit(slow)
            session = first.session_id
            others = [await here.submit(slow, session_id=session) for _ in range(2)]
            await here.until(first.run_id, lambda run: run.status == "running")
            assert [run.status for run in others] == ["queued", "queued"]
        async with house(home, on_conflict="queue") as here:
            for run in (first, *others):
                assert (await here.ended(run.run_id)).status == "completed"
            words = [line.split()[0] for line in (home / "order").read_text().splitlines()]
            assert words == ["begin", "end"] * 3
            runs = await here.journal.read(lambda store: store.runs(session_id=session, limit=9))
            begun = {run.run_id: run.started_at or 0.0 for run in runs}
            assert sorted(begun, key=lambda run_id: begun[run_id]) == [run.run_id for run in (first, *others)]

    asyncio.run(scene())
