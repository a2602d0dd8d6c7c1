"""Durable runs: their events written, told and read again, beside the plain ways to keep a journal.

Argument: samples. Prints JSON: quantity → name → seconds.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from hermes_cli.agents.command import CommandAgent
from hermes_cli.agents.shell import ShellAgent
from hermes_cli.agents.types import Agent
from hermes_cli.processes.changes import Changes
from hermes_cli.processes.registry import Registry
from hermes_cli.runs.journal import Journal
from hermes_cli.runs.runner import Runner, RunnerSettings
from hermes_cli.runs.store import Store
from hermes_cli.runs.types import NewEvent, Run, RunRequest

SAMPLES = int(sys.argv[1])
APPENDED = 50_000
PEERS = 500
"""Events of a peer that syncs each: more would take minutes. Its figure is of 10,000 all the same."""
MANY = 1_000_000
TICKS = 'BEGIN { for (i = 0; i < %d; i++) printf "{\\"type\\":\\"tick\\",\\"n\\":%%d}\\n", i }'
BODY = '{"event_id":"run_0123456789abcdef:%d","seq":%d,"type":"tick","payload":{"n":%d}}'
FILL = """
WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
INSERT INTO events SELECT 1, n, 0, CAST ('{"event_id":"run_many:' || n || '","seq":' || n || '}' AS BLOB)
FROM numbers
"""

found: dict[str, dict[str, list[float]]] = {}


def note(quantity: str, name: str, seconds: float) -> None:
    found.setdefault(quantity, {}).setdefault(name, []).append(seconds)


@asynccontextmanager
async def runner_of(home: Path, agent: Agent) -> AsyncIterator[Runner]:
    journal, changes = Journal(home / "state.db"), Changes()
    registry = Registry(home / "processes")
    settings = RunnerSettings(
        profile="default",
        workspace=str(home),
        processes=home / "processes",
        sessions=home / "sessions",
    )
    runner = Runner(journal, registry, changes, agent, settings, lease="1-1-bench")
    await runner.adopt()
    yield runner
    await runner.drain()
    await journal.close()
    changes.close()


async def follow(runner: Runner, run: Run) -> tuple[int, float]:
    """To its end; how many events, and the seconds between the first of its own and the last."""
    told, began = 0, 0.0
    while True:
        page = await runner.events(run.run_id, told, 1000, 30.0)
        told += len(page)
        if told > 1 and not began:
            began = time.perf_counter()
        if page and json.loads(page[-1])["terminal"]:
            return told, time.perf_counter() - began


async def appended_and_replayed(home: Path) -> None:
    async with runner_of(home, CommandAgent(("awk", TICKS % APPENDED))) as runner:
        run, _ = await runner.submit(RunRequest(message=""))
        told, seconds = await follow(runner, run)
        note("append", "hermes", seconds / told * 10_000)
        began, read = time.perf_counter(), 0
        while page := await runner.events(run.run_id, read, 1000, 0):
            read += len(page)
        note("replay", "hermes", (time.perf_counter() - began) / read * 100_000)


async def told_at_once(home: Path) -> None:
    gate = home / "gate"
    os.mkfifo(gate)
    async with runner_of(home, ShellAgent()) as runner:
        run, _ = await runner.submit(RunRequest(message=f"cat {gate}"))
        opened = await asyncio.to_thread(os.open, gate, os.O_WRONLY)
        for _ in range(SAMPLES * 3):
            seq = (await runner.get(run.run_id)).last_seq
            waiting = asyncio.create_task(runner.events(run.run_id, seq, 10, 10.0))
            await asyncio.sleep(0.05)  # until everybody waits: that is what is measured
            began = time.perf_counter()
            os.write(opened, b"x\n")
            await waiting
            note("first", "hermes", time.perf_counter() - began)
        os.close(opened)
        await follow(runner, run)


async def over_the_command(home: Path) -> None:
    async with runner_of(home, ShellAgent()) as runner:
        for turn in range(SAMPLES + 1):
            began = time.perf_counter()
            subprocess.run(["/bin/sh", "-c", "echo done"], stdout=subprocess.DEVNULL, check=True)
            bare = time.perf_counter() - began
            began = time.perf_counter()
            run, _ = await runner.submit(RunRequest(message="echo done"))
            await follow(runner, run)
            if turn:
                note("over", "hermes", time.perf_counter() - began - bare)


async def a_million(home: Path) -> None:
    async with runner_of(home, ShellAgent()) as runner:
        await runner.journal.do(
            lambda store: store.create_run(
                "run_many", RunRequest(message="x"), agent="shell", on_conflict="queue", new_session_id="s"
            )
        )
        await runner.journal.do(lambda store: store.connection.execute(FILL, (MANY,)))

        def end(store: Store) -> None:
            run = store.run("run_many")
            run.last_seq = MANY
            store.update(run)
            store.append(run, [NewEvent(type="completed", terminal="completed")])

        await runner.journal.do(end)
    for _ in range(SAMPLES):
        began = time.perf_counter()
        async with runner_of(home, ShellAgent()) as runner:
            note("open", "hermes", time.perf_counter() - began)
            began = time.perf_counter()
            page = await runner.events("run_many", MANY // 2, 100, 0)
            note("page", "hermes", time.perf_counter() - began)
            assert len(page) == 100


def plain_sqlite(home: Path) -> None:
    connection = sqlite3.connect(home / "peer.db")
    connection.executescript("PRAGMA journal_mode = wal; PRAGMA synchronous = FULL; CREATE TABLE e (n, body)")
    began = time.perf_counter()
    for n in range(PEERS):
        with connection:
            connection.execute("INSERT INTO e VALUES (?, ?)", (n, BODY % (n, n, n)))
    note("append", "sqlite3, a commit an event", (time.perf_counter() - began) / PEERS * 10_000)
    with connection:
        rows = ((n, BODY % (n, n, n)) for n in range(APPENDED))
        connection.executemany("INSERT INTO e VALUES (?, ?)", rows)
    began = time.perf_counter()
    read = sum(1 for _ in connection.execute("SELECT body FROM e ORDER BY rowid"))
    note("replay", "sqlite3", (time.perf_counter() - began) / read * 100_000)
    connection.close()


def plain_lines(home: Path) -> None:
    with (home / "peer.jsonl").open("w") as file:
        began = time.perf_counter()
        for n in range(PEERS):
            file.write(BODY % (n, n, n) + "\n")
            file.flush()
            os.fsync(file.fileno())
        note("append", "a JSONL file, synced", (time.perf_counter() - began) / PEERS * 10_000)
        file.writelines(BODY % (n, n, n) + "\n" for n in range(APPENDED))
    began = time.perf_counter()
    with (home / "peer.jsonl").open() as file:
        read = sum(1 for line in file if json.loads(line))
    note("replay", "a JSONL file, decoded", (time.perf_counter() - began) / read * 100_000)


def main() -> None:
    for _ in range(SAMPLES):
        home = Path(tempfile.mkdtemp(prefix="bench-"))
        asyncio.run(appended_and_replayed(home))
        plain_sqlite(home)
        plain_lines(home)
        shutil.rmtree(home)
    for part in (told_at_once, over_the_command, a_million):
        home = Path(tempfile.mkdtemp(prefix="bench-"))
        asyncio.run(part(home))
        shutil.rmtree(home)
    print(json.dumps(found))


main()
