"""Verb locks: one command at a time on one service, whatever process it runs in."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from .errors import ServiceError, ServiceTimeoutError
from .filelock import open_lock_file, try_lock, unlock
from .watch import CLOSED, Watch

_RELOOK = 0.1
"""Seconds: a holder that was killed is heard of (inotify) a moment before the kernel frees its lock."""


@contextlib.contextmanager
def verb_lock(directory: Path, service: str, action: str, timeout: float) -> Iterator[None]:
    """Hold the lock of `service` in `directory`, waiting at most `timeout` seconds for whoever has it.

    Raises `ServiceTimeoutError` when it stays taken, `ServiceError` when no lock can be made.
    Freed by the kernel when its holder ends, however it ends.
    """
    path = lock_directory(directory) / service  # no suffix: a name may be as long as a file name
    descriptor = _acquire(path, service, action, timeout)
    try:
        yield
    finally:
        unlock(descriptor)  # before the close that waiters are told of
        os.close(descriptor)


def lock_directory(preferred: Path) -> Path:
    """`preferred`, made if need be; where it cannot be used, a directory that only this uid can."""
    with contextlib.suppress(OSError):
        preferred.mkdir(parents=True, exist_ok=True)
    if os.access(preferred, os.W_OK | os.X_OK):
        return preferred
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    # After su and in cron jobs it may name one that is not there, or another user's.
    usable = bool(runtime) and os.access(runtime or "", os.W_OK | os.X_OK)
    fallback = Path(runtime or "", "hermes-locks") if usable else _temporary_directory()
    try:
        fallback.mkdir(mode=0o700, exist_ok=True)
        seen = fallback.lstat()
    except OSError as error:
        raise ServiceError(f"cannot make a lock directory in {fallback.parent}: {error.strerror}") from error
    if not stat.S_ISDIR(seen.st_mode) or (sys.platform != "win32" and seen.st_uid != os.getuid()):
        raise ServiceError(f"{fallback} belongs to someone else; remove it and try again")
    return fallback


def _temporary_directory() -> Path:
    import tempfile

    # On Windows the temporary directory is the user's own.
    if sys.platform == "win32":
        return Path(tempfile.gettempdir(), "hermes-locks")
    return Path(tempfile.gettempdir(), f"hermes-locks-{os.getuid()}")


def _acquire(path: Path, service: str, action: str, timeout: float) -> int:
    deadline = time.monotonic() + timeout
    # Read-only, so that a lock file made by another uid can be locked too.
    try:
        descriptor = open_lock_file(path, 0o644, writable=False)
    except OSError as error:
        raise ServiceError(f"cannot lock {service}: {path}: {error.strerror}") from error
    try:
        if try_lock(descriptor):
            return descriptor
        with Watch(path, CLOSED) as watch:
            watch.arm()
            while not try_lock(descriptor):
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise ServiceTimeoutError(service, action, timeout, "another command is at work on it")
                watch.wait(min(remaining, _RELOOK))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
