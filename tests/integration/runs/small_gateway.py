"""A gateway as small as can be, in a process of its own: lives that a test may end at any moment.

The parent is warm and forks each life, so that a hundred of them take seconds. It reads what followers are
told from a pipe and gives the next life their cursors.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hermes_cli.processes.collection
import hermes_cli.processes.registry
import hermes_cli.processes.starting
import hermes_cli.tools.danger
from hermes_cli.agents.command import CommandAgent
from hermes_cli.agents.shell import ShellAgent
from hermes_cli.processes.changes import Changes
from hermes_cli.processes.registry import Registry
from hermes_cli.runs.journal import Journal
from hermes_cli.runs.runner import Runner, RunnerSettings
from hermes_cli.runs.types import RunRequest
from hermes_cli.service_manager.process_identity import Process

PATIENCE = 45.0


def lease() -> str:
    own = Process.of(os.getpid())
    return f"{own.pid}-{own.start}-{own.boot}"


class Points:
    """Places between two writes, counted; the process ends itself at number `deadly`."""

    def __init__(self, deadly: int | None) -> None:
        self.deadly = deadly
        self.names: list[str] = []

    def __call__(self, name: str) -> None:
        self.names.append(name)
        if len(self.names) == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner: Any, name: str) -> None:
        inner: Callable[..., Any] = getattr(owner, name)

        def call(*arguments: Any, **named: Any) -> Any:
            self(f"before {name}")
            result = inner(*arguments, **named)
            self(f"after {name}")
            return result

        setattr(owner, name, call)


async def live(plan: dict[str, Any], cursors: dict[str, int], told: int) -> None:
    home = Path(plan["home"])
    journal, changes, registry = Journal(home / "state.db"), Changes(), Registry(home / "processes")
    agent = CommandAgent(tuple(plan["argv"]), plan["message"]) if "argv" in plan else ShellAgent()
    settings = RunnerSettings(
        profile="default",
        workspace=str(home),
        processes=home / "processes",
        sessions=home / "sessions",
        **plan.get("settings", {}),
    )
    runner = Runner(journal, registry, changes, agent, settings, lease=lease())
    await runner.adopt()

    async def follow(key: str, message: str) -> None:
        run, _ = await runner.submit(RunRequest(message=message), key=key)
        after = cursors.get(key, 0)
        while True:
            found = await runner.events(run.run_id, after, 500, 5.0)
            for body in found:
                after += 1
                os.write(told, key.encode() + b" " + body + b"\n")
            run = await runner.get(run.run_id)
            if run.terminal_state is not None and after == run.last_seq:
                return

    await asyncio.gather(*(follow(key, message) for key, message in plan["runs"].items()))
    await runner.drain()
    await journal.close()
    changes.close()


def one_life(
    plan: dict[str, Any], seen: dict[str, list[dict[str, Any]]], *, deadly: int | None, seconds: float | None
) -> tuple[bool, list[str]]:
    """Whether it came to its end by itself, and the points it passed."""
    heard, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(heard)
        points = Points(deadly)
        if plan.get("points"):
            points.around(Journal, "_transact")
            points.around(hermes_cli.processes.collection.Collection, "reserve")
            points.around(hermes_cli.processes.registry, "start_keeper")
            points.around(hermes_cli.processes.starting, "_send")
            points.around(hermes_cli.processes.starting, "_receive")
            points.around(Registry, "poll")
            points.around(hermes_cli.processes.collection.Collection, "release")
        cursors = {key: len(events) for key, events in seen.items()}
        asyncio.run(asyncio.wait_for(live(plan, cursors, told), PATIENCE))
        os.write(told, b"points " + json.dumps(points.names).encode() + b"\n")
        os._exit(0)
    os.close(told)
    os.set_blocking(heard, False)
    data = b""
    deadline = time.monotonic() + (seconds if seconds is not None else PATIENCE)
    import select

    poll = select.poll()
    poll.register(heard)
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            os.kill(pid, signal.SIGKILL)
            deadline = time.monotonic() + PATIENCE
        if poll.poll(max(0.0, left) * 1000):
            part = os.read(heard, 1 << 20)
            if not part:
                break
            data += part
    _, status = os.waitpid(pid, 0)
    os.close(heard)
    names: list[str] = []
    for line in data.split(b"\n")[:-1]:
        key, _, body = line.partition(b" ")
        if key == b"points":
            names = json.loads(body)
        else:
            seen.setdefault(key.decode(), []).append(json.loads(body))
    return status == 0, names


def main() -> None:
    """Plan: home, runs (key to message), kills, seed, and how long a life lasts (`shortest`, `longest`)."""
    plan = json.loads(sys.argv[1])
    chance = random.Random(plan.get("seed", 0))
    seen: dict[str, list[dict[str, Any]]] = {}
    kills, ended = 0, False
    names: list[str] = []
    for _ in range(plan.get("kills", 0)):
        seconds = chance.uniform(plan["shortest"], plan["longest"])
        ended, _names = one_life(plan, seen, deadly=None, seconds=seconds)
        if ended:
            break
        kills += 1
    if plan.get("deadly"):
        ended, _names = one_life(plan, seen, deadly=plan["deadly"], seconds=None)
        kills += not ended
    if not ended:
        ended, names = one_life(plan, seen, deadly=None, seconds=None)
    print(json.dumps({"ended": ended, "kills": kills, "seen": seen, "points": names}))


if __name__ == "__main__":
    main()
