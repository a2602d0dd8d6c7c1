"""A place for processes of one test: a registry of its own, and nothing left when the test is over."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hermes_cli.processes import records
from hermes_cli.processes.limits import Limits
from hermes_cli.processes.liveness import MARK
from hermes_cli.processes.registry import Registry
from hermes_cli.processes.types import StartRequest, Status

PATIENCE = 8.0


class Place:
    def __init__(self, directory: Path, limits: Limits | None = None) -> None:
        self.directory = directory
        self.limits = limits or Limits()
        self.registry = self.another()
        self.started: list[str] = []

    def another(self) -> Registry:
        """As another command sees it, that remembers nothing."""
        return Registry(self.directory, default_cwd="/", limits=self.limits)

    def start(self, command: str | tuple[str, ...], **options: Any) -> str:
        what = {"command": command} if isinstance(command, str) else {"argv": command}
        started = self.registry.start(StartRequest(**what, **options))
        self.started.append(started.session_id)
        return started.session_id

    def output(self, process_id: str) -> str:
        """All of it, as one who follows sees it."""
        text, cursor = "", 0
        while True:
            page = self.registry.poll(process_id, cursor)
            text, cursor = text + page.output, page.cursor
            if not page.more:
                return text

    def until(self, process_id: str, wanted: str) -> str:
        """The output, as soon as it has what is wanted."""
        deadline = time.monotonic() + PATIENCE
        while True:
            seen = self.registry.poll(process_id, None).cursor
            text = self.output(process_id)
            if wanted in text:
                return text
            assert time.monotonic() < deadline, f"{wanted!r} did not come, but {text[-2000:]!r}"
            assert self.status(process_id).control, f"it ended without {wanted!r}: {text[-2000:]!r}"
            self.registry.wait_for_output(process_id, seen, deadline - time.monotonic())

    def end(self, process_id: str) -> Status:
        """The status once it has ended and nothing of it is left."""
        assert self.registry.wait(process_id, PATIENCE).status != "timeout", self.output(process_id)[-2000:]
        eventually(lambda: not self.status(process_id).control, "its keeper has nothing more to do")
        return self.status(process_id)

    def status(self, process_id: str) -> Status:
        self.registry.poll(process_id)
        status = records.read_status(self.directory / process_id)
        assert status is not None
        return status

    def keeper(self, process_id: str) -> int:
        keeper = self.status(process_id).keeper
        assert keeper is not None
        return keeper.pid

    def sweep(self) -> None:
        """End everything, and make sure of it."""
        for killed in self.registry.kill_all(grace=0):
            assert killed.status != "error", killed
        for process_id in self.started:
            eventually(lambda: not living(process_id), f"nothing of {process_id} lives", process_id)  # noqa: B023


def living(process_id: str) -> list[int]:
    """Living processes that have its mark."""
    found = []
    for entry in filter(str.isdecimal, os.listdir("/proc")):  # noqa: PTH208
        with contextlib.suppress(OSError):
            if f"{MARK}={process_id}".encode() in Path("/proc", entry, "environ").read_bytes().split(b"\0"):
                found.append(int(entry))
    return found


def alive(pid: int) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False


def eventually(true: Callable[[], bool], what: str, *seen: object) -> None:
    """Wait for what nothing announces; fails loudly."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"it did not become true that {what}: {seen}"
        time.sleep(0.01)
