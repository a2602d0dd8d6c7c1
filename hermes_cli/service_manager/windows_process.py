"""What a supervisor does to a process on Windows that Python has no word for: jobs, and Ctrl-Break."""

from __future__ import annotations

import ctypes
import sys
from ctypes import wintypes
from typing import Any

_KILL_ON_JOB_CLOSE, _SILENT_BREAKAWAY_OK = 0x2000, 0x1000
_EXTENDED_LIMIT_INFORMATION = 9
_CTRL_BREAK = 1


class _BasicLimits(ctypes.Structure):
    _fields_ = (
        ("PerProcessUserTimeLimit", ctypes.c_int64),
        ("PerJobUserTimeLimit", ctypes.c_int64),
        ("LimitFlags", wintypes.DWORD),
        ("MinimumWorkingSetSize", ctypes.c_size_t),
        ("MaximumWorkingSetSize", ctypes.c_size_t),
        ("ActiveProcessLimit", wintypes.DWORD),
        ("Affinity", ctypes.c_size_t),
        ("PriorityClass", wintypes.DWORD),
        ("SchedulingClass", wintypes.DWORD),
    )


class _ExtendedLimits(ctypes.Structure):
    _fields_ = (
        ("BasicLimitInformation", _BasicLimits),
        ("IoInfo", ctypes.c_uint64 * 6),
        ("ProcessMemoryLimit", ctypes.c_size_t),
        ("JobMemoryLimit", ctypes.c_size_t),
        ("PeakProcessMemoryUsed", ctypes.c_size_t),
        ("PeakJobMemoryUsed", ctypes.c_size_t),
    )


class Job:
    """A job object: it ends its processes when its last handle closes, and so when its owner is killed.

    With `keep_children` the program alone is in it, and what the program starts goes its own way.
    """

    def __init__(self, *, keep_children: bool) -> None:
        kernel = _kernel32()
        kernel.CreateJobObjectW.restype = wintypes.HANDLE
        self._handle = wintypes.HANDLE(kernel.CreateJobObjectW(None, None))
        limits = _ExtendedLimits()
        limits.BasicLimitInformation.LimitFlags = _KILL_ON_JOB_CLOSE | (
            _SILENT_BREAKAWAY_OK if keep_children else 0
        )
        kernel.SetInformationJobObject(
            self._handle, _EXTENDED_LIMIT_INFORMATION, ctypes.byref(limits), ctypes.sizeof(limits)
        )

    def add(self, process: int) -> None:
        """Put a process in, by its handle."""
        _kernel32().AssignProcessToJobObject(self._handle, wintypes.HANDLE(process))

    def end(self) -> None:
        """End what is in it."""
        _kernel32().TerminateJobObject(self._handle, 1)

    def __del__(self) -> None:
        _kernel32().CloseHandle(self._handle)


def send_break(pid: int) -> bool:
    """Ctrl-Break for the process group of `pid`, which has a console of its own; False where it has none.

    Only a process at the same console may send it: this one goes there for that, and comes back.
    """
    kernel = _kernel32()
    kernel.FreeConsole()
    if not kernel.AttachConsole(pid):
        return False
    try:
        kernel.SetConsoleCtrlHandler(None, True)
        return bool(kernel.GenerateConsoleCtrlEvent(_CTRL_BREAK, pid))
    finally:
        kernel.FreeConsole()
        kernel.SetConsoleCtrlHandler(None, False)


def _kernel32() -> Any:
    if sys.platform != "win32":
        raise OSError("there is no kernel32 here")
    return ctypes.WinDLL("kernel32", use_last_error=True)
