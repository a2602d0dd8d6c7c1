"""The runner: which run goes when, and that each is executed once, whatever becomes of this gateway."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hermes_cli.agents.types import Agent
from hermes_cli.processes.changes import Changes
from hermes_cli.processes.registry import Registry

from .errors import BadRequestError, DrainingError, QueueFullError, RunEndedError
from .execution import Execution
from .journal import Journal, Tail
from .types import Conflict, NewEvent, Run, RunRequest

logger = logging.getLogger("hermes.gateway")


@dataclass(frozen=True, slots=True)
class RunnerSettings:
    """A profile's own: how many runs at once, what becomes of a second one in a session. Seconds."""

    workspace: str
    processes: Path
    """Where the registry has its directories: one that is there was started, or was being started."""
    concurrency: int = 4
    on_conflict: Conflict = "reject"
    queue_limit: int = 1000
    deadline: float | None = None
    stalled_after: float = 300.0


@dataclass(frozen=True, slots=True)
class ControlResult:
    """What a control answered: `accepted`, or why nothing was changed."""

    accepted: bool
    status: str
    """accepted, unsupported, not-active, conflict or expired."""
    event_id: str | None
    safe_message: str


class Runner:
    """The runs of one profile, on the running event loop."""

    def __init__(
        self,
        journal: Journal,
        registry: Registry,
        changes: Changes,
        agent: Agent,
        settings: RunnerSettings,
        *,
        lease: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`lease` names this gateway: `PID-START-BOOT`."""
        self.journal = journal
        self.registry = registry
        self.changes = changes
        self.agent = agent
        self.settings = settings
        self.lease = lease
        self.clock = clock
        self._executions: dict[str, Execution] = {}
        self._queue: list[Run] = []
        self._draining = False
        self.moved = asyncio.Event()
        """Set, and another put in its place, when a run begins, ends, or is put into the queue."""
        self.on_end: Callable[[Run], None] = lambda run: None
        """Called with every run that has ended in our hands."""
        self._starting = asyncio.Lock()

    # Start

    async def adopt(self) -> int:
        """Take up every run that has not ended, as the last gateway left it; how many."""
        runs = await self.journal.read(lambda store: store.open_runs())
        for run in runs:
            if run.status == "queued":
                self._queue.append(run)
            else:
                self._execute(run)
        await self._fill()
        return len(runs)

    async def submit(
        self, request: RunRequest, *, key: str | None = None, retry_of: str | None = None
    ) -> tuple[Run, bool]:
        """A new run, on disk, and True; or the one that `key` was used for, and False.

        Raises `RunError`: a busy session, a key with another body, a full queue, a request no agent takes.
        """
        if self._draining:
            raise DrainingError("this gateway is shutting down; ask the next one")
        if len(self._queue) >= self.settings.queue_limit:
            raise QueueFullError(f"{len(self._queue)} runs wait already, which is the limit")
        self.agent.process(request, self.workspace_of(request))  # refused before it is anything
        run_id, session_id = _new_id("run"), _new_id("ses")
        on_conflict = request.on_conflict or self.settings.on_conflict
        if request.deadline_seconds is None and self.settings.deadline is not None:
            request.deadline_seconds = self.settings.deadline
        run, new = await self.journal.do(
            lambda store: store.create_run(
                run_id,
                request,
                agent=self.agent.name,
                on_conflict=on_conflict,
                key=key,
                retry_of=retry_of,
                new_session_id=session_id,
            )
        )
        if new:
            self._queue.append(run)
            self._move()
            await self._fill()
            run = await self.get(run.run_id)
        return run, new

    async def retry(self, run_id: str, *, key: str | None = None) -> tuple[Run, bool]:
        """A new run of the same request, linked to the old one, which has to have ended; as `submit`."""
        old = await self.get(run_id)
        if old.terminal_state is None:
            raise BadRequestError(f"{run_id} has not ended; cancel it first")
        request = RunRequest(**{name: getattr(old.request, name) for name in old.request.__struct_fields__})
        request.session_id = old.session_id
        return await self.submit(request, key=key, retry_of=run_id)

    # Look

    async def get(self, run_id: str) -> Run:
        """Raises `NoSuchRunError`."""
        execution = self._executions.get(run_id)
        if execution is not None:
            return execution.run
        return await self.journal.read(lambda store: store.run(run_id))

    async def events(self, run_id: str, after: int, limit: int, wait: float) -> list[bytes]:
        """At most `limit` encoded events behind number `after`; waits for one up to `wait` seconds.

        Empty where none came in time, and where the run has ended and all was told.
        """
        tail = self.tail(run_id)
        if tail is not None:
            if wait > 0:
                await tail.more(after, wait)
            found = tail.after(after, limit)
            if found is not None:
                return found
        return await self.journal.read(lambda store: store.events(run_id, after, limit))

    def tail(self, run_id: str) -> Tail | None:
        """The live end of a run in our hands; None for one that waits or has ended."""
        execution = self._executions.get(run_id)
        return execution.tail if execution is not None else None

    def counts(self) -> dict[str, int]:
        """How many are queued and active, for metrics."""
        return {"queued": len(self._queue), "active": len(self._executions)}

    # Control

    async def cancel(self, run_id: str) -> ControlResult:
        """Ask a run to end, down to its last descendant. Twice is harmless."""
        execution = self._executions.get(run_id)
        if execution is not None:
            return await execution.cancel()
        queued = next((run for run in self._queue if run.run_id == run_id), None)
        if queued is None:
            run = await self.get(run_id)
            return ControlResult(False, "not-active", None, f"{run_id} has ended: {run.terminal_state}")
        self._queue.remove(queued)
        event = NewEvent(type="cancelled", payload={"reason": "before it began"}, terminal="cancelled")
        now = self.clock()
        try:
            run, _ = await self.journal.do(
                lambda store: store.append(store.run(run_id), [event], cancel_requested_at=now)
            )
        except RunEndedError as error:
            return ControlResult(False, "not-active", None, str(error))
        self._move()
        self.on_end(run)
        return ControlResult(True, "accepted", f"{run_id}:{run.last_seq}", "cancelled before it began")

    async def decide(self, run_id: str, approval_id: str | None, approve: bool) -> ControlResult:
        """Answer the approval that a run waits for."""
        execution = self._executions.get(run_id)
        if execution is None:
            run = await self.get(run_id)
            if "approval" not in self.agent.controls:
                return self.unsupported("approval")
            return ControlResult(False, "not-active", None, f"{run_id} waits for nothing: {run.status}")
        return await execution.decide(approval_id, approve)

    def unsupported(self, control: str) -> ControlResult:
        """The answer to a control that the agent does not have."""
        return ControlResult(False, "unsupported", None, f"the {self.agent.name} agent has no {control}")

    async def drain(self) -> None:
        """Let go of every run: they go on under their keepers, and the next gateway takes them up."""
        self._draining = True
        await asyncio.gather(*(execution.let_go() for execution in list(self._executions.values())))

    # Inside

    def workspace_of(self, request: RunRequest) -> str:
        """Where the run works. Raises `BadRequestError` for a directory that is none."""
        workspace = request.workspace or self.settings.workspace
        if not os.path.isabs(workspace) or not os.path.isdir(workspace):  # noqa: PTH112, PTH117
            raise BadRequestError(f"the workspace {workspace!r} is no directory here; give its whole path")
        return workspace

    async def _fill(self) -> None:
        """Begin what may begin: oldest first, no session twice, no more than the limit."""
        async with self._starting:
            while len(self._executions) < self.settings.concurrency and not self._draining:
                busy = {execution.run.session_id for execution in self._executions.values()}
                ready = next((run for run in self._queue if run.session_id not in busy), None)
                if ready is None:
                    return
                self._queue.remove(ready)
                self._execute(ready)

    def _move(self) -> None:
        self.moved.set()
        self.moved = asyncio.Event()

    def _execute(self, run: Run) -> None:
        execution = Execution(self, run)
        self._executions[run.run_id] = execution
        execution.task.add_done_callback(lambda task: self._done(run.run_id, task))
        self._move()

    def _done(self, run_id: str, task: asyncio.Task[None]) -> None:
        execution = self._executions.pop(run_id, None)
        self._move()
        if execution is not None and execution.run.terminal_state is not None:
            self.on_end(execution.run)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("run %s could not be followed any further: %s", run_id, error, exc_info=error)
        if not self._draining:
            following = asyncio.get_running_loop().create_task(self._fill())
            _keep(following)


_background: set[asyncio.Task[None]] = set()


def _keep(task: asyncio.Task[None]) -> None:
    """The loop holds tasks weakly."""
    _background.add(task)
    task.add_done_callback(_background.discard)


def _new_id(kind: str) -> str:
    return f"{kind}_{secrets.token_hex(8)}"
