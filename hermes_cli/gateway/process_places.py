"""Where a request finds processes. Here waits take no thread; in a sandbox they take one of a few."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, Self, TypeVar

from hermes_cli.processes.environments import Environment

if TYPE_CHECKING:
    from hermes_cli.processes.changes import Subscription
    from hermes_cli.processes.environments.local import LocalEnvironment

    from .process_service import ProcessService

P = ParamSpec("P")
T = TypeVar("T")

_CALLS = 8
_WAITS = 32
_TURN = 15.0
"""Seconds that one wait in a sandbox keeps its thread; then it is another's turn."""


class Listener(Protocol):
    """Waits for one process. A context: what it holds is given back at its end."""

    @property
    def abandoned(self) -> bool:
        """Whoever waited has gone."""

    def look(self) -> None:
        """From here on changes count; look, then wait."""

    async def wait(self, seconds: float, beyond: int | None) -> bool:
        """Whether something may be new within `seconds`: output beyond that byte, or the end.

        Without `beyond`, the end alone. Raises `ProcessError`.
        """

    async def has_ended(self) -> bool: ...
    def abandon(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Place(Protocol):
    """An environment as the gateway's requests use it."""

    @property
    def environment(self) -> Environment: ...
    def quick(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]: ...
    def slow(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]: ...
    async def listen(self, given: str) -> Listener:
        """Raises `NoSuchProcessError`."""


class LocalPlace:
    """This machine: changes are heard of by inotify."""

    def __init__(self, service: ProcessService, environment: LocalEnvironment) -> None:
        self.environment = environment
        self.quick = service.quick
        self.slow = service.slow
        self._service = service

    async def listen(self, given: str) -> Listener:
        kept = await self.quick(self.environment.look, given)
        return _LocalListener(self, given, self._service.changes.watch(kept))


class _LocalListener:
    def __init__(self, place: LocalPlace, given: str, subscription: Subscription) -> None:
        self._place = place
        self._given = given
        self._subscription = subscription
        self.look = subscription.changed.clear
        self.abandon = subscription.abandon

    @property
    def abandoned(self) -> bool:
        return self._subscription.abandoned

    async def wait(self, seconds: float, beyond: int | None) -> bool:
        return await self._subscription.wait(seconds)

    async def has_ended(self) -> bool:
        found = await self._place.quick(self._place.environment.look, self._given)
        return found.status.state != "running"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._subscription.close()


class SandboxPlace:
    """A container or a host, by one channel for all requests. Slow ones there hold up nobody here."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.listeners: set[_SandboxListener] = set()
        self._calls = ThreadPoolExecutor(_CALLS, thread_name_prefix=environment.kind)
        self.waits = ThreadPoolExecutor(_WAITS, thread_name_prefix=f"{environment.kind}-waits")

    def quick(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._calls, partial(call, *args, **kwargs))

    slow = quick

    async def listen(self, given: str) -> Listener:
        found = await self.quick(self.environment.find, given)
        return _SandboxListener(self, found)

    def wake_all(self) -> None:
        """End every wait once."""
        for listener in self.listeners:
            listener.changed.set()

    def close(self) -> None:
        """Let go of the channel; what runs there goes on."""
        self.environment.disconnect()
        for pool in (self._calls, self.waits):
            pool.shutdown(wait=False, cancel_futures=True)


class _SandboxListener:
    def __init__(self, place: SandboxPlace, given: str) -> None:
        self._place = place
        self._given = given
        self.changed = asyncio.Event()
        self.abandoned = False

    def look(self) -> None:
        self.changed.clear()

    def abandon(self) -> None:
        self.abandoned = True
        self.changed.set()

    async def wait(self, seconds: float, beyond: int | None) -> bool:
        deadline = time.monotonic() + seconds
        loop = asyncio.get_running_loop()
        work: asyncio.Future[None] = loop.run_in_executor(
            self._place.waits, self._wait_there, beyond, deadline
        )
        woken: asyncio.Future[object] = asyncio.ensure_future(self.changed.wait())
        try:
            waiting: set[asyncio.Future[Any]] = {work, woken}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
            # Its thread ends with its turn; what it would say then is nobody's.
            work.add_done_callback(lambda done: done.cancelled() or done.exception())
        if work.done():
            work.result()
        return time.monotonic() < deadline

    async def has_ended(self) -> bool:
        waited = await self._place.quick(self._place.environment.wait, self._given, 0.0)
        return waited.status != "timeout"

    def _wait_there(self, beyond: int | None, deadline: float) -> None:
        seconds = min(_TURN, max(0.0, deadline - time.monotonic()))
        if self.abandoned:
            return
        if beyond is None:
            self._place.environment.wait(self._given, seconds)
        else:
            self._place.environment.wait_for_output(self._given, beyond, seconds)

    def __enter__(self) -> Self:
        self._place.listeners.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._place.listeners.discard(self)
