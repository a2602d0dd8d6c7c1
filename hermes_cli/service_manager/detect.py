"""Which init is in charge here. Never raises, needs no privilege."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .types import ServiceManagerKind

_PROC_1_COMM = Path("/proc/1/comm")
_S6_BASEDIR = Path("/run/s6/basedir")
_SYSTEMD_RUNNING = Path("/run/systemd/system")
_SYSTEM_BUSES = (Path("/run/systemd/private"), Path("/run/dbus/system_bus_socket"))

_BUS_TIMEOUT = 1.0
"""Seconds for a bus to take a connection: it is local, and a stuck one is no working one."""


def detect_service_manager() -> ServiceManagerKind:
    """The init that can keep a gateway up, or "none".

    s6 counts only when PID 1 is `s6-svscan` and its base directory exists: /proc/1/exe is
    unreadable for other users, and every is-this-a-container test is false on some runtime.
    """
    if _s6_is_pid_1():
        return "s6"
    if sys.platform == "win32":
        return "windows"
    if sys.platform == "darwin":
        return "launchd"
    if _systemd_bus_answers():
        return "systemd"
    return "none"


def _s6_is_pid_1() -> bool:
    try:
        return _PROC_1_COMM.read_bytes().strip() == b"s6-svscan" and _S6_BASEDIR.is_dir()
    except OSError:
        return False


def _systemd_bus_answers() -> bool:
    """systemd runs (sd_booted(3)) and a bus socket of it takes this user's call: one left behind does not."""
    try:
        if not _SYSTEMD_RUNNING.is_dir():
            return False
        runtime = os.environ.get("XDG_RUNTIME_DIR")
        candidates = list(_SYSTEM_BUSES)
        if runtime:
            candidates += [Path(runtime, "systemd/private"), Path(runtime, "bus")]
        return any(_answers(candidate) for candidate in candidates)
    except (OSError, ValueError):
        return False


def _answers(path: Path) -> bool:
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_BUS_TIMEOUT)
        try:
            connection.connect(os.fspath(path))
        except (OSError, ValueError):
            return False
        return True
