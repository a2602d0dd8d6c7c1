"""kill -9 of starters, keepers and commands at any moment: no byte out of place, no end made up."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from hermes_cli.processes import records
from hermes_cli.processes.errors import ProcessError, TooManyProcessesError
from hermes_cli.processes.keeper import cgroup
from hermes_cli.processes.limits import Limits
from hermes_cli.processes.registry import Registry
from hermes_cli.processes.types import StartRequest
from tests.integration.processes.keeping import Place, alive, eventually, living

ROOT = Path(records.__file__).parent.parent.parent

LINES = 10_000

GATEWAY = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from hermes_cli.processes.registry import Registry
from hermes_cli.processes.types import StartRequest
registry = Registry(Path(sys.argv[1]), default_cwd="/")
print("ready", flush=True)
for line in sys.stdin:
    started = registry.start(StartRequest(command=line.strip(), notify_on_complete=True))
    print(started.session_id, flush=True)
"""

COUNTER = "i=0; while [ $i -lt {lines} ]; do i=$((i+1)); echo $i; done; exit 7"


class Gateway:
    """Starts what it is told to, and is there to be killed."""

    def __init__(self, directory: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", GATEWAY, str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def ask(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


def in_order(text: str) -> int:
    """How far the numbers go that begin with 1 and leave none out; the last line may be cut off."""
    lines = text.split("\n")
    numbers = [int(line) for line in lines[:-1]]
    assert numbers == list(range(1, len(numbers) + 1)), text[:200]
    assert str(len(numbers) + 1).startswith(lines[-1])
    return len(numbers)


def test_a_killed_keeper_takes_the_command_and_all_of_it_along(place: Place) -> None:
    running = place.start(
        "setsid sh -c 'sleep 60 & sleep 60' & " + COUNTER.format(lines=20_000) + " & wait",
        notify_on_complete=True,
    )
    place.until(running, "\n1000\n")
    os.kill(place.keeper(running), signal.SIGKILL)
    waited = place.another().wait(running, 5)
    assert waited.status == "lost"
    assert "its keeper was killed" in (waited.reason or "")
    assert living(running) == []
    assert in_order(place.output(running)) >= 1000
    events = [event for event, _ in records.read_events(place.directory / running)]
    assert [(event["type"], event["state"]) for event in events] == [("completion", "lost")]


def test_a_killed_keeper_takes_the_command_along_before_anybody_looks(place: Place) -> None:
    running = place.start("exec sleep 60")
    status = place.status(running)
    assert status.keeper is not None
    os.kill(status.keeper.pid, signal.SIGKILL)
    eventually(lambda: not alive(status.pid), "the command is dead")


def test_what_is_left_of_a_killed_keeper_is_ended_without_its_mark_where_a_cgroup_tells(place: Place) -> None:
    hider = place.start("setsid env -i sleep 61 & setsid env -i sleep 61 & echo on; sleep 60")
    place.until(hider, "on")
    group = Path(place.status(hider).cgroup)
    if not place.status(hider).cgroup:
        pytest.skip("this user may make no cgroup (version 2) here")
    eventually(lambda: len(group.joinpath("cgroup.procs").read_text().split()) == 4, "all are in the cgroup")
    members = [int(pid) for pid in group.joinpath("cgroup.procs").read_text().split()]
    os.kill(place.keeper(hider), signal.SIGKILL)
    assert place.registry.wait(hider, 5).status == "lost"
    assert not [pid for pid in members if alive(pid)]
    assert not group.exists()


def test_a_keeper_that_is_told_to_end_ends_its_command_and_says_so(place: Place) -> None:
    running = place.start("trap 'echo bye; exit 0' TERM; echo on; while :; do sleep 0.1; done")
    place.until(running, "on")
    os.kill(place.keeper(running), signal.SIGTERM)
    status = place.end(running)
    assert (status.state, status.reason) == ("killed", "its keeper was told to end, as with a container")
    assert "bye" in place.output(running)


def test_processes_outlive_the_gateway_that_started_them(place: Place) -> None:
    gateway = Gateway(place.directory)
    gateway.ask("cat; exit 9")
    running = gateway.answer()
    place.started.append(running)
    gateway.kill()
    assert place.registry.submit(running, "after").status == "ok"
    place.until(running, "after\n")
    place.registry.close(running)
    assert place.end(running).exit_code == 9


def test_two_hundred_kills_at_random_moments(tmp_path: Path) -> None:
    """Of the gateway, of keepers and of commands; then every line is in order and every end is true."""
    seed = int(os.environ.get("HERMES_KILL_SEED", random.randrange(1 << 30)))
    chance = random.Random(seed)
    print(f"HERMES_KILL_SEED={seed}")
    place = Place(tmp_path / "processes", Limits(tracked=400, disk=1 << 40))
    kinds = [chance.choice(("gateway", "gateway", "keeper", "command")) for _ in range(200)]
    moments = [chance.random() for _ in kinds]
    outcomes: list[str] = []

    def once(kind: str, moment: float) -> None:
        gateway = Gateway(place.directory)
        try:
            gateway.ask(COUNTER.format(lines=LINES))
            if kind == "gateway":
                time.sleep(moment * 0.2)  # from before the keeper is there until after the command has ended
                return
            started = gateway.answer()
            status = records.read_status(place.directory / started)
            assert status is not None
            assert status.keeper is not None
            victim = status.keeper.pid if kind == "keeper" else status.pid
            time.sleep(moment * 0.08)
            # Its pid is its own: nobody has settled or reaped it, or the keeper still lives.
            if kind == "keeper" or records.read_status(place.directory / started).state == "running":  # type: ignore[union-attr]
                handle = os.pidfd_open(victim) if alive(victim) else -1
                if handle >= 0:
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    os.close(handle)
        finally:
            gateway.kill()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(once, kinds, moments))
    names = [path.name for path in place.directory.glob("proc_*")]
    place.started += names
    eventually(
        lambda: all(row.status != "running" and not row.descendants for row in place.registry.list()),
        "everything has ended",
        seed,
    )
    for row in place.registry.list():
        lines = in_order(place.output(row.session_id))
        if row.status == "exited" and row.exit_code == 7:
            assert lines == LINES
        elif row.status == "exited":
            assert (row.exit_code, row.signal) == (137, 9)
        else:
            assert row.status == "lost"
            assert row.reason
        events = [event for event, _ in records.read_events(place.directory / row.session_id)]
        assert [(event["type"], event["state"]) for event in events] == [("completion", row.status)]
        outcomes.append(f"{row.status} {row.exit_code}")
    # Nothing is left of those that never began, once their starters' time is over; and of all, in the end.
    later = Registry(place.directory, default_cwd="/", limits=place.limits, clock=lambda: time.time() + 60)
    eventually(lambda: later.clean() == 0, "nothing is left to clean")
    assert {path.name for path in place.directory.iterdir()} - {".lock"} == {
        row.session_id for row in later.list()
    }
    forgetful = replace(place.limits, kept_after_end=0, kept_with_news=0)
    Registry(place.directory, limits=forgetful, clock=lambda: time.time() + 60).clean()
    assert [path.name for path in place.directory.iterdir()] == [".lock"]
    for name in names:
        assert living(name) == []
        assert not Path(cgroup.of(name).path or "/nowhere").exists()
    assert not [
        pid
        for pid in filter(str.isdecimal, os.listdir("/proc"))  # noqa: PTH208
        if f"HERMES_KEEPER_DIRECTORY={place.directory}".encode() in environment(pid)
    ]
    assert len(set(outcomes)) >= 2, outcomes


