"""What the gateway does for processes unasked: takes their events, settles the lost, forgets the old."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from .process_service import ProcessService

if TYPE_CHECKING:
    from hermes_cli.processes.changes import Subscription
    from hermes_cli.processes.environments import Kind

    from .process_sandboxes import SandboxEvents

logger = logging.getLogger("hermes.gateway")

_CLEAN_EVERY = 60.0
_SECOND_LOOK = 1.0
"""Seconds after a change: the kernel tells of a keeper's end a moment before its lock is free."""
_AFTER_TROUBLE = 30.0
_IDLE = 3600.0
_LONGEST_SILENCE = 120.0
"""Seconds after the outbox's last change in which a silence that an earlier gateway began may still last."""

_TELLING = frozenset({"events.jsonl", "keeper.lock", "status.json"})


class ProcessKeeping:
    """Woken by what changes in the processes' directories, and by deadlines."""

    def __init__(self, service: ProcessService) -> None:
        self._service = service
        self._cleaned_at = -_CLEAN_EVERY
        self._deadline: float | None = None
        """When, by the clock, a silence ends and somebody is to be told."""
        self._new = True
        self._task: asyncio.Task[None] | None = None
        self._sandboxes: dict[str, SandboxEvents] = {}
        self._taken = False
        """Events of a sandbox have come."""
        self._unusable: set[str] = set()
        """Sandboxes in use that the configuration does not have."""

    def start(self) -> None:
        """Look now, and from now on."""
        self._task = asyncio.ensure_future(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        for events in self._sandboxes.values():
            events.stop()

    async def _run(self) -> None:
        service = self._service
        try:
            service.home.processes.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            logger.error("%s cannot be made: %s", service.home.processes, error.strerror)
        with service.changes.subscribe() as subscription:
            subscription.add(service.home.processes, _begins)
            settled = False
            while True:
                subscription.changed.clear()
                try:
                    await self._look(subscription)
                    service.problem = ""
                except Exception as error:
                    self._complain(error)
                    settled = True
                patience = self._patience() if settled else _SECOND_LOOK
                settled = not await subscription.wait(patience)

    async def _look(self, subscription: Subscription) -> None:
        service = self._service
        ids = service.ids()
        for kind in service.sandboxes_in_use():
            if kind not in self._sandboxes:
                await self._follow(kind, subscription)
        for name in ids:
            subscription.add(service.home.processes / name, _TELLING.__contains__)
        now = time.monotonic()
        await service.take_stock()  # settles what was lost
        if ids:
            registry = await service.registry()
            if now - self._cleaned_at >= _CLEAN_EVERY:
                self._cleaned_at = now
                await service.quick(registry.clean)
        silence_over = self._deadline is not None and time.time() >= self._deadline
        taken, self._taken = self._taken, False
        if (
            taken
            or service.has_news()
            or silence_over
            or (self._new and service.outbox_is_young(_LONGEST_SILENCE))
        ):
            outbox = await service.outbox()
            await service.quick(outbox.collect)
            self._deadline = await service.quick(outbox.deadline)
        self._new = False

    async def _follow(self, kind: Kind, subscription: Subscription) -> None:
        """Take the events of a sandbox from now on, until nothing runs there."""
        from hermes_cli.processes.errors import EnvironmentUnusableError

        from .process_sandboxes import SandboxEvents

        loop = asyncio.get_running_loop()

        def taken() -> None:
            self._taken = True
            subscription.changed.set()

        def over() -> None:
            del self._sandboxes[kind]
            subscription.changed.set()  # somebody may have started more meanwhile

        def on_loop(call: Callable[[], None]) -> Callable[[], None]:
            def tell() -> None:
                with contextlib.suppress(RuntimeError):  # the gateway has ended
                    loop.call_soon_threadsafe(call)

            return tell

        try:
            environment = (await self._service.place(kind)).environment
        except EnvironmentUnusableError as error:
            # Its configuration was taken out: a gateway that has it again takes the events.
            if kind not in self._unusable:
                logger.warning("events of processes are not taken: %s", error)
            self._unusable.add(kind)
            return
        outbox = await self._service.outbox()
        self._sandboxes[kind] = SandboxEvents(
            self._service.home.processes,
            environment,
            outbox,
            when_taken=on_loop(taken),
            when_over=on_loop(over),
        )

    def _patience(self) -> float:
        """Seconds until there is something to do though nothing has changed."""
        if self._service.problem:
            return _AFTER_TROUBLE
        patience = _CLEAN_EVERY if self._service.ids() else _IDLE
        if self._deadline is not None:
            patience = min(patience, max(0.0, self._deadline - time.time()) + 0.01)
        return patience

    def _complain(self, error: Exception) -> None:
        """Once for each cause: it is tried again."""
        words = f"processes cannot be looked after: {error or type(error).__name__}"
        if words != self._service.problem:
            logger.error("%s", words, exc_info=None if isinstance(error, OSError) else error)
        self._service.problem = words


def _begins(name: str) -> bool:
    """Whether it is the name of a process, or a note that a sandbox is in use."""
    return name.startswith(("proc_", ".in-use-"))
