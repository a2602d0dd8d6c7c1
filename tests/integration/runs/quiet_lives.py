"""Gateways that are killed between any two steps of saying, and taking back, that no run is open.

The parent is warm and forks each life over a home of its own. A line of JSON tells of each life what was on
disk after it, and what the next one made of that.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import hermes_cli.agents.shell
import hermes_cli.home
import hermes_cli.processes.environments.local
import hermes_cli.processes.profile
import hermes_cli.processes.starting
import hermes_cli.runs.runner
import hermes_cli.runs.settled
import hermes_cli.runs.store
import hermes_cli.runs.tending
import hermes_cli.tools.danger
from hermes_cli.config.schema import AgentConfig, RunsConfig
from hermes_cli.gateway.process_service import ProcessService
from hermes_cli.gateway.run_service import RunService
from hermes_cli.home import Home
from hermes_cli.runs.journal import Journal
from hermes_cli.runs.store import Store, open_connection
from hermes_cli.runs.types import RunRequest

from .small_gateway import Points

PATIENCE = 40.0


def service_of(home: Home) -> tuple[RunService, ProcessService]:
    processes = ProcessService(home)
    return RunService(home, processes, AgentConfig(), RunsConfig()), processes


async def until_ended(service: RunService, run_id: str) -> None:
    runner = await service.runner()
    while (await runner.get(run_id)).terminal_state is None:
        tail = runner.tail(run_id)
        if tail is not None:
            await tail.more(tail.last_seq, 1.0)


async def life(home: Home) -> None:
    """One run to its end, quiet, another, quiet, one that is still open when the gateway stops."""
    service, processes = service_of(home)
    await service.start()
    runner = await service.runner()
    for number in (1, 2):
        await runner.submit(RunRequest(message=f"echo {number} >>{home.path}/effects"))
        while any(runner.counts().values()):
            await runner.moved.wait()
        await service._settle(lambda: not any(runner.counts().values()))
    await runner.submit(
        RunRequest(message=f"while [ ! -e {home.path}/over ]; do sleep 0.05; done; echo 3 >>effects")
    )
    service.drain()
    await service.close()
    processes.close()


async def next_life(home: Home) -> bool:
    """Take up what is there, to its end; whether there was anything to look after."""
    service, processes = service_of(home)
    await service.start()
    looked = service._runner is not None
    for run_id in open_runs(home):
        await until_ended(service, run_id)
    service.drain()
    await service.close()
    processes.close()
    return looked


def open_runs(home: Home) -> list[str]:
    if not home.state_db.exists():
        return []
    connection = open_connection(home.state_db, read_only=True)
    try:
        if connection.pragma("user_version") == 0:
            return []  # killed before it had tables
        return [run.run_id for run in Store(connection).open_runs()]
    finally:
        connection.close()


def one_life(home: Home, deadly: int) -> tuple[bool, list[str]]:
    """Whether it came to its end, and the points that it passed."""
    heard, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(heard)
        points = Points(deadly)
        points.around(Journal, "_transact")
        points.around(hermes_cli.home, "write_atomic")
        points.around(hermes_cli.home, "sync_directory")
        for name in ("_look", "save", "sync_directory", "unsettle", "settle"):
            points.around(hermes_cli.runs.settled, name)
        points.around(hermes_cli.runs.store, "open_connection")
        points.around(Path, "unlink")
        points.around(Path, "replace")
        asyncio.run(asyncio.wait_for(life(home), PATIENCE))
        os.write(told, json.dumps(points.names).encode())
        os._exit(0)
    os.close(told)
    data = b""
    while part := os.read(heard, 1 << 16):
        data += part
    os.close(heard)
    _, status = os.waitpid(pid, 0)
    if status not in (0, signal.SIGKILL):
        sys.exit(f"a life at point {deadly} ended with {status}")
    return status == 0, json.loads(data) if data else []


def look(home: Home) -> dict[str, Any]:
    return {"settled": hermes_cli.runs.settled.settled(home) is not None, "open": open_runs(home)}


def main() -> None:
    """Argument: a directory for the homes. The last line is of the life that nothing killed."""
    root = Path(sys.argv[1])
    first, step = int(sys.argv[2]), int(sys.argv[3])
    deadly, whole = first, False
    while not whole:
        home = Home.of(root=root / str(deadly))
        home.path.mkdir()
        home.run_dir.mkdir()
        whole, names = one_life(home, deadly)
        after = look(home)
        (home.path / "over").touch()
        looked = asyncio.run(asyncio.wait_for(next_life(home), PATIENCE))
        told = {"deadly": deadly, "whole": whole, "names": names, "after": after, "looked": looked}
        print(json.dumps(told | {"then": look(home)}), flush=True)
        deadly += step


if __name__ == "__main__":
    main()
