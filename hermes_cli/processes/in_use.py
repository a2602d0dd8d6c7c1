"""The note that a sandbox may have events: left by who starts a process there, read by the gateway.

A note is a small file beside the processes. A start holds it with a shared lock (flock(2)) and writes
something new into it: one is only removed while no start is under way, and none has been since it was read.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

PREFIX = ".in-use-"
UNDER_WAY = b"a start is under way"


def sandboxes_in_use(directory: Path) -> list[Literal["docker", "ssh"]]:
    """The kinds of sandboxes there are notes of. One look."""
    try:
        names = os.listdir(directory)  # noqa: PTH208 - names are all it takes
    except OSError:
        return []
    kinds: tuple[Literal["docker", "ssh"], ...] = ("docker", "ssh")
    return [kind for kind in kinds if PREFIX + kind in names]


@contextlib.contextmanager
def using(directory: Path, kind: str) -> Iterator[None]:
    """Around a start in the sandbox: the note is there before, and stays. Raises OSError."""
    from fcntl import LOCK_SH, flock

    path = directory / (PREFIX + kind)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            flock(descriptor, LOCK_SH)
            if _is(path, descriptor):
                os.pwrite(descriptor, os.urandom(8).hex().encode(), 0)
                yield
                return
        finally:
            os.close(descriptor)


def note(directory: Path, kind: str) -> bytes | None:
    """What the note says now, `UNDER_WAY` while somebody is starting; None where there is none."""
    from fcntl import LOCK_EX, LOCK_NB, flock

    try:
        descriptor = os.open(directory / (PREFIX + kind), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        # A start that has begun may not show in the sandbox yet, and will not write here again.
        flock(descriptor, LOCK_EX | LOCK_NB)
        return os.pread(descriptor, 64, 0)
    except BlockingIOError:
        return UNDER_WAY
    finally:
        os.close(descriptor)


def forget(directory: Path, kind: str, said: bytes) -> bool:
    """Remove the note if it still says so and no start is under way; whether it is gone. Raises OSError."""
    from fcntl import LOCK_EX, LOCK_NB, flock

    if said == UNDER_WAY:
        return False
    path = directory / (PREFIX + kind)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        flock(descriptor, LOCK_EX | LOCK_NB)
        if not _is(path, descriptor) or os.pread(descriptor, 64, 0) != said:
            return False
        path.unlink()
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)


def _is(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
