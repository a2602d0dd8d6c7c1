"""The lock that makes changes to the set of profiles exclude each other, and the mark of work in progress."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from hermes_cli.service_manager.filelock import CLOEXEC, NOFOLLOW, open_lock_file, try_lock
from hermes_cli.service_manager.names import DEFAULT_PROFILE

from .errors import ProfileError

_WAIT = 60.0
"""Seconds to wait for another command. The longest holder is a rename that waits for a gateway's drain."""
_LOOK = 0.02


@contextlib.contextmanager
def profiles_lock(root: Path, *, wait: float = _WAIT) -> Iterator[None]:
    """Hold `<root>/run/profiles.lock`; raises `ProfileError` when it is not to be had within `wait` seconds.

    The file stays: removing a lock file lets two holders lock two inodes of one name.
    """
    path = root / "run" / "profiles.lock"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = open_lock_file(path)
    try:
        if not _flock(descriptor, wait):
            raise ProfileError(
                DEFAULT_PROFILE,
                f"another command has been changing profiles for {wait:g} s (it holds {path}); "
                "wait for it, or end it, and try again",
            )
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def claimed(directory: Path, *, wait: float = 0.0) -> Iterator[bool]:
    """Mark `directory` as being worked on while this process lives; yields False where another one does."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | CLOEXEC | NOFOLLOW)
    except OSError:
        # Gone meanwhile, or nothing that this user may work on.
        yield False
        return
    try:
        yield _flock(descriptor, wait)
    finally:
        os.close(descriptor)


def _flock(descriptor: int, wait: float) -> bool:
    """Lock within `wait` seconds. flock(2) knows no deadline, and SIGALRM is the main program's to use."""
    deadline = time.monotonic() + wait
    while not try_lock(descriptor):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_LOOK)
    return True
