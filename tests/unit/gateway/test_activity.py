"""What a gateway has in hand can be read from outside, and is never another gateway's."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec
import pytest

from hermes_cli.gateway.activity import ActivityRecord, active_runs, report_activity
from hermes_cli.gateway.identity import ProcessIdentity
from hermes_cli.home import Home, load, save

ME = ProcessIdentity.own()


class Runs:
    """As much of a runner as is reported."""

    def __init__(self) -> None:
        self.moved = asyncio.Event()
        self.active = 0

    def counts(self) -> dict[str, int]:
        return {"queued": 7, "active": self.active}

    def become(self, active: int) -> None:
        self.active = active
        self.moved.set()
        self.moved = asyncio.Event()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home.of(root=tmp_path)
    home.run_dir.mkdir()
    return home


async def until(home: Home, wanted: int) -> None:
    deadline = time.monotonic() + 20
    while load(home.activity, ActivityRecord) is None or active_runs(home, ME) != wanted:
        assert time.monotonic() < deadline, f"not {wanted} active runs, but {active_runs(home, ME)}"
        await asyncio.sleep(0.005)


def test_the_number_of_runs_is_told_as_it_changes(home: Home) -> None:
    async def scene() -> None:
        runs = Runs()
        task = asyncio.ensure_future(report_activity(home, runs))
        for number in (0, 1, 5, 2, 0):
            runs.become(number)
            await until(home, number)
        task.cancel()
        await asyncio.wait({task})

    asyncio.run(scene())
    assert [path.name for path in home.run_dir.iterdir()] == ["activity.json"]


def test_a_directory_that_takes_nothing_ends_no_gateway_and_is_told_once(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    home.run_dir.rmdir()

    async def scene() -> None:
        runs = Runs()
        task = asyncio.ensure_future(report_activity(home, runs))
        for number in (1, 2):
            runs.become(number)
            await asyncio.sleep(0)
        home.run_dir.mkdir()
        runs.become(3)
        await until(home, 3)
        task.cancel()
        await asyncio.wait({task})

    asyncio.run(scene())
    assert len(caplog.messages) == 1
    assert "activity.json could not be written" in caplog.messages[0]


@pytest.mark.parametrize("field", ["pid", "pid_start", "boot_id"])
def test_what_an_earlier_gateway_left_counts_for_nothing(home: Home, field: str) -> None:
    record = ActivityRecord(pid=ME.pid, pid_start=ME.start, boot_id=ME.boot_id, active_runs=3)
    save(home.activity, record)
    assert active_runs(home, ME) == 3
    other = "another boot" if field == "boot_id" else 1
    save(home.activity, msgspec.structs.replace(record, **{field: other}))
    assert active_runs(home, ME) == 0


def test_no_file_and_a_broken_file_are_no_runs(home: Home) -> None:
    assert active_runs(home, ME) == 0
    home.activity.write_text("{")
    assert active_runs(home, ME) == 0
