"""The directories of processes: limits, retention, and what is left of those whose keeper is gone."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from hermes_cli.processes import collection as collection_module
from hermes_cli.processes import records
from hermes_cli.processes.collection import Collection
from hermes_cli.processes.errors import NoSuchProcessError, ProcessError, StartError, TooManyProcessesError
from hermes_cli.processes.ids import new_id
from hermes_cli.processes.keeper import kernel
from hermes_cli.processes.limits import Limits
from hermes_cli.processes.types import Identity, Spec, Status

MIB = 1 << 20


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class Kept:
    """Processes as keepers leave them; a running one's lock is held by the test in its keeper's place."""

    def __init__(self, directory: Path, limits: Limits | None = None) -> None:
        self.directory = directory
        self.clock = Clock()
        self.collection = Collection(directory, limits or Limits(), self.clock)
        self.locks: dict[str, int] = {}

    def spec(self, **changes: object) -> Spec:
        spec = Spec(new_id(), "true", ("true",), "/", self.clock(), cap_bytes=MIB)
        return dataclasses.replace(spec, **changes)  # type: ignore[arg-type]

    def identity(self) -> Identity:
        return Identity(os.getpid(), kernel.start_ticks(os.getpid()), kernel.boot_id(), kernel.start_ticks(1))

    def finished(self, age: float = 0.0, *, news: bool = False, weight: int = 0) -> str:
        spec = self.spec()
        directory = self.collection.reserve(spec)
        ended = self.clock() - age
        records.write_record(
            directory, records.STATUS, Status("exited", 1, self.identity(), ended - 1, ended, 0)
        )
        if news:
            records.append_event(directory, {"type": "completion"})
        if weight:
            (directory / records.OUTPUT / "weight").write_bytes(b"x" * weight)
        return spec.id

    def running(self, **changes: object) -> str:
        spec = self.spec(**changes)
        directory = self.collection.reserve(spec)
        self.hold(directory)
        status = Status("running", 1, self.identity(), self.clock(), control="control.sock")
        records.write_record(directory, records.STATUS, status)
        return spec.id

    def hold(self, directory: Path) -> None:
        lock = os.open(directory / records.LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        self.locks[directory.name] = lock

    def lose(self, process_id: str) -> None:
        """As if the keeper had been killed."""
        os.close(self.locks.pop(process_id))

    def rewrite(self, process_id: str, **changes: object) -> None:
        directory = self.directory / process_id
        status = records.read_status(directory)
        assert status is not None
        records.write_record(directory, records.STATUS, dataclasses.replace(status, **changes))  # type: ignore[arg-type]

    def names(self) -> set[str]:
        return {path.name for path in self.directory.iterdir()} - {".lock"}


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "processes")


# Retention


def test_finished_processes_are_kept_half_an_hour_from_their_end(kept: Kept) -> None:
    process_id = kept.finished()
    kept.clock.now += 30 * 60 - 1
    assert kept.collection.clean() == 0
    kept.clock.now += 2
    assert kept.collection.clean() == 1
    assert kept.names() == set()
    with pytest.raises(NoSuchProcessError):
        kept.collection.get(process_id)


def test_one_whose_events_nobody_has_taken_is_kept_a_week(kept: Kept) -> None:
    process_id = kept.finished(news=True)
    kept.clock.now += 7 * 86400 - 1
    assert kept.collection.clean() == 0
    events = (kept.directory / process_id / records.EVENTS).stat().st_size
    (kept.directory / process_id / records.TAKEN).write_text(str(events))
    assert kept.collection.clean() == 1


def test_what_is_forgotten_goes_at_once_where_it_is_over(kept: Kept) -> None:
    forgotten, other = kept.finished(), kept.finished()
    kept.collection.forget(forgotten)
    assert kept.names() == {other}
    with pytest.raises(ProcessError, match="cannot be forgotten"):
        kept.collection.forget(forgotten)


def test_what_is_forgotten_stays_while_anything_of_it_runs(kept: Kept) -> None:
    process_id = kept.running()
    kept.rewrite(process_id, state="exited", ended_at=kept.clock(), exit_code=0, descendants=1)
    kept.collection.forget(process_id)
    assert kept.collection.clean() == 0
    assert kept.collection.get(process_id).status.descendants == 1
    kept.lose(process_id)
    kept.rewrite(process_id, control="", descendants=0)
    assert kept.collection.clean() == 1


@pytest.mark.parametrize("mark", [records.HELD, records.EVENTS])
def test_what_is_forgotten_stays_while_somebody_is_to_be_told_of_it(kept: Kept, mark: str) -> None:
    process_id = kept.finished(news=mark == records.EVENTS)
    directory = kept.directory / process_id
    if mark == records.HELD:
        (directory / mark).touch()
    kept.collection.forget(process_id)
    assert kept.collection.clean() == 0
    (directory / mark).unlink()
    assert kept.collection.clean() == 1


def test_running_ones_are_never_removed(kept: Kept) -> None:
    process_id = kept.running()
    kept.clock.now += 10 * 365 * 86400
    assert kept.collection.clean() == 0
    assert kept.collection.get(process_id).status.state == "running"


def test_a_clock_that_was_set_back_removes_nothing(kept: Kept) -> None:
    kept.finished()
    kept.clock.now -= 86400 * 365
    assert kept.collection.clean() == 0


# Limits


def test_the_sixty_fifth_running_process_is_refused(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "processes")
    for _ in range(64):
        kept.running()
    with pytest.raises(TooManyProcessesError, match="64 are the most"):
        kept.collection.reserve(kept.spec())
    kept.lose(next(iter(kept.locks)))
    kept.running()


def test_a_new_one_takes_the_place_of_the_one_that_ended_first(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "processes", Limits(tracked=3))
    running, old, young = kept.running(), kept.finished(age=100), kept.finished(age=10)
    new = kept.running()
    assert kept.names() == {running, young, new}
    assert old not in kept.names()


def test_of_finished_ones_those_with_news_go_last(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "processes", Limits(tracked=2))
    with_news, without = kept.finished(age=100, news=True), kept.finished(age=10)
    assert kept.running() in kept.names()
    assert with_news in kept.names()
    assert without not in kept.names()


def test_the_disk_that_running_ones_may_fill_is_promised_once(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "processes", Limits(disk=3 * MIB))
    kept.running()
    finished = kept.finished(weight=2 * MIB - 4096)
    kept.running()
    assert finished not in kept.names()
    kept.running()
    with pytest.raises(TooManyProcessesError, match="MiB"):
        kept.collection.reserve(kept.spec())


def test_one_of_two_at_once_gets_the_last_place(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "processes", Limits(tracked=8))
    for _ in range(7):
        kept.running()
    got, refused = [], []

    def start() -> None:
        other = Collection(kept.directory, Limits(tracked=8), kept.clock)
        try:
            got.append(other.reserve(kept.spec()))
        except TooManyProcessesError as error:
            refused.append(error)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), len(refused)) == (1, 5)


def test_a_directory_locked_by_a_stopped_command_is_an_error_not_a_hang(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.finished()
    monkeypatch.setattr(collection_module, "_LOCK_PATIENCE", 0.2)
    lock = os.open(kept.directory / ".lock", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        with pytest.raises(ProcessError, match="locked"):
            kept.collection.reserve(kept.spec())
        with pytest.raises(ProcessError, match="locked"):
            kept.collection.clean()
        assert len(kept.collection.all()) == 1
    finally:
        os.close(lock)


def test_a_place_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    kept = Kept(tmp_path / "file" / "processes")
    with pytest.raises(StartError, match="file/processes"):
        kept.collection.reserve(kept.spec())
    assert kept.collection.all() == []
    assert kept.collection.clean() == 0


# What was cut off


def test_a_half_made_directory_goes_when_no_keeper_can_come_any_more(kept: Kept) -> None:
    directory = kept.collection.reserve(kept.spec())
    os.utime(directory, (kept.clock(), kept.clock()))
    assert kept.collection.clean() == 0
    assert kept.names() == {directory.name}
    kept.clock.now += 31
    kept.collection.clean()
    assert kept.names() == set()


def test_a_half_made_directory_of_a_later_time_is_left(kept: Kept) -> None:
    directory = kept.collection.reserve(kept.spec())
    os.utime(directory, (kept.clock() + 3600, kept.clock() + 3600))
    kept.collection.clean()
    assert kept.names() == {directory.name}


def test_one_that_a_keeper_has_is_never_half_made(kept: Kept) -> None:
    directory = kept.collection.reserve(kept.spec())
    kept.hold(directory)
    kept.clock.now += 86400 * 365 * 50
    kept.collection.clean()
    kept.collection.discard(directory)
    assert kept.names() == {directory.name}


def test_a_removal_that_was_cut_off_is_finished(kept: Kept) -> None:
    process_id = kept.finished()
    (kept.directory / process_id).rename(kept.directory / f".gone-{process_id}")
    kept.collection.clean()
    assert kept.names() == set()


def test_a_damaged_status_is_a_lost_process(kept: Kept) -> None:
    process_id = kept.finished()
    (kept.directory / process_id / records.STATUS).write_text("{torn")
    found = kept.collection.get(process_id)
    assert (found.status.state, found.status.reason) == ("lost", "its status is damaged")
    assert kept.collection.get(process_id).status.ended_at == found.status.ended_at


def test_a_damaged_specification_is_removed_in_time(kept: Kept) -> None:
    process_id = kept.finished()
    (kept.directory / process_id / records.SPEC).write_text("{torn")
    other = Collection(kept.directory, Limits(), kept.clock)
    assert other.all() == []
    kept.clock.now += 86400
    other.clean()
    assert kept.names() == set()


def test_a_link_in_the_place_of_a_process_is_none(kept: Kept, tmp_path: Path) -> None:
    process_id = kept.finished()
    elsewhere = tmp_path / "elsewhere"
    (kept.directory / process_id).rename(elsewhere)
    (kept.directory / process_id).symlink_to(elsewhere)
    other = Collection(kept.directory, Limits(), kept.clock)
    assert other.all() == []
    with pytest.raises(NoSuchProcessError):
        other.get(process_id)
    kept.clock.now += 86400 * 30
    other.clean()
    assert (elsewhere / records.SPEC).exists()


# Whose keeper is gone


def test_a_keeper_that_was_killed_is_a_lost_process_with_its_reason(kept: Kept) -> None:
    process_id = kept.running(notify_on_complete=True)
    kept.lose(process_id)
    status = kept.collection.get(process_id).status
    assert (status.state, status.exit_code, status.control) == ("lost", None, "")
    assert "its keeper was killed" in status.reason
    assert records.read_status(kept.directory / process_id) == status
    assert [event["type"] for event, _ in records.read_events(kept.directory / process_id)] == ["completion"]
    assert len(kept.collection.all()) == 1
    assert len(records.read_events(kept.directory / process_id)) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"boot_id": "another"}, "the machine restarted"), ({"init_start": 1}, "the container restarted")],
)
def test_what_a_restart_took_away_is_lost_and_says_so(
    kept: Kept, change: dict[str, object], reason: str
) -> None:
    process_id = kept.running()
    identity = dataclasses.replace(kept.identity(), **change)  # type: ignore[arg-type]
    kept.rewrite(process_id, keeper=identity)
    kept.lose(process_id)
    assert kept.collection.get(process_id).status.reason == reason


def test_an_init_that_proc_hides_is_no_restart(kept: Kept) -> None:
    process_id = kept.running()
    kept.rewrite(process_id, keeper=dataclasses.replace(kept.identity(), init_start=0))
    kept.lose(process_id)
    assert "its keeper was killed" in kept.collection.get(process_id).status.reason


def test_a_pid_that_is_somebody_elses_by_now_is_left_alone(kept: Kept) -> None:
    with subprocess.Popen(["sleep", "60"]) as somebody:
        process_id = kept.running()
        kept.rewrite(
            process_id, pid=somebody.pid, keeper=dataclasses.replace(kept.identity(), pid=somebody.pid)
        )
        kept.lose(process_id)
        assert kept.collection.get(process_id).status.state == "lost"
        assert somebody.poll() is None
        somebody.kill()


def test_an_end_that_was_told_before_the_keeper_was_killed_is_known(kept: Kept) -> None:
    process_id = kept.running(notify_on_complete=True)
    event = {"at": 5.0, "type": "completion", "state": "exited", "exit_code": 7, "signal": None, "reason": ""}
    records.append_event(kept.directory / process_id, event)
    kept.lose(process_id)
    status = kept.collection.get(process_id).status
    assert (status.state, status.exit_code, status.ended_at) == ("exited", 7, 5.0)
    assert len(records.read_events(kept.directory / process_id)) == 1


def test_an_end_that_was_written_before_the_keeper_was_killed_stays(kept: Kept) -> None:
    process_id = kept.running()
    kept.rewrite(process_id, state="exited", ended_at=6.0, exit_code=3, descendants=2)
    kept.lose(process_id)
    status = kept.collection.get(process_id).status
    assert (status.state, status.exit_code, status.control, status.descendants) == ("exited", 3, "", 0)


def test_many_who_ask_agree_and_one_writes(kept: Kept) -> None:
    process_id = kept.running(notify_on_complete=True)
    kept.lose(process_id)
    states: list[str] = []

    def ask() -> None:
        other = Collection(kept.directory, Limits(), kept.clock)
        states.extend(other.get(process_id).status.state for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(states) == {"lost"}
    assert len(records.read_events(kept.directory / process_id)) == 1


def test_who_asks_is_never_taken_for_a_keeper(kept: Kept) -> None:
    process_id = kept.running()
    kept.lose(process_id)
    lock = os.open(kept.directory / process_id / records.LOCK, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_SH)
    try:
        assert kept.collection.get(process_id).status.state == "lost"
    finally:
        os.close(lock)


def test_a_stopped_settler_holds_nobody_up(kept: Kept) -> None:
    process_id = kept.running()
    kept.lose(process_id)
    lock = os.open(kept.directory / process_id / records.SPEC, os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        assert kept.collection.get(process_id).status.state == "lost"
    finally:
        os.close(lock)
    raw = json.loads((kept.directory / process_id / records.STATUS).read_text())
    assert raw["state"] == "running"
    assert kept.collection.get(process_id).status.state == "lost"
