"""Exclusive locks on open files that die with their holder: flock(2), or msvcrt where there is none."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
CLOEXEC = getattr(os, "O_CLOEXEC", getattr(os, "O_NOINHERIT", 0))
NONBLOCK = getattr(os, "O_NONBLOCK", 0)
BINARY = getattr(os, "O_BINARY", 0)
"""Flags of open(2) that a system without them does not need, or does by itself."""

_BYTE = 1 << 30
"""Offset of the byte that is locked on Windows: a locked one cannot be read, and a lock file is to be."""


def open_lock_file(path: Path, mode: int = 0o600, *, writable: bool = True) -> int:
    """A descriptor of the lock file at `path`, made if need be, not inherited, no link followed; OSError.

    One that is not `writable` can also be had for another user's file.
    """
    access = os.O_RDWR if writable or sys.platform == "win32" else os.O_RDONLY
    return os.open(path, access | os.O_CREAT | CLOEXEC | NOFOLLOW | NONBLOCK | BINARY, mode)


def try_lock(descriptor: int) -> bool:
    """Lock the open file without waiting; False where someone else has it. OSError where it cannot be locked.

    The kernel frees it when its holder ends, however it ends. On Windows the file's position moves.
    """
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, _BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EDEADLK):
                return False
            raise
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def unlock(descriptor: int) -> None:
    """Give the lock back before the descriptor is closed."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, _BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
        return
    import fcntl

    fcntl.flock(descriptor, fcntl.LOCK_UN)
