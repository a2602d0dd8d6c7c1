"""A kill that comes just as a process ends says what was observed: never that nobody knows."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hermes_cli.processes.registry import Registry
from hermes_cli.processes.types import StartRequest

RACES = int(os.environ.get("RACES", "25"))
"""How often each is run; more by hand."""


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    made = Registry(tmp_path / "processes")
    yield made
    made.kill_all(grace=0)


def has_exited(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.timeout(60)
def test_a_kill_right_behind_the_exit_says_that_it_has_ended(registry: Registry) -> None:
    """Whatever its keeper is doing then: telling, closing, gone."""
    for number in range(RACES):
        process_id = registry.start(StartRequest(command="exit 3", stdin="null")).session_id
        registry.wait(process_id, timeout=20)
        time.sleep(number % 5 * 0.001)
        killed = registry.kill(process_id, grace=1)
        assert (killed.status, killed.exit_code) == ("already_exited", 3), killed


@pytest.mark.timeout(60)
def test_a_kill_that_waits_for_a_keeper_that_has_yet_to_see_the_exit_does_so_too(registry: Registry) -> None:
    for _ in range(RACES):
        started = registry.start(StartRequest(command="sleep 0.05; exit 3", stdin="null"))
        status = registry.look(started.session_id).status
        assert status.keeper is not None
        os.kill(status.keeper.pid, signal.SIGSTOP)
        deadline = time.monotonic() + 20
        while not has_exited(started.pid):
            assert time.monotonic() < deadline
            time.sleep(0.002)
        with ThreadPoolExecutor(1) as pool:
            killing = pool.submit(registry.kill, started.session_id, 1)
            os.kill(status.keeper.pid, signal.SIGCONT)
            killed = killing.result(30)
        assert (killed.status, killed.exit_code) == ("already_exited", 3), killed
