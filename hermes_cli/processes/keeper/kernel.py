"""What only the kernel can do for a keeper: adopt orphans, die with a parent, tell the process tree."""

from __future__ import annotations

import os

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36

KEEPER_MARK = "HERMES_KEEPER_DIRECTORY"
"""The one variable that a keeper is started with."""


def prctl(option: int, value: int) -> bool:
    """prctl(2) with one argument; False where the kernel or the C library has none."""
    import ctypes

    try:
        return bool(ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0)
    except (AttributeError, OSError):
        return False


def adopt_orphans() -> bool:
    """Become the parent of every descendant whose own parent ends (Linux 3.4)."""
    return prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(signal_number: int) -> bool:
    """Be sent the signal when the parent ends. Called between fork and exec."""
    return prctl(_PR_SET_PDEATHSIG, signal_number)


def own_proc_again() -> bool:
    """After a change of user /proc/self would belong to root until the next exec."""
    return prctl(_PR_SET_DUMPABLE, 1)


def start_ticks(pid: int) -> int:
    """proc(5) start time in clock ticks after boot; 0 where it cannot be seen."""
    fields = _stat(pid)
    return int(fields[19]) if fields else 0


def boot_id() -> str:
    return read("/proc/sys/kernel/random/boot_id").strip()


def descendants(root: int) -> list[int]:
    """Pids of the living descendants of `root`, parents first. Zombies are left out, and so are other
    keepers with all that is theirs: a process started by a process is on its own."""
    children: dict[int, list[int]] = {}
    try:
        names = os.listdir("/proc")
    except OSError:
        return []
    for name in names:
        if name.isdecimal():
            fields = _stat(int(name))
            if fields and fields[0] not in "ZX":
                children.setdefault(int(fields[1]), []).append(int(name))
    found: list[int] = []
    waiting = [root]
    while waiting:
        more = [pid for pid in children.get(waiting.pop(0), ()) if not _is_keeper(pid)]
        found += more
        waiting += more
    return found


def _is_keeper(pid: int) -> bool:
    return read(f"/proc/{pid}/environ").startswith(KEEPER_MARK + "=")


def _stat(pid: int) -> list[str]:
    """The fields of proc(5) stat behind the command's name: state, parent, ..."""
    return read(f"/proc/{pid}/stat").rpartition(")")[2].split()


def read(path: str) -> str:
    """The first 4 KiB of a file; empty where it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(descriptor, 4096).decode("utf-8", "replace")
    except OSError:
        return ""
    finally:
        os.close(descriptor)
