"""Which process is meant by a pid written down earlier: pid, start time and boot id together."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from hermes_cli.service_manager.process_identity import boot_id, start_of

__all__ = ["ProcessIdentity", "boot_id", "command_of", "init_start", "parent_of", "start_ticks"]

_PROC = Path("/proc")
_PARENT_FIELD = 1
"""Index of ppid (proc(5), field 4) among the fields behind the command's closing parenthesis."""
_KILL: signal.Signals = getattr(signal, "SIGKILL", signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process of this machine, across reboots and recycled pids."""

    pid: int
    start: int
    """Clock ticks after boot; 0 where the system does not tell."""
    boot_id: str

    @classmethod
    def own(cls) -> ProcessIdentity:
        pid = os.getpid()
        return cls(pid, start_ticks(pid) or 0, boot_id())

    def is_alive(self) -> bool:
        """Whether this very process still runs; a zombie does not."""
        if self.pid <= 0 or self.boot_id != boot_id():
            return False
        if self.start or sys.platform == "win32":  # there, os.kill ends a process whatever the signal
            return start_ticks(self.pid) == self.start
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    def end(self, *, grace: float) -> bool:
        """SIGTERM, then SIGKILL after `grace` seconds. True once it is gone; PermissionError for others'."""
        handle = _open_pidfd(self)
        try:
            for number, wait in ((signal.SIGTERM, grace), (_KILL, 5.0)):
                if not self._signal(handle, number) or self._gone_within(handle, wait):
                    return True
            return not self.is_alive()
        finally:
            if handle is not None:
                os.close(handle)

    def _signal(self, handle: int | None, number: signal.Signals) -> bool:
        if not self.is_alive():
            return False
        try:
            if handle is not None and sys.platform == "linux":
                signal.pidfd_send_signal(handle, number)
            else:
                os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True

    def _gone_within(self, handle: int | None, seconds: float) -> bool:
        if handle is not None and sys.platform == "linux":
            import select

            poll = select.poll()
            poll.register(handle, select.POLLIN)
            # A pidfd is readable at the exit, also of a zombie that nobody has reaped (pidfd_open(2)).
            return bool(poll.poll(seconds * 1000)) or not self.is_alive()
        deadline = time.monotonic() + seconds
        while self.is_alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


def start_ticks(pid: int) -> int | None:
    """When `pid` began, in the system's unit (Linux: clock ticks after boot); None for a zombie and none."""
    return start_of(pid)


def parent_of(pid: int) -> int | None:
    """The parent's pid, or None where there is no such process."""
    fields = _stat(pid)
    return int(fields[_PARENT_FIELD]) if fields else None


def init_start() -> int:
    """When PID 1 began: with `boot_id`, the name of this life of the container or machine."""
    return start_ticks(1) or 0


def command_of(pid: int) -> str:
    """The command line of `pid` for a person, at most 120 characters; empty where it cannot be read."""
    try:
        words = (_PROC / str(pid) / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return ""
    text = " ".join(word.decode("utf-8", "replace") for word in words)
    text = "".join(character if character.isprintable() else "?" for character in text)
    return text if len(text) <= 120 else text[:119] + "…"


def _stat(pid: int) -> list[bytes] | None:
    try:
        data = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    # The command name is in parentheses and may hold blanks and parentheses itself.
    return data[data.rfind(b")") + 2 :].split()


def _open_pidfd(identity: ProcessIdentity) -> int | None:
    if sys.platform != "linux":
        return None
    try:
        handle = os.pidfd_open(identity.pid)
    except OSError:
        return None
    # The pid may have been recycled before the descriptor was opened: then it is of somebody else.
    if not identity.is_alive():
        os.close(handle)
        return None
    return handle
