"""The runner: which run goes when, and that each is executed once, whatever becomes of this gateway."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from hermes_cli.agents.assignment import Assignment, attached, check_inputs
from hermes_cli.agents.types import Agent
from hermes_cli.processes.changes import Changes
from hermes_cli.processes.registry import Registry
from hermes_cli.processes.types import StartRequest

from . import sessions
from .controls import ControlResult
from .conversations import Conversations, Standing
from .errors import BadRequestError, DrainingError, RunError, StoreError
from .execution import Execution, Verdict
from .journal import Journal
from .lease import holder_lives
from .session_log import SessionLogs
from .store import Store
from .tail import Tail
from .types import Conflict, Run, RunRequest

__all__ = ["ControlResult", "Runner", "RunnerSettings"]

logger = logging.getLogger("hermes.gateway")

_BEAT = 15.0
"""Seconds between two words that this gateway follows its runs."""

_WORKERS = 4
"""Threads for what blocks, beyond one for each run that may be at work."""

_CONTROL_PATIENCE = 10.0
"""Seconds a cancelled run that waits in the queue may take to be written as such."""

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class RunnerSettings:
    """A profile's own: how many runs at once, what becomes of a second one in a session. Seconds."""

    profile: str
    workspace: str
    processes: Path
    """Where the registry has its directories: one that is there was started, or was being started."""
    sessions: Path
    """Where the logs of conversations are."""
    concurrency: int = 4
    """Runs at work at once. One that waits to be allowed is not at work."""
    on_conflict: Conflict = "reject"
    queue_limit: int = 1000
    deadline: float | None = None
    stalled_after: float = 300.0
    provider: str = ""
    model: str = ""
    """Of a run that names none."""


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
        self.moved = asyncio.Event()
        """Set, and another put in its place, when a run begins, ends, or is put into the queue."""
        self.on_end: Callable[[Run], None] = lambda run: None
        """Called with every run that has ended in our hands."""
        self.masked: Callable[[str], str] = lambda text: text
        """Takes the profile's secrets out of what is told of a request."""
        self.making: Callable[[], AbstractAsyncContextManager[None]] = contextlib.nullcontext
        """Around the making of each run, until it is in our hands. Raises `StoreError` to prevent it."""
        logs = SessionLogs(settings.sessions, lambda text: self.masked(text))
        self.conversations = Conversations(journal, logs)
        self._executions: dict[str, Execution] = {}
        self._queue: dict[str, Run] = {}
        self._tails: dict[str, Tail] = {}
        """Of the runs that wait and of those that go on."""
        self._inherited: set[str] = set()
        """Runs whose process another gateway began, or was about to."""
        self._expiries: dict[str, asyncio.TimerHandle] = {}
        self._draining = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._beating: asyncio.Task[None] | None = None
        self._workers = ThreadPoolExecutor(settings.concurrency + _WORKERS, "runs")

    # Start

    async def adopt(self) -> int:
        """Take up every run that has not ended, as the last gateway left it; how many.

        Raises `LeaseHeldError` where another gateway lives that has them.
        """
        await self.journal.claim(self.lease, holder_lives)
        runs = await self.journal.read(lambda store: store.open_runs())
        wanted = {run.process_id for run in runs}
        await self.blocking(self.registry.collection.release_others, wanted)
        for run in runs:
            if run.process_id is not None:
                self._inherited.add(run.run_id)
            if run.status == "queued":
                self._enqueue(run)
            else:
                self._execute(run, Tail(run.last_seq))
        self.fill()
        return len(runs)

    async def submit(
        self, request: RunRequest, *, key: str | None = None, retry_of: str | None = None
    ) -> tuple[Run, bool]:
        """A new run, on disk, and True; or the one that `key` was used for, and False.

        Raises `RunError`: a busy session, a key with another body, a full queue, a request no agent takes.
        """
        if key is not None:
            known = await self.journal.read(lambda store: store.run_of_key(key, request))
            if known is not None:
                return await self.get(known.run_id), False
        if self._draining:
            raise DrainingError("this gateway is shutting down; ask the next one")
        run_id, session_id = _new_id("run"), request.session_id or _new_id("ses")
        # Refused before it is anything.
        await self.blocking(self._process, self.agent, run_id, session_id, request, None)
        # Whoever asked may go before the answer is there: the run is on disk then, and nobody else begins it.
        return await asyncio.shield(self._task(self._create(run_id, session_id, request, key, retry_of)))

    async def retry(self, run_id: str, *, key: str | None = None) -> tuple[Run, bool]:
        """A new run of the same request, linked to the old one, which has to have ended; as `submit`."""
        old = await self.get(run_id)
        if old.terminal_state is None:
            raise BadRequestError(f"{run_id} has not ended; cancel it first")
        request = msgspec.structs.replace(old.request, session_id=old.session_id)
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
        """The live end of a run that waits or goes on; None for one that has ended."""
        return self._tails.get(run_id)

    def counts(self) -> dict[str, int]:
        """How many are queued and active, for metrics."""
        return {"queued": len(self._queue), "active": len(self._executions)}

    def census(self) -> tuple[Counter[str], int]:
        """How many are in each state, and how many have said nothing for longer than the limit."""
        runs = [execution.run for execution in self._executions.values()]
        states = Counter(run.status for run in runs) + Counter(queued=len(self._queue))
        return states, sum(run.stalled_since is not None for run in runs)

    # Control

    async def cancel(self, run_id: str) -> ControlResult:
        """Ask a run to end, down to its last descendant. Twice is harmless."""
        if run_id in self._queue:
            if self._draining:
                raise DrainingError("this gateway is shutting down; ask the next one")
            fields = {"cancel_requested_at": self.clock()}
            return await self._end_queued(run_id, Verdict("cancelled", "before it began", fields))
        execution = self._executions.get(run_id)
        if execution is not None:
            return await execution.cancel()
        run = await self.get(run_id)
        if run.terminal_state is None:
            return ControlResult(False, "not-active", None, f"{run_id} is not in this gateway's hands")
        return ControlResult(False, "not-active", None, f"{run_id} has ended: {run.terminal_state}")

    async def decide(self, run_id: str, approval_id: str | None, approve: bool) -> ControlResult:
        """Answer the approval that a run waits for."""
        execution = self._executions.get(run_id)
        if execution is not None:
            return await execution.decide(approval_id, approve)
        run = await self.get(run_id)
        if "approval" not in self.agent_named(run.agent).controls:
            return self.unsupported("approval")
        return ControlResult(False, "not-active", None, f"{run_id} waits for no approval: {run.status}")

    def unsupported(self, control: str) -> ControlResult:
        """The answer to a control that the agent does not have."""
        return ControlResult(False, "unsupported", None, f"the {self.agent.name} agent has no {control}")

    async def drain(self) -> None:
        """Let go of every run: they go on under their keepers, and the next gateway takes them up."""
        self._draining = True
        for timer in self._expiries.values():
            timer.cancel()
        if self._beating is not None:
            self._beating.cancel()
        await asyncio.gather(*(execution.let_go() for execution in list(self._executions.values())))
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CONTROL_PATIENCE)
        for tail in self._tails.values():
            tail.release()
        self._workers.shutdown(wait=False)

    # For executions

    def agent_named(self, name: str) -> Agent:
        """The agent that a run was made for: the profile may have another by now."""
        if name == self.agent.name:
            return self.agent
        from hermes_cli.agents.command import CommandAgent
        from hermes_cli.agents.shell import ShellAgent

        return CommandAgent(()) if name == CommandAgent.name else ShellAgent()

    async def process_of(self, run: Run) -> StartRequest:
        """What to start for the run, with its conversation up to date. Raises `RunError`."""
        try:
            standing = await self.conversations.standing(run.session_id)
        except OSError as error:
            raise RunError(f"the log of its conversation could not be written: {error.strerror}") from error
        agent = self.agent_named(run.agent)
        return await self.blocking(self._process, agent, run.run_id, run.session_id, run.request, standing)

    def is_inherited(self, run: Run) -> bool:
        """Whether another gateway began the run's process, or was about to."""
        return run.run_id in self._inherited

    async def blocking(self, call: Callable[..., ResultT], *arguments: Any) -> ResultT:
        """`call(*arguments)` beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._workers, call, *arguments)

    def fill(self) -> None:
        """Begin what may begin: what was at work before comes first, then the oldest, no session twice."""
        for execution in self._executions.values():
            if execution.wants_slot and self._room():
                execution.has_slot, execution.wants_slot = True, False
                execution.wake()
        busy = {execution.run.session_id for execution in self._executions.values()}
        for run in list(self._queue.values()):
            if not self._room():
                return
            if run.session_id not in busy:
                busy.add(run.session_id)
                self._execute(*self._dequeue(run.run_id))

    # Inside

    def _process(
        self, agent: Agent, run_id: str, session_id: str, request: RunRequest, standing: Standing | None
    ) -> StartRequest:
        """Looks at files. Raises `RunError` for a run that the agent cannot take."""
        check_inputs(agent, request)
        workspace = self._workspace_of(request)
        assignment = Assignment(
            run_id=run_id,
            session_id=session_id,
            profile=self.settings.profile,
            workspace=workspace,
            message=request.message,
            provider=request.provider or self.settings.provider,
            model=request.model or self.settings.model,
            toolsets=tuple(request.toolsets),
            attachments=attached(request.attachments, workspace),
            session_log=os.fspath(standing.log) if standing is not None else "",
            session_epoch=standing.epoch if standing is not None else 0,
            session_turn=standing.turn if standing is not None else 0,
        )
        return agent.process(assignment)

    def _workspace_of(self, request: RunRequest) -> str:
        workspace = request.workspace or self.settings.workspace
        if "\0" in workspace or not os.path.isabs(workspace) or not os.path.isdir(workspace):  # noqa: PTH112, PTH117
            raise BadRequestError(f"the workspace {workspace!r} is no directory here; give its whole path")
        return workspace

    async def _create(
        self, run_id: str, session_id: str, request: RunRequest, key: str | None, retry_of: str | None
    ) -> tuple[Run, bool]:
        """`session_id`: of the session that begins with it, where the request names none."""
        now = self.clock()
        anew = request.session_id is not None and await self._may_begin_anew(request.session_id, now)

        def create(store: Store) -> tuple[Run, bool]:
            if anew and request.session_id is not None:
                sessions.reset_if_idle(store, request.session_id, now)
            return store.create_run(
                run_id,
                request,
                agent=self.agent.name,
                on_conflict=request.on_conflict or self.settings.on_conflict,
                key=key,
                retry_of=retry_of,
                new_session_id=session_id,
                deadline=self.settings.deadline,
                queue_limit=self.settings.queue_limit,
            )

        async with self.making():
            run, new = await self.journal.do(create)
            if not new:
                return await self.get(run.run_id), False
            self._enqueue(run)
        self.fill()
        return run, True

    async def _may_begin_anew(self, session_id: str, now: float) -> bool:
        """Whether nobody went on with the session for long, and no background process of it does."""
        since = now - sessions.IDLE_RESET
        idle = await self.journal.read(
            lambda store: sessions.idle_sessions(store, since, session_id=session_id)
        )
        return bool(idle) and not await self.blocking(self.registry.has_active_for_session, session_id)

    def _room(self) -> bool:
        at_work = sum(execution.has_slot for execution in self._executions.values())
        return not self._draining and at_work < self.settings.concurrency

    def _enqueue(self, run: Run) -> None:
        self._queue[run.run_id] = run
        self._tails[run.run_id] = Tail(run.last_seq)
        if run.deadline_at is not None and not self._draining:
            seconds = max(0.0, run.deadline_at - self.clock())
            loop = asyncio.get_running_loop()
            self._expiries[run.run_id] = loop.call_later(seconds, self._expire, run.run_id)
        self._move()

    def _dequeue(self, run_id: str) -> tuple[Run, Tail]:
        timer = self._expiries.pop(run_id, None)
        if timer is not None:
            timer.cancel()
        return self._queue.pop(run_id), self._tails[run_id]

    def _expire(self, run_id: str) -> None:
        if run_id in self._queue:
            verdict = Verdict("expired", "its deadline was over before it began", {})
            self._execute(*self._dequeue(run_id), verdict)

    async def _end_queued(self, run_id: str, verdict: Verdict) -> ControlResult:
        execution = self._execute(*self._dequeue(run_id), verdict)
        await asyncio.wait({execution.task}, timeout=_CONTROL_PATIENCE)
        run = execution.run
        if run.terminal_state is None:
            raise StoreError(self.journal.failure or f"{run_id} could not be cancelled in time; it will be")
        return ControlResult(True, "accepted", f"{run_id}:{run.last_seq}", "cancelled before it began")

    def _execute(self, run: Run, tail: Tail, verdict: Verdict | None = None) -> Execution:
        self._tails[run.run_id] = tail
        execution = self._executions[run.run_id] = Execution(self, run, tail, verdict)
        execution.task.add_done_callback(lambda task: self._done(execution))
        if self._beating is None:
            self._beating = self._task(self._beat())
        self._move()
        return execution

    def _done(self, execution: Execution) -> None:
        run = execution.run
        self._executions.pop(run.run_id, None)
        self._inherited.discard(run.run_id)
        if not execution.task.cancelled() and (error := execution.task.exception()) is not None:
            logger.error("run %s could not be followed any further: %s", run.run_id, error, exc_info=error)
        if not self._draining:
            self._tails.pop(run.run_id, None)
        if run.terminal_state is None:
            execution.tail.release()
        if run.terminal_state is not None:
            self.on_end(run)
        self._move()
        self.fill()

    async def _beat(self) -> None:
        """Say now and then that the runs are followed, for whoever looks from outside."""
        try:
            while self._executions and not self._draining:
                with contextlib.suppress(StoreError):
                    await self.journal.do(lambda store: store.beat())
                await asyncio.sleep(_BEAT)
        finally:
            self._beating = None

    def _move(self) -> None:
        self.moved.set()
        self.moved = asyncio.Event()

    def _task(self, work: Coroutine[Any, Any, ResultT]) -> asyncio.Task[ResultT]:
        """The loop holds tasks weakly."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task


def _new_id(kind: str) -> str:
    return f"{kind}_{secrets.token_hex(8)}"
