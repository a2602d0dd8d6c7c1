"""A process that writes faster than anybody reads: readers lose the middle, and never their place."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hermes_cli.processes.registry import Registry
from hermes_cli.processes.types import MIN_CAP, StartRequest


def test_the_end_of_the_output_never_goes_back(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "processes", default_cwd=str(tmp_path))
    one = registry.start(StartRequest(command="yes", cap_bytes=MIN_CAP)).session_id
    deadline = time.monotonic() + 3

    def read(_: int) -> int:
        cursor = last = 0
        while time.monotonic() < deadline:
            found = registry.poll(one, cursor)
            assert found.cursor >= cursor
            cursor = found.cursor
            end = registry.look(one).spool.end()
            assert end >= last
            last = end
        return cursor

    try:
        with ThreadPoolExecutor(3) as pool:
            assert min(pool.map(read, range(3))) > MIN_CAP
    finally:
        registry.kill(one, 0)
