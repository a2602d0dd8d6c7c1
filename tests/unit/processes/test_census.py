"""What is left of processes: counted without a touch, settled at the boot, mended and ended when asked."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hermes_cli.container_boot import Decision, lost_processes
from hermes_cli.doctor.diagnosis import examine
from hermes_cli.doctor.model import Scene
from hermes_cli.doctor.processes import CHECKS
from hermes_cli.home import Home
from hermes_cli.processes.census import marked_processes, take_census
from hermes_cli.processes.ending import end_processes
from hermes_cli.processes.registry import Registry
from hermes_cli.processes.types import StartRequest
from hermes_cli.profiles import create_profile, delete_profile, rename_profile
from hermes_cli.status.processes import running_processes


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home.of(root=tmp_path)
    yield made
    end_processes(made.processes, grace=0)


@pytest.fixture
def registry(home: Home) -> Registry:
    return Registry(home.processes, default_cwd=str(home.path))


def lose(registry: Registry) -> str:
    """A process whose keeper was killed, and nobody has looked since."""
    one = registry.start(StartRequest(command="sleep 1000")).session_id
    keeper = registry.look(one).status.keeper
    assert keeper is not None
    os.kill(keeper.pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while Path(f"/proc/{keeper.pid}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return one


def spoil(home: Home, name: str) -> Path:
    path = home.processes / name
    path.mkdir(parents=True)
    (path / "spec.json").write_text("{")
    os.utime(path, (1, 1))
    return path


def diagnose(home: Home, *, fix: bool = False) -> dict[str, str]:
    report = examine(CHECKS, lambda: Scene(root=home.root, manager=None), fix=fix)
    return {finding.id: "fixed" if finding.fixed else finding.status for finding in report.findings}


def test_a_census_counts_and_touches_nothing(home: Home, registry: Registry) -> None:
    running = registry.start(StartRequest(command="sleep 1000")).session_id
    ended = registry.start(StartRequest(command="true")).session_id
    registry.wait(ended, 5)
    lost = lose(registry)
    spoil(home, "proc_00000000beef")
    (home.processes / ".gone-proc_000000000001").mkdir()
    before = {path: path.stat().st_mtime_ns for path in home.processes.rglob("*.json")}
    census = take_census(home.processes)
    assert (census.running, census.unsettled) == (1, [lost])
    assert list(census.broken) == ["proc_00000000beef"]
    assert census.removed == [".gone-proc_000000000001"]
    assert running in census.alive
    assert {path: path.stat().st_mtime_ns for path in home.processes.rglob("*.json")} == before
    assert running_processes(home.processes) == 1
    assert running_processes(home.path / "nowhere") == 0
    assert running in marked_processes()


def test_the_boot_writes_down_what_was_lost(home: Home, registry: Registry) -> None:
    going = registry.start(StartRequest(command="sleep 1000")).session_id
    lost = lose(registry)
    decisions = [Decision("default", True, ""), Decision("x y", None, "a file")]
    (line,) = lost_processes(home.root, decisions)
    assert line.startswith(f"default lost 1 background processes: {lost} (")
    assert json.loads((home.processes / lost / "status.json").read_text())["state"] == "lost"
    assert lost_processes(home.root, decisions) == []
    assert registry.poll(going).status == "running"


def test_the_doctor_mends_what_is_broken_and_leaves_what_runs(home: Home, registry: Registry) -> None:
    one = registry.start(StartRequest(command="sleep 1000")).session_id
    lose(registry)
    path = spoil(home, "proc_00000000beef")
    (home.processes / ".gone-proc_000000000001").mkdir()
    found = diagnose(home)
    assert found["processes proc_00000000beef"] == "error"
    assert found["processes lost default"] == "warning"
    assert found["processes removed default"] == "warning"
    mended = diagnose(home, fix=True)
    assert mended["processes proc_00000000beef"] == "fixed"
    assert path.with_name("proc_00000000beef.broken").is_dir()
    assert set(diagnose(home).values()) == {"ok"}
    assert registry.poll(one).status == "running"


def test_the_doctor_ends_what_a_lost_keeper_left(home: Home, registry: Registry) -> None:
    one = registry.start(StartRequest(command="setsid sleep 1000 & echo $!; wait")).session_id
    registry.wait_for_output(one, 0, 5)
    left = int(registry.poll(one, 0).output)
    keeper = registry.look(one).status.keeper
    assert keeper is not None
    os.kill(keeper.pid, signal.SIGKILL)
    # Nobody settles it: the status says so already, as after a crash between the two steps.
    status = home.processes / one / "status.json"
    fields = json.loads(status.read_text()) | {"state": "lost", "control": "", "ended_at": time.time()}
    status.write_text(json.dumps(fields))
    try:
        assert diagnose(home)[f"process-leftovers {one}"] == "warning"
        assert diagnose(home, fix=True)[f"process-leftovers {one}"] == "fixed"
        assert not Path(f"/proc/{left}/environ").exists() or one not in marked_processes()
    finally:
        if one in marked_processes():
            os.kill(left, signal.SIGKILL)


def test_a_renamed_profile_keeps_its_processes_and_a_deleted_one_does_not(tmp_path: Path) -> None:
    create_profile("old", root=tmp_path)
    registry = Registry(Home.of("old", tmp_path).processes)
    one = registry.start(StartRequest(argv=("cat",))).session_id
    rename_profile("old", "new", root=tmp_path)
    moved = Registry(Home.of("new", tmp_path).processes)
    moved.submit(one, "still here")
    moved.wait_for_output(one, 0, 5)
    assert moved.poll(one, 0).output == "still here\n"
    pid = moved.poll(one).pid
    delete_profile("new", root=tmp_path)
    assert not Home.of("new", tmp_path).path.exists()
    assert not Path(f"/proc/{pid}").exists()
    assert one not in marked_processes()
