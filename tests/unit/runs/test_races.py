"""A thousand runs that are cancelled just as they end: each has one end, and is taken down."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Container
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from hermes_cli.agents.shell import ShellAgent
from hermes_cli.processes.changes import Changes, Subscription
from hermes_cli.processes.registry import Registry
from hermes_cli.processes.types import Killed, Polled, Started, StartRequest
from hermes_cli.runs.journal import Journal
from hermes_cli.runs.runner import Runner, RunnerSettings
from hermes_cli.runs.store import Store
from hermes_cli.runs.types import RunRequest

_RUNS = 1000


class FakeRegistry:
    """Processes that exist in memory alone: they say one line, and end when they are told to."""

    def __init__(self) -> None:
        self.states: dict[str, str] = {}
        self.listeners: dict[str, asyncio.Event] = {}
        self.collection = self
        self._lock = threading.Lock()
        self._loop = asyncio.get_running_loop()

    def start(self, request: StartRequest, *, process_id: str, held: bool, stdin: None) -> Started:
        assert process_id not in self.states, "started twice"
        self.states[process_id] = "running"
        return Started(process_id, 1, "running")

    def end(self, process_id: str, state: str) -> bool:
        with self._lock:
            if self.states[process_id] != "running":
                return False
            self.states[process_id] = state
        listener = self.listeners.get(process_id)
        if listener is not None:
            self._loop.call_soon_threadsafe(listener.set)
        return True

    def poll(self, process_id: str, cursor: int, *, final: bool) -> Polled:
        state = cast("Any", self.states[process_id])
        code = None if state == "running" else 0 if state == "exited" else 143
        return Polled(process_id, "", state, 1, 0.0, "", 5, "said\n"[cursor:], exit_code=code)

    def kill(self, process_id: str, grace: float) -> Killed:
        return Killed(process_id, "killed" if self.end(process_id, "killed") else "already_exited")

    def look(self, process_id: str) -> Any:
        return SimpleNamespace(status=SimpleNamespace(ended_at=None), id=process_id)

    def release(self, process_id: str) -> None:
        assert self.states[process_id] != "running"

    def forget(self, process_id: str) -> None:
        assert self.states[process_id] != "running"

    def release_others(self, wanted: Container[str]) -> None:
        pass


class FakeChanges(Changes):
    """Word of the processes in memory."""

    def __init__(self, registry: FakeRegistry) -> None:
        super().__init__()
        self._registry = registry

    def watch(self, kept: Any) -> Subscription:
        found = self.subscribe()
        self._registry.listeners[kept.id] = found.changed
        return found


def test_a_cancellation_that_races_the_end_makes_one_end(tmp_path: Path) -> None:
    async def scene() -> None:
        journal, registry = Journal(tmp_path / "state.db"), FakeRegistry()
        changes = FakeChanges(registry)
        settings = RunnerSettings(
            profile="default",
            workspace=str(tmp_path),
            processes=tmp_path,
            sessions=tmp_path / "sessions",
            concurrency=40,
        )
        runner = Runner(journal, cast("Registry", registry), changes, ShellAgent(), settings, lease="1-1-x")
        await runner.adopt()
        chance, room = random.Random(3), asyncio.Semaphore(40)

        async def race(number: int) -> tuple[str, bool]:
            async with room:
                run, _ = await runner.submit(RunRequest(message="true"))
                tail = runner.tail(run.run_id)
                assert tail is not None
                await tail.more(chance.choice([0, 1, 1]), 10.0)
                process_id = (await runner.get(run.run_id)).process_id
                cancelling = asyncio.create_task(runner.cancel(run.run_id))
                for _ in range(chance.randrange(4)):
                    await asyncio.sleep(0)
                if process_id in registry.states:
                    registry.end(process_id, "exited")
                answer = await cancelling
                while not tail.ended:
                    more = tail.more(tail.last_seq, 10.0)
                    assert await more
                ended = await runner.get(run.run_id)
                if ended.process_id is not None and ended.process_id in registry.states:
                    assert registry.states[ended.process_id] != "running"
                again = await runner.cancel(run.run_id)
                assert not again.accepted or ended.terminal_state is not None
                return str(ended.terminal_state), answer.accepted

        ends = await asyncio.gather(*(race(number) for number in range(_RUNS)))
        assert {state for state, _ in ends} <= {"completed", "cancelled"}
        assert all(accepted for state, accepted in ends if state == "cancelled")
        assert len({state for state, _ in ends}) == 2, "the race was won by both sides"
        assert await journal.read(_check) == []
        count = await journal.read(_terminal_events)
        assert count == _RUNS
        await runner.drain()
        await journal.close()
        changes.close()

    asyncio.run(scene())


def _check(store: Store) -> list[str]:
    return store.check()


def _terminal_events(store: Store) -> int:
    ((count,),) = store.connection.execute("SELECT count(*) FROM events WHERE terminal = 1")
    return cast("int", count)
