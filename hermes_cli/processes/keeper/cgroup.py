"""A cgroup (version 2) of the command's own, where this user may make one; and what ours says of memory."""

from __future__ import annotations

import errno
import os
import select

from .kernel import read

_MOUNTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
"""Where version 2 is: alone, or beside version 1."""

_PREFIX = "/hermes-proc_"


class Cgroup:
    """An empty `path` stands for none: everything then does nothing."""

    def __init__(self, path: str = "") -> None:
        self.path = path

    def enter(self) -> None:
        """Move the calling process in. Called between fork and exec."""
        self._write("cgroup.procs", b"0")

    def kill(self) -> None:
        """SIGKILL for everything in it at once (Linux 5.14)."""
        self._write("cgroup.kill", b"1")

    def members(self) -> set[int]:
        return set(map(int, read(f"{self.path}/cgroup.procs").split())) if self.path else set()

    def remove(self, patience: float = 0.0) -> None:
        """Waits at most so many seconds for those in it to end."""
        try:
            os.rmdir(self.path)
            return
        except OSError as error:
            if error.errno != errno.EBUSY or not patience:
                return
        try:
            descriptor = os.open(f"{self.path}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return
        try:
            poll = select.poll()
            poll.register(descriptor, select.POLLPRI)
            if b"populated 1" in os.read(descriptor, 4096):
                poll.poll(patience * 1000)
            os.rmdir(self.path)
        except OSError:
            return
        finally:
            os.close(descriptor)

    def _write(self, name: str, data: bytes) -> None:
        if not self.path:
            return
        try:
            descriptor = os.open(f"{self.path}/{name}", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            return
        try:
            os.write(descriptor, data)
        except OSError:
            return
        finally:
            os.close(descriptor)


def make(process_id: str) -> Cgroup:
    """A new one. A keeper that was started by another keeper's command leaves that one's first, which may be
    killed."""
    base, inside = _base()
    if not base:
        return Cgroup()
    if inside:
        Cgroup(base).enter()
    path = f"{base}/hermes-{process_id}"
    try:
        os.mkdir(path)
    except OSError:
        return Cgroup()
    return Cgroup(path)


def of(process_id: str) -> Cgroup:
    """Where `make` has it, called from the same place."""
    base, _ = _base()
    return Cgroup(f"{base}/hermes-{process_id}" if base else "")


def _base() -> tuple[str, str]:
    """This process's own, or the one that it would be in if it were of no keeper; empty where there is no
    version 2. Second whether it is of one."""
    mount = next((path for path in _MOUNTS if os.path.exists(f"{path}/cgroup.procs")), "")
    own = _own("")
    if not mount or not own or "/.." in own:
        return "", ""
    outer, inside, _ = own.partition(_PREFIX)
    return mount + outer.rstrip("/"), inside


def out_of_memory_kills() -> int:
    """How many processes of this cgroup the kernel has killed for memory; 0 where it does not say."""
    candidates = [f"{mount}{_own('').rstrip('/')}/memory.events" for mount in _MOUNTS[:1]]
    for path in (_own("memory").rstrip("/"), ""):  # in a container the path may be the host's
        candidates.append(f"{_MOUNTS[0]}/memory{path}/memory.oom_control")
    for candidate in candidates:
        for line in read(candidate).splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


def _own(controller: str) -> str:
    """This process's cgroup: in version 2 for "", else in the hierarchy of that controller."""
    for line in read("/proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return path
    return ""
