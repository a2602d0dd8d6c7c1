"""What a process costs: its memory and its processor time, as the kernel has them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
_RESIDENT = 1
"""Index of the resident pages in statm (proc(5))."""
_UTIME, _STIME = 11, 12
"""Indices of utime and stime (proc(5), fields 14 and 15) among those behind the command's parenthesis."""


class Usage(NamedTuple):
    """Of one process, without its children. None where the system has no /proc or the process is gone."""

    memory_bytes: int | None = None
    """Resident: what it shares with others is counted for each of them."""
    cpu_seconds: float | None = None
    """User and system time since it began."""


def usage_of(pid: int) -> Usage:
    """Two short reads; raises nothing."""
    try:
        statm = (_PROC / str(pid) / "statm").read_bytes().split()
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return Usage()
    # The command name is in parentheses and may hold blanks and parentheses itself.
    fields = stat[stat.rfind(b")") + 2 :].split()
    ticks = int(fields[_UTIME]) + int(fields[_STIME])
    return Usage(
        int(statm[_RESIDENT]) * os.sysconf("SC_PAGE_SIZE"), round(ticks / os.sysconf("SC_CLK_TCK"), 2)
    )
