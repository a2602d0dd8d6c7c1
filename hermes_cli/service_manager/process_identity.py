"""Which process a pid written down earlier means, on every system: the pid, when it began, which boot."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
_SZOMB = 5
"""pbi_status of a zombie on macOS (sys/proc.h)."""
_LOOK = 0.02
"""Seconds between two looks where a process that is not a child cannot be waited for."""


class Process(NamedTuple):
    """A process of this machine, across reboots and recycled pids."""

    pid: int
    start: int
    """When it began, in the system's own unit; 0 where the system does not tell."""
    boot: str

    @classmethod
    def of(cls, pid: int) -> Process:
        return cls(pid, start_of(pid) or 0, boot_id())

    def alive(self) -> bool:
        """Whether this very process runs; a zombie does not."""
        if self.pid <= 0 or self.boot != boot_id():
            return False
        return start_of(self.pid) == self.start

    def signal(self, number: int) -> bool:
        """Send it a signal (on Windows: end it at once); False if it is gone. PermissionError for others'."""
        if not self.alive():
            return False
        if sys.platform == "win32":
            return _windows_terminate(self.pid)
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True

    def gone_within(self, seconds: float) -> bool:
        """Wait for its end, at most `seconds`; it need not be a child."""
        deadline = time.monotonic() + seconds
        with contextlib.ExitStack() as stack:
            wait = _waiter(self.pid, stack)
            while self.alive():
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return False
                wait(remaining)
        return True


def start_of(pid: int) -> int | None:
    """When `pid` began, in the system's own unit; None for a zombie and for none, 0 where it is not told."""
    if sys.platform == "win32":
        return _windows_start(pid)
    if sys.platform == "darwin":
        return _darwin_start(pid)
    try:
        data = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    # The command name is in parentheses and may hold blanks and parentheses itself (proc(5)).
    fields = data[data.rfind(b")") + 2 :].split()
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def boot_id() -> str:
    """Changes with every boot; empty where the system has no such thing."""
    if sys.platform == "win32":
        return _windows_boot()
    if sys.platform == "darwin":
        return _darwin_boot()
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def _waiter(pid: int, stack: contextlib.ExitStack) -> _Wait:
    """A function that returns at the end of `pid`, or after its argument in seconds, or earlier."""
    import select

    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            descriptor = os.pidfd_open(pid)
            stack.callback(os.close, descriptor)
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            return _PidfdWait(poll)
    if sys.platform == "darwin":
        with contextlib.suppress(OSError):
            queue = stack.enter_context(contextlib.closing(select.kqueue()))
            event = select.kevent(
                pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD | select.KQ_EV_ONESHOT, select.KQ_NOTE_EXIT
            )
            queue.control([event], 0, 0)
            return _KqueueWait(queue)
    return _Wait()


class _Wait:
    def __call__(self, seconds: float) -> None:
        time.sleep(min(seconds, _LOOK))


if sys.platform != "win32":
    import select

    class _PidfdWait(_Wait):
        def __init__(self, poll: select.poll) -> None:
            self._poll = poll
            self._ended = False

        def __call__(self, seconds: float) -> None:
            # A zombie whose parent is slow to reap is readable at once: /proc already calls it gone.
            if self._ended:
                super().__call__(seconds)
            else:
                self._ended = bool(self._poll.poll(seconds * 1000))


if sys.platform == "darwin":

    class _KqueueWait(_Wait):
        def __init__(self, queue: select.kqueue) -> None:
            self._queue = queue
            self._ended = False

        def __call__(self, seconds: float) -> None:
            if self._ended:
                super().__call__(seconds)
            else:
                self._ended = bool(self._queue.control(None, 1, seconds))


def _darwin_start(pid: int) -> int | None:
    """Microseconds: pbi_start_tvsec and _tvusec of proc_pidinfo(PROC_PIDTBSDINFO), sys/proc_info.h."""
    import ctypes

    buffer = ctypes.create_string_buffer(136)
    got = ctypes.CDLL(None, use_errno=True).proc_pidinfo(pid, 3, ctypes.c_uint64(0), buffer, len(buffer))
    if got != len(buffer):
        import errno

        return 0 if ctypes.get_errno() == errno.EPERM else None
    if int.from_bytes(buffer.raw[4:8], sys.byteorder) == _SZOMB:
        return None
    seconds = int.from_bytes(buffer.raw[120:128], sys.byteorder)
    return seconds * 1_000_000 + int.from_bytes(buffer.raw[128:136], sys.byteorder)


def _darwin_boot() -> str:
    import ctypes

    buffer = ctypes.create_string_buffer(64)
    size = ctypes.c_size_t(len(buffer))
    done = ctypes.CDLL(None).sysctlbyname(b"kern.bootsessionuuid", buffer, ctypes.byref(size), None, 0)
    return buffer.value.decode("ascii", "replace") if done == 0 else ""


def _windows_start(pid: int) -> int | None:
    """Creation time in units of 100 ns since 1601 (GetProcessTimes)."""
    if sys.platform != "win32":
        return None
    import ctypes
    from ctypes import wintypes

    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.OpenProcess.restype = wintypes.HANDLE
    handle = kernel.OpenProcess(0x1000 | 0x100000, False, pid)  # QUERY_LIMITED_INFORMATION, SYNCHRONIZE
    if not handle:
        return 0 if ctypes.get_last_error() == 5 else None
    handle = wintypes.HANDLE(handle)
    try:
        if kernel.WaitForSingleObject(handle, 0) == 0:
            return None
        times = [wintypes.FILETIME() for _ in range(4)]
        if not kernel.GetProcessTimes(handle, *map(ctypes.byref, times)):
            return 0
        return (times[0].dwHighDateTime << 32) | times[0].dwLowDateTime
    finally:
        kernel.CloseHandle(handle)


def _windows_terminate(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGTERM)  # TerminateProcess, whatever the signal
    except ProcessLookupError:
        return False
    except OSError as error:
        if getattr(error, "winerror", None) == 87:  # there is no such process
            return False
        raise
    return True


def _windows_boot() -> str:
    """The counter that Windows raises with every boot."""
    if sys.platform != "win32":
        return ""
    import winreg

    path = r"SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management\PrefetchParameters"
    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path) as key:
            return str(winreg.QueryValueEx(key, "BootId")[0])
    except OSError:
        return ""
