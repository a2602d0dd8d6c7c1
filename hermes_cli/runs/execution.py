"""One run from its beginning, or from where the last gateway left it, to its terminal event."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from hermes_cli.agents.types import Danger, Ended
from hermes_cli.processes.changes import Subscription
from hermes_cli.processes.errors import NoSuchProcessError, ProcessError
from hermes_cli.processes.ids import new_id
from hermes_cli.processes.types import Killed, Polled
from hermes_cli.threads import in_daemon

from .beginning import NeverKnownError, begin_process
from .controls import ControlResult
from .errors import LeaseLostError, RunEndedError, RunError, StoreError
from .tail import Tail
from .types import NewEvent, Run, TerminalState

if TYPE_CHECKING:
    from .runner import Runner

logger = logging.getLogger("hermes.gateway")

_KILL_GRACE = 5.0
_LOOK_AGAIN = 30.0
"""Seconds between two looks at a process of which nothing is heard, and between two attempts to end it."""
_FAILED_LOOKS = 5
"""How often in a row a process may be unreadable before its run is given up."""
_LONGEST_PAUSE = 10.0
"""Seconds between two attempts to write to a store that takes nothing."""
_SHOWN = 2000
"""Characters of a command that are shown to whoever is to allow it."""


class Change(NamedTuple):
    """What is written together: events, and fields of the run."""

    events: list[NewEvent]
    fields: dict[str, Any]


class Verdict(NamedTuple):
    """How a run ends that never began."""

    state: TerminalState
    reason: str
    fields: dict[str, Any]


class Execution:
    """Follows one run. `run` is as it is on disk; what else is to be known is in the process's directory."""

    def __init__(self, runner: Runner, run: Run, tail: Tail, verdict: Verdict | None = None) -> None:
        """`verdict`: the run does not begin, it only ends."""
        self._runner = runner
        self.run = run
        self.tail = tail
        self.has_slot = verdict is None and run.pending_approval_id is None
        """It counts among those that may be at work at once."""
        self.wants_slot = False
        self._agent = runner.agent_named(run.agent)
        self._translator = self._agent.translator(dict(run.translator))
        self._cursor = run.output_cursor
        """How far the output is read; on disk as soon as anything became of it."""
        self._writing = asyncio.Lock()
        self._writes: set[asyncio.Task[Run | None]] = set()
        self._woken = asyncio.Event()
        self._subscription: Subscription | None = None
        self._killing: asyncio.Future[Killed] | None = None
        self._kill_again = 0.0
        loop = asyncio.get_running_loop()
        self._heard = loop.time()
        life = self._live() if verdict is None else self._conclude(verdict)
        self.task = loop.create_task(life, name=run.run_id)

    # Controls

    @property
    def cancelled(self) -> bool:
        """Somebody has asked for its end, which is on disk."""
        return self.run.cancel_requested_at is not None

    async def cancel(self) -> ControlResult:
        """The intent is on disk before anything is told to end. Raises `StoreError`."""

        def ask(run: Run) -> Change | None:
            if run.cancel_requested_at is not None:
                return None
            fields = {
                "status": "cancelling",
                "cancel_requested_at": self._runner.clock(),
                "pending_approval_id": None,
            }
            return Change([NewEvent(type="cancelling")], fields)

        try:
            run = await self._change(ask)
        except RunEndedError as error:
            return ControlResult(False, "not-active", None, str(error))
        event_id = None if run is None else f"{run.run_id}:{run.last_seq}"
        return ControlResult(True, "accepted", event_id, "it is asked to end")

    async def decide(self, approval_id: str | None, approve: bool) -> ControlResult:
        """Answer the approval that it waits for: that counts when it is on disk. Raises `StoreError`."""
        refusal = ControlResult(False, "not-active", None, f"{self.run.run_id} waits for no approval")
        pending = self.run.pending_approval_id

        def answer(run: Run) -> Change | None:
            nonlocal refusal
            if run.pending_approval_id is None or run.terminal_state is not None:
                if pending is not None:
                    refusal = ControlResult(False, "conflict", None, f"{pending} was decided just before")
                return None
            if approval_id not in (None, run.pending_approval_id):
                message = f"{approval_id} is not what it waits for: {run.pending_approval_id}"
                refusal = ControlResult(False, "expired", None, message)
                return None
            said = {"approval_id": run.pending_approval_id}
            if approve:
                granted = NewEvent(type="approval_granted", payload=said)
                return Change([granted], {"status": "running", "pending_approval_id": None, "approved": True})
            reason = "it was not allowed"
            denied = NewEvent(type="approval_denied", payload=said)
            return Change(
                [denied, _end("cancelled", reason)], {"pending_approval_id": None, "reason": reason}
            )

        try:
            run = await self._change(answer)
        except RunEndedError as error:
            return ControlResult(False, "not-active", None, str(error))
        if run is None:
            return refusal
        event_id = f"{run.run_id}:{run.last_seq if approve else run.last_seq - 1}"
        return ControlResult(True, "accepted", event_id, "allowed" if approve else "denied")

    def wake(self) -> None:
        """Look again at what it waits for."""
        self._woken.set()
        if self._subscription is not None:
            self._subscription.changed.set()

    async def let_go(self) -> None:
        """Stop following; what is read is on disk, the rest is read by the next gateway."""
        self.task.cancel()
        await asyncio.wait({self.task, *self._writes})
        self.tail.release()

    # Life

    async def _live(self) -> None:
        try:
            if await self._begin():
                await self._follow()
        except (RunEndedError, LeaseLostError) as error:
            logger.warning("run %s is left alone: %s", self.run.run_id, error)
        except NeverKnownError as error:
            await self._give_up("interrupted", str(error))
        except (ProcessError, RunError) as error:
            await self._give_up("failed", str(error))
        except OSError as error:
            await self._give_up("interrupted", f"its process cannot be followed: {error}")
        except Exception as error:
            # Ours, not the run's; but a run that nobody follows must not look as if it went on.
            logger.error("run %s met an error of the gateway's own", self.run.run_id, exc_info=error)
            await self._give_up("interrupted", "an internal error of the gateway; its log has more")

    async def _conclude(self, verdict: Verdict) -> None:
        with contextlib.suppress(LeaseLostError):
            await self._end(verdict.state, verdict.reason, **verdict.fields)

    async def _give_up(self, state: TerminalState, reason: str) -> None:
        """Nothing of it is left running that nobody follows; then say how it ended."""
        process_id = self.run.process_id
        if process_id is not None:
            with contextlib.suppress(ProcessError, OSError):
                await self._kill(process_id)
        with contextlib.suppress(LeaseLostError):
            await self._end(state, reason)
        if process_id is not None:
            await self._release(process_id)

    async def _begin(self) -> bool:
        """Up to the process's id; False where the run ended before it."""
        if self.run.process_id is not None:
            return True
        if self.run.pending_approval_id is None and not self.run.approved and not self.cancelled:
            danger = await self._runner.blocking(self._agent.danger, self.run.request)
            if danger is not None:
                await self._persist(partial(self._request_approval, danger))
        if self.run.pending_approval_id is not None and not await self._allowed():
            return False
        # The id first, on disk: whoever finds no process of that id knows that nothing was ever started.
        await self._persist(self._begin_with(new_id()))
        if self.run.process_id is not None:
            return True
        if self.cancelled:
            await self._end("cancelled", "before anything was started")
        else:
            await self._end("expired", "its deadline was over before it began")
        return False

    def _started(self, run: Run) -> Change:
        if run.started_at is not None:
            return Change([], {})
        event = NewEvent(type="started", payload={"agent": run.agent})
        return Change([event], {"started_at": self._runner.clock(), "lease": self._runner.lease})

    def _begin_with(self, process_id: str) -> Callable[[Run], Change | None]:
        def change(run: Run) -> Change | None:
            if run.cancel_requested_at is not None or self._until_deadline() == 0:
                return None
            events, fields = self._started(run)
            fields |= {"status": "running", "process_id": process_id, "lease": self._runner.lease}
            return Change(events, fields)

        return change

    # Approval

    def _request_approval(self, danger: Danger, run: Run) -> Change | None:
        if run.cancel_requested_at is not None:
            return None
        events, fields = self._started(run)
        approval = f"apr_{secrets.token_hex(6)}"
        payload = {
            "approval_id": approval,
            "description": danger.description,
            "pattern_keys": list(danger.pattern_keys),
            "command": self._runner.masked(run.request.message)[:_SHOWN],
        }
        requested = NewEvent(type="approval_requested", payload=payload)
        fields |= {"status": "awaiting_approval", "pending_approval_id": approval}
        return Change([*events, requested], fields)

    async def _allowed(self) -> bool:
        """Wait for the decision; False where the run has ended. Meanwhile others may be at work."""
        self.has_slot = False
        self._runner.fill()
        while self.run.terminal_state is None and not self.cancelled:
            self._woken.clear()
            self.wants_slot = self.run.pending_approval_id is None
            if self.wants_slot:
                self._runner.fill()
                if self.has_slot:
                    return True
            elif self._until_deadline() == 0:
                await self._end("expired", "nobody decided in time")
                return False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._until_deadline() or None):
                    await self._woken.wait()
        if self.cancelled:
            await self._end("cancelled", "cancelled while it waited to be allowed")
        return False

    # Process

    async def _follow(self) -> None:
        """From the process's output to events, until it has ended and all of it was told."""
        runner = self._runner
        process_id = await begin_process(runner, self.run, self._adopt)
        if process_id is None:
            await self._end("cancelled", "before anything was started")
            return
        kept = await runner.blocking(runner.registry.look, process_id)
        with contextlib.closing(runner.changes.watch(kept)) as subscription:
            self._subscription = subscription
            try:
                polled = await self._tell_until_the_end(process_id, subscription)
            finally:
                self._subscription = None
        if self.cancelled and self._killing is None:
            with contextlib.suppress(ProcessError, OSError):
                await self._kill(process_id)  # it ended by itself; what it left behind ends, too
        await self._finish(polled)
        await self._release(process_id)

    async def _adopt(self, **fields: Any) -> Run:
        """Note in the run that this gateway has it, and under which id its process is started."""
        await self._persist(lambda run: Change([], {"lease": self._runner.lease, **fields}))
        return self.run

    async def _tell_until_the_end(self, process_id: str, subscription: Subscription) -> Polled:
        """All but the last page of the output; that, and how the process ended, in the answer."""
        failures, final = 0, False
        while True:
            subscription.changed.clear()
            poll = partial(self._runner.registry.poll, process_id, self._cursor, final=final)
            try:
                polled = await self._runner.blocking(poll)
            except (OSError, ProcessError) as error:
                failures += 1
                if failures > _FAILED_LOOKS or isinstance(error, NoSuchProcessError):
                    raise
                await subscription.wait(1.0)
                continue
            failures = 0
            over = polled.status != "running"
            if over and not final:
                final = True
                continue
            if over and not polled.more:
                if self._killing is None or self._killing.done():
                    return polled
                await asyncio.wait({self._killing})  # down to the last descendant
                continue
            await self._tell(polled)
            if not over:
                self._end_where_asked(process_id, subscription)
            if not polled.more:
                await self._say_if_stalled()
                await subscription.wait(self._patience())

    def _end_where_asked(self, process_id: str, subscription: Subscription) -> None:
        """Begin to end it where it is cancelled or overdue, and again where that has not helped."""
        now = asyncio.get_running_loop().time()
        if not (self.cancelled or self._until_deadline() == 0):
            return
        if self._killing is not None and (not self._killing.done() or now < self._kill_again):
            return
        self._kill_again = now + _LOOK_AGAIN
        self._killing = self._kill(process_id)
        self._killing.add_done_callback(lambda _: subscription.changed.set())

    def _kill(self, process_id: str) -> asyncio.Future[Killed]:
        return in_daemon(partial(self._runner.registry.kill, process_id, _KILL_GRACE), f"end-{process_id}")

    def _events_of(self, polled: Polled) -> Change:
        events: list[NewEvent] = []
        if polled.dropped_bytes:
            events += self._translator.gap()
            events.append(NewEvent(type="output_dropped", payload={"dropped_bytes": polled.dropped_bytes}))
        if polled.output:
            events += self._translator.feed(polled.output)
        fields = {"translator": self._translator.state, "output_cursor": polled.cursor, "began": True}
        if polled.cursor != self._cursor:
            self._heard = asyncio.get_running_loop().time()
            if self.run.stalled_since is not None:
                events.insert(0, NewEvent(type="resumed"))
                fields["stalled_since"] = None
        self._cursor = polled.cursor
        return Change(events, fields)

    async def _tell(self, polled: Polled) -> None:
        events, fields = self._events_of(polled)
        # Without an event there is nothing to write: another gateway would read on from where the last was.
        if events:
            await self._persist(lambda run: Change(events, fields))

    async def _say_if_stalled(self) -> None:
        silence = asyncio.get_running_loop().time() - self._heard
        if self.run.stalled_since is None and silence >= self._runner.settings.stalled_after:
            since = self._runner.clock() - silence
            event = NewEvent(type="stalled", payload={"since": since})
            await self._persist(lambda run: Change([event], {"stalled_since": since}))

    def _patience(self) -> float:
        """Seconds until there is something to be done although nothing is heard."""
        times = [_LOOK_AGAIN]
        now = asyncio.get_running_loop().time()
        if self._killing is not None:
            if self._killing.done():
                times.append(max(0.1, self._kill_again - now))
        elif (left := self._until_deadline()) is not None:
            times.append(left)
        if self.run.stalled_since is None:
            times.append(max(0.0, self._heard + self._runner.settings.stalled_after - now))
        return min(times)

    async def _finish(self, polled: Polled) -> None:
        """The rest of the output and how it ended, in one piece."""
        state = polled.status
        assert state != "running"
        kept = await self._runner.blocking(self._runner.registry.look, polled.session_id)
        events, fields = self._events_of(polled)
        ended = Ended(state, polled.exit_code, polled.signal, polled.reason or "")
        *rest, last = self._translator.finish(ended)
        deadline, ended_at = self.run.deadline_at, kept.status.ended_at or self._runner.clock()
        reason = polled.reason or ""
        overdue = state == "killed" and deadline is not None and ended_at >= deadline

        def change(run: Run) -> Change:
            final, why = last, reason
            if run.cancel_requested_at is not None and state != "exited":
                final = NewEvent(type="cancelled", payload=last.payload, terminal="cancelled")
            elif overdue:
                why = "it took longer than its deadline"
                final = _end("expired", why)
            elif state == "killed":  # with its container, or by somebody who knew only of the process
                final = NewEvent(type="interrupted", payload=last.payload, terminal="interrupted")
            told = {"exit_code": polled.exit_code, "reason": why, "pending_approval_id": None}
            return Change([*events, *rest, final], {**fields, **told, "stalled_since": None})

        await self._persist(change)

    async def _release(self, process_id: str) -> None:
        """All of it is in the journal, and how it ended."""
        registry = self._runner.registry
        await self._runner.blocking(registry.collection.release, process_id)
        with contextlib.suppress(ProcessError, OSError):
            await self._runner.blocking(registry.forget, process_id)

    # Writing

    async def _end(self, state: TerminalState, reason: str, **fields: Any) -> None:
        fields |= {"reason": reason, "pending_approval_id": None, "stalled_since": None}
        with contextlib.suppress(RunEndedError):
            await self._persist(lambda run: Change([_end(state, reason)], fields))

    async def _persist(self, make: Callable[[Run], Change | None]) -> Run | None:
        """As `_change`, and as long as the store takes nothing, again: the process goes on meanwhile."""
        pause = 0.05
        while True:
            try:
                return await self._change(make)
            except LeaseLostError:
                raise
            except StoreError as error:
                if pause < 0.1:
                    logger.error("run %s cannot be written, and waits: %s", self.run.run_id, error)
                pause = min(pause * 2, _LONGEST_PAUSE)
                await asyncio.sleep(pause)  # room on a disk announces itself to nobody

    async def _change(self, make: Callable[[Run], Change | None]) -> Run | None:
        """Write what `make` makes of the run as it is then; None where that is nothing.

        Whoever waits for it may be cancelled: it is written, and known here, all the same.
        """
        write = asyncio.get_running_loop().create_task(self._write(make))
        self._writes.add(write)
        write.add_done_callback(self._writes.discard)
        write.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(write)

    async def _write(self, make: Callable[[Run], Change | None]) -> Run | None:
        """In this order: on disk, in the tail, known to others."""
        async with self._writing:
            if self.run.terminal_state is not None:
                raise RunEndedError(f"{self.run.run_id} has ended ({self.run.terminal_state})")
            change = make(self.run)
            if change is None:
                return None
            before, (events, fields) = self.run, change
            run, bodies = await self._runner.journal.do(lambda store: store.append(before, events, **fields))
            self.run = run
            self.tail.add(bodies, ended=run.terminal_state is not None)
        self.wake()
        return run

    def _until_deadline(self) -> float | None:
        """Seconds left, 0 past it; None where there is none."""
        if self.run.deadline_at is None:
            return None
        return max(0.0, self.run.deadline_at - self._runner.clock())


def _end(state: TerminalState, reason: str) -> NewEvent:
    return NewEvent(type=state, payload={"reason": reason}, terminal=state)
