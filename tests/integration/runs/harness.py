"""Driving the small gateway, and looking at what a home has after it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from hermes_cli.agents.shell import ShellAgent
from hermes_cli.agents.types import Agent
from hermes_cli.processes.changes import Changes
from hermes_cli.processes.registry import Registry
from hermes_cli.runs.journal import Journal
from hermes_cli.runs.runner import Runner, RunnerSettings
from hermes_cli.runs.store import Store, open_connection
from hermes_cli.runs.types import Run, RunRequest
from hermes_cli.service_manager.process_identity import Process

ROOT = Path(__file__).resolve().parents[3]
DRIVER = Path(__file__).with_name("small_gateway.py")


def lives(home: Path, runs: dict[str, str], **plan: Any) -> dict[str, Any]:
    """Let gateways live and die over `home` until all `runs` have ended; what followers were told."""
    asked = json.dumps({"home": str(home), "runs": runs, **plan})
    result = subprocess.run(
        [sys.executable, "-W", "error", str(DRIVER), asked],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    told: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    assert told["ended"], result.stderr
    return told


def assert_whole(events: list[dict[str, Any]]) -> None:
    """Numbered from 1 without a gap, one terminal event, which is the last."""
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert [event["terminal"] for event in events] == [False] * (len(events) - 1) + [True]


def text_of(events: list[dict[str, Any]]) -> str:
    return "".join(event["payload"]["text"] for event in events if event["type"] == "delta")


def assert_store_sound(home: Path) -> None:
    connection = open_connection(home / "state.db", read_only=True)
    try:
        assert Store(connection).check() == []
    finally:
        connection.close()


def marked_alive(home: Path) -> list[str]:
    """Commands that live and were started for this home, keepers not among them."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                words = (entry / "environ").read_bytes()
                if b"HERMES_PROCESS_ID=" in words and f"PWD={home}\0".encode() in words:
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


class House:
    """A runner in this process, over a home."""

    def __init__(
        self, home: Path, agent: Agent | None = None, lease: str | None = None, **settings: Any
    ) -> None:
        self.home = home
        own = Process.of(os.getpid())
        self.journal = Journal(home / "state.db")
        self.changes = Changes()
        self.registry = Registry(home / "processes")
        self.runner = Runner(
            self.journal,
            self.registry,
            self.changes,
            agent or ShellAgent(),
            RunnerSettings(
                profile="default",
                workspace=str(home),
                processes=home / "processes",
                sessions=home / "sessions",
                **settings,
            ),
            lease=lease or f"{own.pid}-{own.start}-{own.boot}",
        )

    async def submit(self, message: str, **wanted: Any) -> Run:
        key = wanted.pop("key", None)
        run, _ = await self.runner.submit(RunRequest(message=message, **wanted), key=key)
        return run

    async def events(self, run_id: str) -> list[dict[str, Any]]:
        return [json.loads(body) for body in await self.runner.events(run_id, 0, 100_000, 0)]

    async def until(self, run_id: str, wanted: Callable[[Run], bool], seconds: float = 15.0) -> Run:
        """Wait on the run's events until the run is as `wanted`."""
        deadline = time.monotonic() + seconds
        while True:
            run = await self.runner.get(run_id)
            if wanted(run):
                return run
            left = deadline - time.monotonic()
            assert left > 0, f"it is {run}"
            tail = self.runner.tail(run_id)
            if tail is None:
                continue
            await tail.more(run.last_seq, min(left, 0.5))

    async def ended(self, run_id: str, seconds: float = 15.0) -> Run:
        return await self.until(run_id, lambda run: run.terminal_state is not None, seconds)

    async def close(self) -> None:
        await self.runner.drain()
        await self.journal.close()
        self.changes.close()


@contextlib.asynccontextmanager
async def house(home: Path, **wanted: Any) -> AsyncIterator[House]:
    """Adopted, and let go of at the end; what still runs then is ended."""
    made = House(home, **wanted)
    try:
        await made.runner.adopt()
        yield made
    finally:
        await made.close()


async def wait_for(condition: Callable[[], Any], what: str, seconds: float = 10.0) -> None:
    """For what nothing announces here: a file that a command writes."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        await asyncio.sleep(0.01)