def environment(pid: str) -> bytes:
    try:
        return Path("/proc", pid, "environ").read_bytes()
    except OSError:
        return b""


def test_sixty_four_run_at_once_and_the_sixty_fifth_is_refused(place: Place) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: place.start("sleep 60"), range(63)))
    got: list[str] = []
    refused: list[TooManyProcessesError] = []

    def one_more() -> None:
        try:
            got.append(place.another().start(StartRequest(command="sleep 60")).session_id)
        except TooManyProcessesError as error:
            refused.append(error)

    threads = [threading.Thread(target=one_more) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), len(refused)) == (1, 1)
    assert "64 are the most" in str(refused[0])
    assert len(place.registry.list()) == 64
    place.started += got


def test_a_process_that_goes_while_it_is_looked_at_is_a_sentence_at_worst(place: Place) -> None:
    quick = [place.start("seq 100") for _ in range(6)]
    for one in quick:
        place.end(one)
    limits = replace(place.limits, kept_after_end=-1)
    remover = Registry(place.directory, limits=limits, clock=time.time)
    begun = threading.Event()
    failures: list[BaseException] = []

    def look() -> None:
        registry = place.another()
        begun.set()
        for _ in range(60):
            for one in quick:
                try:
                    registry.poll(one, 0)
                    registry.log(one)
                    registry.list()
                    registry.wait(one, 0)
                except ProcessError:
                    continue
                except BaseException as error:
                    failures.append(error)
                    return

    thread = threading.Thread(target=look)
    thread.start()
    begun.wait()
    assert remover.clean() == 6
    thread.join()
    assert failures == []
    assert place.registry.list() == []
