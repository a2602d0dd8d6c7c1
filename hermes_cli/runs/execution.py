"""One run from its beginning, or from where the last gateway left it, to its terminal event."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import TYPE_CHECKING, Any

from hermes_cli.agents.types import Ended
from hermes_cli.processes.errors import NoSuchProcessError, ProcessError, StartError
from hermes_cli.processes.types import Owner, Polled

from .errors import RunEndedError, RunError
from .journal import Tail
from .types import NewEvent, Run

if TYPE_CHECKING:
    from .runner import ControlResult, Runner

_KILL_GRACE = 5.0
_LOOK_AGAIN = 30.0
"""Seconds between two looks at a process of which nothing is heard."""


class Execution:
    """Follows one run. What it knows beyond `run` is in the process's directory."""

    def __init__(self, runner: Runner, run: Run) -> None:
        self._runner = runner
        self.run = run
        self.tail = Tail(run.last_seq)
        self._translator = runner.agent.translator(dict(run.translator))
        self._writing = asyncio.Lock()
        self._decided: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._cancelled = asyncio.Event()
        if run.cancel_requested_at is not None:
            self._cancelled.set()
        self.task = asyncio.get_running_loop().create_task(self._live(), name=run.run_id)

    # Controls

    async def cancel(self) -> ControlResult:
        """The intent is on disk before anything is told to end."""
        from .runner import ControlResult

        if self.run.cancel_requested_at is None:
            now = self._runner.clock()
            event = NewEvent(type="cancelling", payload={})
            try:
                await self._write([event], status="cancelling", cancel_requested_at=now)
            except RunEndedError as error:
                return ControlResult(False, "not-active", None, str(error))
            self._cancelled.set()
        return ControlResult(True, "accepted", f"{self.run.run_id}:{self.run.last_seq}", "it is asked to end")

    async def decide(self, approval_id: str | None, approve: bool) -> ControlResult:
        from .runner import ControlResult

        pending = self.run.pending_approval_id
        if pending is None:
            return ControlResult(False, "not-active", None, f"{self.run.run_id} waits for no approval")
        if approval_id is not None and approval_id != pending:
            return ControlResult(False, "expired", None, f"{approval_id} is not what it waits for: {pending}")
        if self._decided.done():
            return ControlResult(False, "conflict", None, f"{pending} is decided already")
        self._decided.set_result(approve)
        kind = "approval_granted" if approve else "approval_denied"
        event = NewEvent(type=kind, payload={"approval_id": pending})
        await self._write([event], status="running", pending_approval_id=None, approved=approve)
        return ControlResult(
            True, "accepted", f"{self.run.run_id}:{self.run.last_seq}", "allowed" if approve else "denied"
        )

    async def let_go(self) -> None:
        """Stop following; what is read is on disk, the rest is read by the next gateway."""
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await self.task

    # Life

    async def _live(self) -> None:
        try:
            if self.run.process_id is None and not await self._begin():
                return
            await self._follow()
        except (ProcessError, RunError, OSError) as error:
            await self._end("failed", reason=str(error))
        except Exception:
            # Ours, not the run's; but a run that nobody follows must not look as if it went on.
            await self._end("interrupted", reason="an internal error of the gateway; its log has more")
            raise

    async def _begin(self) -> bool:
        """Up to the process; False where the run ended before it."""
        run = self.run
        if run.status == "queued":
            await self._write(
                [NewEvent(type="started", payload={"agent": run.agent})],
                status="running",
                started_at=self._runner.clock(),
                lease=self._runner.lease,
            )
        if not await self._allowed():
            return False
        if self._cancelled.is_set():
            await self._end("cancelled", reason="before anything was started")
            return False
        # The id first, on disk: whoever finds no process of that id knows that nothing was ever started.
        await self._write([], process_id=self._new_process_id())
        return True

    async def _allowed(self) -> bool:
        danger = self._runner.agent.danger(self.run.request)
        if danger is None or self.run.approved or self._cancelled.is_set():
            return True
        if self.run.pending_approval_id is None:
            approval = f"apr_{secrets.token_hex(6)}"
            payload = {
                "approval_id": approval,
                "description": danger.description,
                "pattern_keys": list(danger.pattern_keys),
                "command": self.run.request.message[:2000],
            }
            await self._write(
                [NewEvent(type="approval_requested", payload=payload)],
                status="awaiting_approval",
                pending_approval_id=approval,
            )
        cancelled = asyncio.ensure_future(self._cancelled.wait())
        try:
            waits: set[asyncio.Future[Any]] = {self._decided, cancelled}
            await asyncio.wait(
                waits,
                timeout=self._until_deadline(),
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            cancelled.cancel()
        if self._decided.done():
            if self._decided.result():
                return True
            await self._end("cancelled", reason="it was not allowed")
        elif self._cancelled.is_set():
            await self._end("cancelled", reason="cancelled while it waited to be allowed")
        else:
            await self._end("expired", reason="nobody decided in time")
        return False

    async def _follow(self) -> None:
        """From the process's output to events, until it has ended and all of it was told."""
        registry, changes = self._runner.registry, self._runner.changes
        process_id = self.run.process_id or ""
        await self._make_sure_it_began(process_id)
        killing: asyncio.Task[Any] | None = None
        with contextlib.closing(changes.watch(registry.look(process_id))) as subscription:
            while True:
                subscription.changed.clear()
                polled = await asyncio.to_thread(registry.poll, process_id, self.run.output_cursor)
                await self._tell(polled)
                if polled.more:
                    continue
                if polled.status != "running" and polled.cursor <= self.run.output_cursor:
                    break
                overdue = self._until_deadline() == 0
                if killing is None and (self._cancelled.is_set() or overdue):
                    killing = asyncio.create_task(asyncio.to_thread(registry.kill, process_id, _KILL_GRACE))
                await self._wait(subscription)
        if killing is not None:
            await killing
        await self._finish(polled)

    async def _make_sure_it_began(self, process_id: str) -> None:
        """Start the process unless there is one of this id: then another gateway has started it."""
        registry = self._runner.registry
        try:
            await asyncio.to_thread(registry.look, process_id)
            return
        except NoSuchProcessError:
            if (self._runner.settings.processes / process_id).exists():
                raise RunError("its process was being started when the gateway ended") from None
        request = self._runner.agent.process(self.run.request, self._runner.workspace_of(self.run.request))
        owner = Owner(session_key=self.run.session_id, task_id=self.run.run_id)
        try:
            await asyncio.to_thread(registry.start, _owned(request, owner), process_id=process_id)
        except StartError as error:
            raise RunError(str(error)) from error
        if request.stdin == "open":
            await asyncio.to_thread(registry.write, process_id, self.run.request.message.encode())
            await asyncio.to_thread(registry.close, process_id)

    async def _tell(self, polled: Polled) -> None:
        events = self._translator.feed(polled.output) if polled.output else []
        if polled.dropped_bytes:
            gap = {"dropped_bytes": polled.dropped_bytes}
            events.insert(0, NewEvent(type="output_dropped", payload=gap))
        if events or polled.cursor != self.run.output_cursor:
            changes: dict[str, Any] = {"translator": self._translator.state, "output_cursor": polled.cursor}
            if self.run.stalled_since is not None:
                changes["stalled_since"] = None
                events.insert(0, NewEvent(type="resumed", payload={}))
            await self._write(events, **changes)

    async def _finish(self, polled: Polled) -> None:
        state = polled.status
        assert state != "running"
        if self._cancelled.is_set() or state != "killed":
            ended = Ended(state, polled.exit_code, polled.signal, polled.reason or "")
        else:
            ended = Ended("exited", polled.exit_code, polled.signal, polled.reason or "")
        events = self._translator.finish(ended)
        if self._cancelled.is_set() and state != "exited":
            events[-1] = NewEvent(type="cancelled", payload=events[-1].payload, terminal="cancelled")
        elif self._until_deadline() == 0 and state == "killed":
            reason = {"reason": "it took longer than its deadline"}
            events[-1] = NewEvent(type="expired", payload=reason, terminal="expired")
        await self._write(
            events, exit_code=polled.exit_code, reason=polled.reason or "", pending_approval_id=None
        )

    async def _end(self, state: str, *, reason: str) -> None:
        event = NewEvent(type=state, payload={"reason": reason}, terminal=state)  # type: ignore[arg-type]
        with contextlib.suppress(RunEndedError):
            await self._write([event], reason=reason, pending_approval_id=None)

    async def _wait(self, subscription: Any) -> None:
        """Until something is heard of the process, it is cancelled, its deadline or its silence is over."""
        patience = min(_LOOK_AGAIN, self._until_deadline() or _LOOK_AGAIN)
        quiet = self._runner.settings.stalled_after
        waits = {
            asyncio.ensure_future(subscription.wait(min(patience, quiet))),
            asyncio.ensure_future(self._cancelled.wait()),
        }
        if self._cancelled.is_set():
            waits.pop().cancel()
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _until_deadline(self) -> float | None:
        """Seconds left, 0 past it; None where there is none."""
        if self.run.deadline_at is None:
            return None
        return max(0.0, self.run.deadline_at - self._runner.clock())

    async def _write(self, events: list[NewEvent], **changes: Any) -> None:
        """In this order: on disk, in the tail, known to others."""
        async with self._writing:
            run = self.run
            run, bodies = await self._runner.journal.do(lambda store: store.append(run, events, **changes))
            self.run = run
            self.tail.add(bodies, ended=run.terminal_state is not None)

    @staticmethod
    def _new_process_id() -> str:
        from hermes_cli.processes.ids import new_id

        return new_id()


def _owned(request: Any, owner: Owner) -> Any:
    from dataclasses import replace

    return replace(request, owner=owner)
