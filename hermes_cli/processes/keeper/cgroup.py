"""A cgroup (version 2) of the command's own, where this user may make one; and what ours says of memory."""

from __future__ import annotations

import os

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

    def remove(self) -> bool:
        """False while there is somebody in it."""
        try:
            os.rmdir(self.path)
        except OSError:
            return not os.path.exists(self.path)
        return True

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
    """A new one below this process's own. A keeper that was started by another keeper's command leaves that
    one's cgroup first, which may be killed."""
    mount = next((path for path in _MOUNTS if os.path.exists(f"{path}/cgroup.procs")), "")
    own = _own("")
    if not mount or not own or "/.." in own:
        return Cgroup()
    outer, inside, _ = own.partition(_PREFIX)
    base = mount + outer.rstrip("/")
    if inside:
        Cgroup(base).enter()
    path = f"{base}/hermes-{process_id}"
    try:
        os.mkdir(path)
    except OSError:
        return Cgroup()
    return Cgroup(path)


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
