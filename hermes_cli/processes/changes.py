"""Waiting on an event loop for processes to say more or to end: one inotify(7) for any number of waiters."""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from hermes_cli.service_manager.watch import GROWN, IN_CLOSE_WRITE

if TYPE_CHECKING:
    from .collection import Kept

_HEADER = struct.Struct("iIII")
_READ = 1 << 16
_IN_IGNORED = 0x8000
_IN_Q_OVERFLOW = 0x4000
_MASK = GROWN | IN_CLOSE_WRITE
"""The close tells of a keeper's end, however it came: its lock file is written to by nobody else."""

UNHEARD = 1.0
"""Seconds until the next look where nothing announces changes: no inotify instance or watch is left."""


class Changes:
    """One inotify instance on the running loop. Close it before the loop ends."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._inotify = _Inotify()
        self._subscriptions: set[Subscription] = set()
        self._by_watch: dict[int, set[Subscription]] = {}
        if self._inotify.descriptor >= 0:
            self._loop.add_reader(self._inotify.descriptor, self._read)

    def subscribe(self) -> Subscription:
        """Something to wait on; `add` says of which directories it hears."""
        found = Subscription(self)
        self._subscriptions.add(found)
        return found

    def watch(self, kept: Kept) -> Subscription:
        """Hear of a process's output, its status and its keeper's end."""
        from .records import OUTPUT

        found = self.subscribe()
        found.add(kept.directory)
        found.add(kept.directory / OUTPUT)
        found.add_keeper(kept)
        return found

    def wake_all(self) -> None:
        """End every wait once."""
        for subscription in self._subscriptions:
            subscription.changed.set()

    def close(self) -> None:
        for subscription in list(self._subscriptions):
            subscription.close()
        if self._inotify.descriptor >= 0:
            self._loop.remove_reader(self._inotify.descriptor)
        self._inotify.close()

    def _add(self, path: Path, subscription: Subscription) -> int:
        number = self._inotify.add(path)
        if number >= 0:
            self._by_watch.setdefault(number, set()).add(subscription)
        return number

    def _remove(self, number: int, subscription: Subscription) -> None:
        listeners = self._by_watch.get(number)
        if listeners is None:
            return
        listeners.discard(subscription)
        if not listeners:
            del self._by_watch[number]
            self._inotify.remove(number)

    def _forget(self, subscription: Subscription) -> None:
        self._subscriptions.discard(subscription)

    def _read(self) -> None:
        try:
            data = os.read(self._inotify.descriptor, _READ)
        except BlockingIOError:
            return
        at = 0
        while at < len(data):
            number, mask, _, length = _HEADER.unpack_from(data, at)
            at += _HEADER.size
            name = data[at : at + length].rstrip(b"\0").decode("utf-8", "replace")
            at += length
            if mask & _IN_Q_OVERFLOW:
                self.wake_all()
                continue
            for subscription in self._by_watch.get(number, ()):
                subscription.heard(number, name)
            if mask & _IN_IGNORED:
                self._by_watch.pop(number, None)


class Subscription:
    """What one waiter waits for. `changed` is set by whatever happens; clear it, look, then wait."""

    def __init__(self, changes: Changes) -> None:
        self.changed = asyncio.Event()
        self.abandoned = False
        """Whoever waited has gone."""
        self._changes = changes
        self._watches: dict[int, Callable[[str], bool] | None] = {}
        self._deaf = False
        self._keeper: int | None = None

    def add(self, path: Path, wanted: Callable[[str], bool] | None = None) -> bool:
        """Hear of changes in the directory, of the file names that are `wanted` alone; whether it is there.

        Once more is harmless.
        """
        number = self._changes._add(path, self)
        if number < 0:
            self._deaf = self._deaf or path.is_dir()
            return False
        self._watches[number] = wanted
        return True

    def add_keeper(self, kept: Kept) -> None:
        """Hear of the keeper's end (pidfd_open(2)); one that has ended already is heard of at once."""
        from .liveness import same_process

        keeper = kept.status.keeper
        if keeper is None or not kept.status.control or self._keeper is not None:
            return
        with contextlib.suppress(OSError, AttributeError):
            descriptor = os.pidfd_open(keeper.pid)
            if not same_process(kept.status):
                os.close(descriptor)
                self.changed.set()
                return
            self._keeper = descriptor
            asyncio.get_running_loop().add_reader(descriptor, self._keeper_ended)

    def heard(self, number: int, name: str) -> None:
        wanted = self._watches.get(number)
        if wanted is None or wanted(name):
            self.changed.set()

    def abandon(self) -> None:
        """End the wait for good: nobody waits any more."""
        self.abandoned = True
        self.changed.set()

    async def wait(self, seconds: float) -> bool:
        """Whether something changes within `seconds`, or has since `changed` was cleared."""
        if self._deaf:
            seconds = min(seconds, UNHEARD)
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self.changed.wait()
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        self._drop_keeper()
        for number in self._watches:
            self._changes._remove(number, self)
        self._watches.clear()
        self._changes._forget(self)

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _keeper_ended(self) -> None:
        self._drop_keeper()
        self.changed.set()

    def _drop_keeper(self) -> None:
        if self._keeper is not None:
            asyncio.get_running_loop().remove_reader(self._keeper)
            os.close(self._keeper)
            self._keeper = None


class _Inotify:
    """The system calls. `descriptor` is -1 where there is no instance left, or no such thing."""

    def __init__(self) -> None:
        import ctypes

        self._libc = ctypes.CDLL(None)
        self.descriptor = -1
        with contextlib.suppress(AttributeError):
            self.descriptor = int(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def add(self, path: Path) -> int:
        """The number of the watch on this directory; -1 where there can be none."""
        if self.descriptor < 0:
            return -1
        return int(self._libc.inotify_add_watch(self.descriptor, os.fsencode(path), _MASK))

    def remove(self, number: int) -> None:
        self._libc.inotify_rm_watch(self.descriptor, number)

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
