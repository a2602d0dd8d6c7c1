"""Who holds a TCP port: another profile's gateway by name, else a process by pid and command."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from hermes_cli.home import CorruptFileError, Home, load, profile_names

from .identity import ProcessIdentity, command_of
from .records import StateRecord

_LISTEN = "0A"
"""TCP_LISTEN as /proc/net/tcp writes it."""


def describe_holder(home: Home, port: int) -> str:
    """The holder of `port` in words; "another process" where this user may not see it."""
    pid = pid_listening_on(port)
    profile = _profile_with(home, port, pid)
    if profile is not None:
        return f"the gateway of profile {profile!r}"
    if pid is None:
        return "another process, which this user may not see"
    command = command_of(pid)
    return f"pid {pid} ({command})" if command else f"pid {pid}"


def pid_listening_on(port: int) -> int | None:
    """The process with a listening socket on `port`, as far as this user may look."""
    inodes = set(_listening_inodes(port))
    if not inodes:
        return None
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and _has_one_of(process / "fd", wanted):
            return int(process.name)
    return None


def _profile_with(home: Home, port: int, pid: int | None) -> str | None:
    for name in profile_names(home.root):
        if name == home.profile:
            continue
        try:
            state = load(Home.of(name, home.root).state, StateRecord)
        except CorruptFileError:
            continue
        if state is None or state.port != port or state.state in ("stopped", "failed"):
            continue
        if ProcessIdentity(state.pid, state.pid_start, state.boot_id).is_alive() and pid in (None, state.pid):
            return name
    return None


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _has_one_of(directory: Path, links: set[str]) -> bool:
    try:
        with os.scandir(directory) as entries:
            return any(_link(entry.path) in links for entry in entries)
    except OSError:
        return False


def _link(path: str) -> str:
    try:
        return str(Path(path).readlink())
    except OSError:
        return ""
