"""The profile's background processes as the gateway has them: calls in threads, waits on the loop.

Nothing of the process library is imported before there is a process, or a request for one: most gateways
idle, and their memory is counted.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from hermes_cli.home import Home
from hermes_cli.serving.exposition import Metric

from .process_metrics import ProcessTally

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from hermes_cli.processes.changes import Changes
    from hermes_cli.processes.environments import Kind
    from hermes_cli.processes.environments.local import LocalEnvironment
    from hermes_cli.processes.outbox import Outbox

    from .process_places import Place, SandboxPlace

P = ParamSpec("P")
T = TypeVar("T")

_AT_ONCE = 8
"""Calls that may take seconds (start, kill, write) at the same time. They wait for each other, not quick ones
for them."""


class ProcessService:
    """One for a gateway's life."""

    def __init__(self, home: Home, default: Kind = "local") -> None:
        """`default`: where processes are that no request names an environment for."""
        self.home = home
        self.default = default
        self.draining = False
        self.problem = ""
        """Why events cannot be collected; empty while they can."""
        self._registry: LocalEnvironment | None = None
        self._sandboxes: dict[str, SandboxPlace] = {}
        self._outbox: Outbox | None = None
        self._changes: Changes | None = None
        self._slow: ThreadPoolExecutor | None = None
        self._tally = ProcessTally(self.ids())
        self._counting = asyncio.Lock()

    async def place(self, name: Kind | None = None) -> Place:
        """The environment `name`, the profile's where it is None. Raises `EnvironmentNotConfiguredError`
        where there is none; a sandbox is connected by the first call."""
        kind = name or self.default
        if kind == "local":
            from .process_places import LocalPlace

            return LocalPlace(self, await self.registry())
        found = self._sandboxes.get(kind)
        if found is None:
            made = await asyncio.to_thread(self._make_sandbox, kind)
            found = self._sandboxes.setdefault(kind, made)
        return found

    async def registry(self) -> LocalEnvironment:
        """This machine's processes."""
        if self._registry is None:
            made = await asyncio.to_thread(self._make_registry)
            self._registry = self._registry or made
        return self._registry

    async def outbox(self) -> Outbox:
        registry = await self.registry()
        if self._outbox is None:
            from hermes_cli.processes.outbox import outbox_of

            self._outbox = outbox_of(registry, self.home.processes)
        return self._outbox

    @property
    def changes(self) -> Changes:
        """What waits are woken by."""
        if self._changes is None:
            from hermes_cli.processes.changes import Changes

            self._changes = Changes()
        return self._changes

    def quick(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Make a call that reads small files."""
        return asyncio.to_thread(call, *args, **kwargs)

    def slow(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Make a call that waits for a process or for its keeper."""
        if self._slow is None:
            from concurrent.futures import ThreadPoolExecutor

            self._slow = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="processes")
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._slow, partial(call, *args, **kwargs))

    def ids(self) -> list[str]:
        """The names of processes that have a directory: one look, no import."""
        try:
            return [name for name in os.listdir(self.home.processes) if name.startswith("proc_")]  # noqa: PTH208
        except OSError:
            return []

    def sandboxes_in_use(self) -> Sequence[Kind]:
        """The kinds of those that may have events: one look."""
        from hermes_cli.processes.in_use import sandboxes_in_use

        return sandboxes_in_use(self.home.processes)

    def has_news(self) -> bool:
        """Whether a process has told something that no outbox has yet: by sizes alone, without an import."""
        return any(self._untaken(self.home.processes / name) for name in self.ids())

    def outbox_is_young(self, seconds: float) -> bool:
        """Whether the outbox was written to in the last `seconds`."""
        try:
            return time.time() - (self.home.processes / "outbox.db").stat().st_mtime < seconds
        except OSError:
            return False

    @staticmethod
    def _untaken(directory: Path) -> bool:
        try:
            told = (directory / "events.jsonl").stat().st_size
        except OSError:
            return False
        try:
            return int((directory / "events.taken").read_bytes()) != told
        except (OSError, ValueError):
            return True

    async def take_stock(self) -> None:
        """Look at all processes, which settles those that were lost, and count them."""
        async with self._counting:
            if not self.ids():
                self._tally.look((), ())
                return
            registry = await self.registry()
            await self.quick(lambda: self._tally.look(self.ids(), registry.collection.all()))

    async def metrics(self) -> list[Metric]:
        """What there is now, and what was seen in this gateway's life. No import where there is nothing."""
        told, waiting = None, None
        try:
            await self.take_stock()
            if self._outbox is not None:
                told, waiting = self._outbox.told, await self.quick(self._outbox.waiting)
            elif not (self.home.processes / "outbox.db").exists():
                waiting = 0
        except Exception as error:
            from hermes_cli.processes.errors import ProcessError

            # Told as `problem` by what keeps them; the other numbers are needed most just then.
            if not isinstance(error, (OSError, ProcessError)):
                raise
        return self._tally.metrics(told, waiting)

    def drain(self) -> None:
        """No wait goes on; every stream ends with its marker."""
        self.draining = True
        if self._changes is not None:
            self._changes.wake_all()
        for sandbox in self._sandboxes.values():
            sandbox.wake_all()

    def close(self) -> None:
        for sandbox in self._sandboxes.values():
            sandbox.close()
        if self._changes is not None:
            self._changes.close()
        if self._outbox is not None:
            self._outbox.close()
        if self._slow is not None:
            self._slow.shutdown(wait=False, cancel_futures=True)

    def _make_registry(self) -> LocalEnvironment:
        from hermes_cli.processes.environments.local import LocalEnvironment
        from hermes_cli.processes.profile import registry_of

        return registry_of(self.home, LocalEnvironment)

    def _make_sandbox(self, kind: Kind) -> SandboxPlace:
        from hermes_cli.config import ConfigError
        from hermes_cli.processes.environments import open_environment
        from hermes_cli.processes.errors import EnvironmentNotConfiguredError

        from .process_places import SandboxPlace

        try:
            return SandboxPlace(open_environment(self.home, kind))
        except ConfigError as error:
            raise EnvironmentNotConfiguredError(str(error)) from error
