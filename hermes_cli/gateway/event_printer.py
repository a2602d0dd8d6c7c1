"""Prints supervision events in plain words as they happen: the resident end of `hermes main`.

A program of its own, on the standard library alone, that `hermes main` becomes by exec: it stays for the life
of the container, and the interpreter with these few modules is a third of what the command line needs.
Arguments: the log, then the inode and the byte to go on from (0 0: the beginning).
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import stat
import sys
from datetime import datetime
from typing import Any

_OPEN = os.O_RDONLY
for _flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
    _OPEN |= getattr(os, _flag, 0)  # not every system has them all
_CHUNK = 1 << 16
_LONGEST_LINE = 1 << 16
"""Bytes after which a line without an end is given up."""
_RELOOK = 10.0
"""Seconds after which the log is looked at even without a wake: a watch may be lost with its directory."""
_RETRY = 1.0
"""Seconds between two tries to place the watch."""
_CHANGES = 0x002 | 0x008 | 0x080 | 0x100
"""IN_MODIFY, IN_CLOSE_WRITE, IN_MOVED_TO, IN_CREATE of inotify(7)."""


class EventLog:
    """The lines appended to the log, whatever happens to the file: missing yet, torn, truncated, rotated."""

    def __init__(self, path: str, inode: int = 0, offset: int = 0) -> None:
        self._path = path
        self._inode = inode
        self._offset = offset
        self._descriptor = -1
        self._partial = b""

    def read(self) -> list[bytes]:
        """Complete lines since the last call, without their ends."""
        lines: list[bytes] = []
        if self._descriptor < 0 and not self._open():
            return lines
        # Asked before the rest is read: whoever rotates the log has written its last line into it.
        replaced = self._replaced()
        lines += self._rest()
        if replaced:
            self.close()
            if self._open():
                lines += self._rest()
        return lines

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._partial = -1, b""

    def _open(self) -> bool:
        try:
            descriptor = os.open(self._path, _OPEN)
        except OSError:
            return False
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            os.close(descriptor)
            return False
        if found.st_ino != self._inode:
            self._inode, self._offset = found.st_ino, 0
        self._descriptor = descriptor
        return True

    def _replaced(self) -> bool:
        try:
            return os.lstat(self._path).st_ino != self._inode
        except OSError:
            return False

    def _rest(self) -> list[bytes]:
        if os.fstat(self._descriptor).st_size < self._offset:
            self._offset, self._partial = 0, b""
        lines: list[bytes] = []
        os.lseek(self._descriptor, self._offset, os.SEEK_SET)
        while data := os.read(self._descriptor, _CHUNK):
            self._offset += len(data)
            *complete, self._partial = (self._partial + data).split(b"\n")
            lines += complete
            if len(self._partial) > _LONGEST_LINE:
                self._partial = b""
        return lines


class Watch:
    """Wakes when something changes in a directory; inotify(7), which Python's standard library lacks."""

    def __init__(self, directory: str) -> None:
        self._directory = os.fsencode(directory)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor: int = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._armed = False
        self._poll = select.poll()
        if self._descriptor >= 0:
            self._poll.register(self._descriptor, select.POLLIN)

    def arm(self) -> None:
        """Watch from here on. Call it before reading, or a change between the two is slept through."""
        self._armed = self._descriptor >= 0 and (
            self._libc.inotify_add_watch(self._descriptor, self._directory, _CHANGES) >= 0
        )

    def wait(self) -> None:
        """Return after a change, or after a while without one."""
        self._poll.poll((_RELOOK if self._armed else _RETRY) * 1000)
        try:
            while os.read(self._descriptor, 4096):
                pass
        except OSError:
            pass


def in_words(line: bytes) -> str | None:
    """One event as a sentence with its local time, or None for a line that is not one."""
    try:
        return words_of(json.loads(line))
    except (ValueError, RecursionError):
        return None


def words_of(event: dict[str, Any]) -> str | None:
    """The members of an event as a sentence: the words of `hermes events`, too."""
    try:
        when = datetime.fromisoformat(event["ts"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        text = f"{when}  {event['profile']}: {sentence_of(event)}"
    except (ValueError, KeyError, TypeError, OverflowError):
        return None
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def sentence_of(event: dict[str, Any]) -> str:
    """What happened, without when and to whom."""
    kind, profile, detail = event["event"], event["profile"], event.get("detail")
    start = "hermes gateway start" if profile == "default" else f"hermes -p {profile} gateway start"
    suffix = f" ({detail})" if detail else ""
    if kind == "crashed":
        return f"the gateway crashed, {_how(event)}{suffix}; it is started again"
    if kind == "exited":
        return f"the gateway ended, {_how(event)}{suffix}"
    if kind == "parked":
        return f"parked: {detail or _how(event)}; mend the cause, then '{start}'"
    words = {
        "ready": "the gateway is ready",
        "draining": "the gateway drains",
        "registered": "the gateway is registered",
        "unregistered": "the gateway is removed",
    }
    return words.get(kind, str(kind)) + suffix


def _how(event: dict[str, Any]) -> str:
    if event.get("signal"):
        return f"killed by {event['signal']}"
    code = event.get("code")
    return "reason unknown" if code is None else f"exit code {code}"


def _say(line: str) -> None:
    """Write a whole line, also where a logger made the shared stdout non-blocking."""
    data = line.encode("utf-8", "replace") + b"\n"
    while data:
        try:
            data = data[os.write(1, data) :]
        except BlockingIOError:
            select.select([], [1], [])


def main(path: str, inode: str = "0", offset: str = "0") -> None:
    """Print until told to end."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: os._exit(0))
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    log = EventLog(path, int(inode), int(offset))
    watch = Watch(path.rpartition("/")[0] or "/")
    while True:
        watch.arm()
        for line in log.read():
            words = in_words(line)
            if words:
                _say(words)
        watch.wait()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except BrokenPipeError:
        os._exit(0)
