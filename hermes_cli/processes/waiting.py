"""Waiting for a process to end or to say more, without asking again and again."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from hermes_cli.service_manager.watch import GROWN, Watch

from .types import Status

_RELOOK = 5.0
"""Seconds until the next look where nothing announced a change: some file systems announce none."""

_INTERRUPTIBLE = 0.1
"""Seconds between two questions whether the wait is to end, where that is all that the caller has."""


def wait_until(
    directory: Path,
    keeper: Status | None,
    done: Callable[[], bool],
    deadline: float,
    interrupted: Callable[[], bool] | None = None,
    *,
    below: str = "",
) -> bool:
    """Return True once `done`, False past `deadline` (monotonic seconds) or when `interrupted`.

    `below`: a directory in `directory` to watch instead. The keeper's end, however it comes, is a change.
    """
    with Watch(directory / below if below else directory, GROWN) as watch, _handle(keeper) as handle:
        alive = handle
        while True:
            watch.arm()
            if done():
                return True
            now = time.monotonic()
            if now >= deadline or (interrupted is not None and interrupted()):
                return False
            patience = _RELOOK if interrupted is None else _INTERRUPTIBLE
            watch.wait(min(patience, deadline - now), or_readable=alive)
            if alive is not None and _ended(alive):
                alive = None


@contextlib.contextmanager
def _handle(status: Status | None) -> Iterator[int | None]:
    """A descriptor that becomes readable when the keeper ends (pidfd_open(2)); None where there is none."""
    from .liveness import same_process

    descriptor = None
    if status is not None and status.keeper is not None and same_process(status):
        with contextlib.suppress(OSError, AttributeError):
            descriptor = os.pidfd_open(status.keeper.pid)
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _ended(handle: int) -> bool:
    import select

    return bool(select.select([handle], [], [], 0)[0])
