"""Waiting for a file to change: inotify(7) by ctypes, with a bounded re-look where it cannot be had."""

from __future__ import annotations

import os
import struct
import sys
import time
from types import TracebackType
from typing import Any

IN_MODIFY = 0x00000002
IN_ATTRIB = 0x00000004
IN_CLOSE_WRITE = 0x00000008
IN_CLOSE_NOWRITE = 0x00000010
IN_MOVED_FROM = 0x00000040
IN_MOVED_TO = 0x00000080
IN_CREATE = 0x00000100
IN_DELETE = 0x00000200
IN_DELETE_SELF = 0x00000400
IN_MOVE_SELF = 0x00000800

REPLACED = IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF
"""The file is written, or another is renamed over it (its link count falls: IN_ATTRIB)."""

CLOSED = IN_CLOSE_WRITE | IN_CLOSE_NOWRITE | IN_DELETE_SELF
"""Someone closed the file: a lock on it may be free."""

GROWN = IN_MODIFY | IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF
"""A file in the directory was written, made or renamed."""

_WITHOUT_INOTIFY = 0.05
"""Seconds between two looks where there is nothing to watch yet, or no inotify instance left for the user."""

_HEADER = struct.Struct("iIII")
_libc: Any = None


class Watch:
    """Wakes when something happens to a path. Arm, look, wait: what happens after arming is not missed.

    The path may come and go; arm again before each look, for a replaced file takes its watch with it.
    """

    def __init__(self, path: str | os.PathLike[str], mask: int) -> None:
        self._path = os.fsencode(path)
        self._mask = mask
        self._armed = False
        self._fd = self._open()

    def arm(self) -> None:
        """Watch the file that has the path now."""
        self._armed = self._fd >= 0 and _libc.inotify_add_watch(self._fd, self._path, self._mask) >= 0

    def also(self, path: str | os.PathLike[str], mask: int | None = None) -> None:
        """Watch another path as well, for `mask` or in the same way. One that is watched already stays so."""
        if self._fd >= 0:
            _libc.inotify_add_watch(self._fd, os.fsencode(path), self._mask if mask is None else mask)

    def wait(self, timeout: float, *, or_readable: int | None = None) -> None:
        """Return when something happened since `arm`, or after `timeout` seconds.

        `or_readable`: a descriptor that ends the wait as well when it has something to read.
        """
        timeout = max(0.0, timeout)
        if not self._armed and or_readable is None:
            time.sleep(min(timeout, _WITHOUT_INOTIFY))
            return
        import select

        poll = select.poll()
        if or_readable is not None:
            poll.register(or_readable, select.POLLIN)
        if self._armed:
            poll.register(self._fd, select.POLLIN)
        else:
            timeout = min(timeout, _WITHOUT_INOTIFY)
        if poll.poll(timeout * 1000) and self._armed:
            self._drain()

    def fileno(self) -> int:
        """Readable when something happened since `arm`; -1 where there is nothing to watch."""
        return self._fd if self._armed else -1

    def drain(self) -> None:
        """Take back what made the descriptor readable."""
        if self._fd >= 0:
            self._drain()

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._armed = False

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _drain(self) -> None:
        try:
            while len(os.read(self._fd, 16384)) >= 16384 - _HEADER.size - 256:
                pass
        except BlockingIOError:
            pass

    @staticmethod
    def _open() -> int:
        global _libc
        if sys.platform == "win32":
            return -1
        if _libc is None:
            import ctypes

            _libc = ctypes.CDLL(None)
        try:
            return int(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        except AttributeError:  # a C library without inotify
            return -1
