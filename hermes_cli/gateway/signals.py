"""The signals that end a gateway, before the event loop exists: remembered, and waking whoever waits."""

from __future__ import annotations

import select
import signal
import socket
import time
from types import FrameType

ENDING = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
)
"""A terminal that closes (SIGHUP) ends a gateway as orderly as anybody else; Windows asks by SIGBREAK."""


class EarlySignals:
    """Catches the ending signals from the first moment on, until `hand_over` gives them to the loop."""

    def __init__(self) -> None:
        self.requested = False
        # Sockets, for on Windows nothing else can be selected.
        self._reader, self._writer = socket.socketpair()
        for end in (self._reader, self._writer):
            end.setblocking(False)
        for number in ENDING:
            signal.signal(number, self._caught)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)

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
        self._reader.close()
        self._writer.close()
        return self.requested

    def _caught(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
