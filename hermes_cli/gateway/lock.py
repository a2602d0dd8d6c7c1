"""One gateway per home: the lock it holds for its life, and who holds it."""

from __future__ import annotations

import contextlib
import os

from hermes_cli.home import Home
from hermes_cli.service_manager.filelock import BINARY, CLOEXEC, NOFOLLOW, NONBLOCK, open_lock_file, try_lock

from .identity import ProcessIdentity, parent_of

ORPHAN_GRACE = 28.0
"""Seconds a gateway gets to drain when it is ended from outside: longer than any drain_timeout."""


class AlreadyRunningError(Exception):
    """Another gateway of this home runs. `holder` is None where its process cannot be seen from here."""

    def __init__(self, holder: ProcessIdentity | None) -> None:
        self.holder = holder
        super().__init__(
            f"already running as pid {holder.pid}; 'hermes gateway stop' ends it"
            if holder
            else "already running, but not where it can be seen from here (another container on this volume?)"
        )


class HomeLock:
    """The lock of one home. It ends with its holder, however that ends."""

    def __init__(self, home: Home) -> None:
        self._path = home.lock
        self._descriptor = -1

    def acquire(self) -> None:
        """Take the lock and write this process into it; raises `AlreadyRunningError` or OSError."""
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = open_lock_file(self._path)
        try:
            if not try_lock(descriptor):
                holder = _read(descriptor)
                raise AlreadyRunningError(holder if holder and holder.is_alive() else None)
        except BaseException:
            os.close(descriptor)
            raise
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = descriptor
        me = ProcessIdentity.own()
        # On a full disk the lock itself still holds; only its reader learns no pid.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.write(descriptor, f"{me.pid}\n{me.start}\n{me.boot_id}\n".encode())

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def holder_of(home: Home) -> ProcessIdentity | None:
    """The running gateway of `home`, or None.

    The file is read, the lock itself left alone: trying it would refuse a gateway that starts just then.
    Only a holder writes the file, and its identity ends with its process.
    """
    try:
        descriptor = os.open(home.lock, os.O_RDONLY | CLOEXEC | NOFOLLOW | NONBLOCK | BINARY)
    except OSError:
        return None
    try:
        holder = _read(descriptor)
    finally:
        os.close(descriptor)
    return holder if holder and holder.is_alive() else None


def is_orphan(holder: ProcessIdentity) -> bool:
    """Whether `holder` has lost its supervisor: seen from a gateway that runs under one itself."""
    parent = parent_of(holder.pid)
    return parent is not None and parent != os.getppid()


def _read(descriptor: int) -> ProcessIdentity | None:
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)
        pid, start, boot = os.read(descriptor, 256).decode("ascii").split("\n")[:3]
        return ProcessIdentity(int(pid), int(start), boot)
    except (OSError, ValueError):
        return None
