"""The signals that end a gateway, before the event loop exists: remembered, and waking whoever waits."""

from __future__ import annotations

import os
import select
import signal
import time
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""A terminal that closes (SIGHUP) ends a gateway as orderly as anybody else."""


class EarlySignals:
    """Catches the ending signals from the first moment on, until `hand_over` gives them to the loop."""

    def __init__(self) -> None:
        self.requested = False
        self._reader, self._writer = os.pipe()
        for end in (self._reader, self._writer):
            os.set_blocking(end, False)
        for number in ENDING:
            signal.signal(number, self._caught)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until asked to end; True in the latter case."""
        deadline = time.monotonic() + seconds
        while not self.requested:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            select.select([self._reader], [], [], left)
        return True

    def hand_over(self) -> bool:
        """Called once the loop's own handlers are in place; True where a signal came before that."""
        os.close(self._reader)
        os.close(self._writer)
        return self.requested

    def _caught(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
