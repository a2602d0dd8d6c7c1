"""What only the kernel can do for a keeper: adopt orphans, die with a parent, a cgroup, the process tree."""

from __future__ import annotations

import os

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

_CGROUPS = "/sys/fs/cgroup"


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


def start_ticks(pid: int) -> int:
    """proc(5) start time in clock ticks after boot; 0 where there is none."""
    fields = _stat(pid)
    return int(fields[19]) if fields else 0


def boot_id() -> str:
    return _read("/proc/sys/kernel/random/boot_id").strip()


def descendants(root: int) -> list[int]:
    """Pids of all living descendants of `root`, parents first. Zombies are left out."""
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
        more = children.get(waiting.pop(0), [])
        found += more
        waiting += more
    return found


def _stat(pid: int) -> list[str]:
    """The fields of proc(5) stat behind the command's name: state, parent, ..."""
    return _read(f"/proc/{pid}/stat").rpartition(")")[2].split()


def _read(path: str) -> str:
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


class Cgroup:
    """A cgroup of the command's own (version 2); where this user may make none, it does nothing."""

    def __init__(self, name: str) -> None:
        self._path = ""
        own = [line[3:] for line in _read("/proc/self/cgroup").splitlines() if line.startswith("0::")]
        if not own or not os.path.exists(f"{_CGROUPS}/cgroup.controllers"):
            return
        parent = _CGROUPS + own[0].rstrip("/")
        path = f"{parent}/hermes-{name}"
        try:
            os.mkdir(path)
        except OSError:
            return
        self._path = path

    def enter(self) -> None:
        """Move the calling process in. Called between fork and exec."""
        if self._path:
            try:
                _write(f"{self._path}/cgroup.procs", b"0")
            except OSError:
                return

    def kill(self) -> None:
        """SIGKILL for everything in it at once (Linux 5.14)."""
        if self._path:
            try:
                _write(f"{self._path}/cgroup.kill", b"1")
            except OSError:
                return

    def remove(self) -> None:
        if self._path:
            try:
                os.rmdir(self._path)
            except OSError:
                return


def out_of_memory_kills() -> int:
    """How many processes of this cgroup the kernel has killed for memory; 0 where it does not say."""
    own = [line[3:] for line in _read("/proc/self/cgroup").splitlines() if line.startswith("0::")]
    text = _read(f"{_CGROUPS}{own[0].rstrip('/')}/memory.events") if own else ""
    for line in text.splitlines():
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return 0


def _write(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)
