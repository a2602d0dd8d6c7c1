"""Checks of the slots: which exist, who owns them, and supervisors that lost theirs."""

from __future__ import annotations

import os
import signal
import stat
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from hermes_cli.gateway.identity import parent_of
from hermes_cli.home import Home
from hermes_cli.service_manager.names import SERVICE_PREFIX, service_name

from .model import Check, Result, Scene, problem

_SETTLES = 2.0
"""Seconds a registration or removal that is under way may take before its traces count."""
_NEW_CONTAINER = "restart the container: it makes every slot anew"


def registered(scene: Scene) -> Iterator[Result]:
    """Every profile has a slot, and every slot a profile."""
    manager = scene.manager
    assert manager is not None
    slots = set(manager.list_profile_gateways())
    profiles = {home.profile for home in scene.homes}
    for profile in sorted(profiles - slots):
        yield problem(
            f"slots {profile}",
            f"the profile {profile} has no slot: its gateway cannot be started",
            "hermes doctor --fix registers it",
            mend=_register(scene, profile),
        )
    for profile in sorted(slots - profiles):
        # Something with that name may be there and be no profile: then nothing is removed on its account.
        gone = not os.path.lexists(Home(profile, scene.root).path)
        yield problem(
            f"slots {profile}",
            f"the slot {service_name(profile)} belongs to no profile",
            "hermes doctor --fix removes it" if gone else "see what lies in its place among the profiles",
            status="warning",
            mend=_unregister(scene, profile) if gone else None,
        )


def ownership(scene: Scene) -> Iterator[Result]:
    """Nothing that root runs or writes can be changed by the service user (docs/service-manager.md)."""
    yield from _not_roots(scene, scene.scandir)
    try:
        entries = sorted(entry for entry in scene.scandir.iterdir() if entry.name.startswith(SERVICE_PREFIX))
    except OSError:
        return
    for slot in entries:
        for service in (slot, slot / "log"):
            for name in ("", "run", "finish", "event", "supervise", "supervise/status"):
                yield from _not_roots(scene, service / name if name else service)
            yield from _control(scene, service / "supervise/control")


def leaked(scene: Scene) -> Iterator[Result]:
    """No s6-supervise whose slot is gone, and none twice for one slot."""
    found = _leaked(scene)
    if found:
        # A removal under way looks the same for a moment.
        deadline = time.monotonic() + _SETTLES
        while found and time.monotonic() < deadline:
            time.sleep(0.1)
            found = [supervisor for supervisor in _leaked(scene) if supervisor in found]
    for supervisor in found:
        yield problem(
            f"supervisors {supervisor.pid}",
            f"s6-supervise of {supervisor.name} runs as pid {supervisor.pid}, but {supervisor.cause}",
            f"kill {supervisor.pid}" if supervisor.uid == scene.uid else _NEW_CONTAINER,
            mend=_terminate(supervisor.pid) if supervisor.uid == scene.uid else None,
        )


class Supervisor(NamedTuple):
    """A supervisor that should not be there."""

    pid: int
    uid: int
    name: str
    cause: str


def _leaked(scene: Scene) -> list[Supervisor]:
    by_name: dict[str, list[tuple[int, int]]] = defaultdict(list)
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal():
            continue
        try:
            if (process / "comm").read_text().strip() != "s6-supervise" or parent_of(int(process.name)) != 1:
                continue  # not of this scandir, whose s6-svscan is PID 1
            name = (process / "cmdline").read_bytes().split(b"\0")[1].decode(errors="replace")
            uid = process.stat().st_uid
        except (OSError, IndexError):
            continue
        pid = int(process.name)
        cause = _lost(scene, process, name)
        if cause:
            found.append(Supervisor(pid, uid, name, cause))
        else:
            by_name[name].append((pid, uid))
    for name, processes in by_name.items():
        # The oldest has the lock of its directory; the others wait for it.
        for pid, uid in sorted(processes)[1:]:
            found.append(Supervisor(pid, uid, name, "another one does the same"))
    return sorted(found)


def _lost(scene: Scene, process: Path, name: str) -> str | None:
    """Why the supervisor has lost its slot; None if it has not, or supervises something else of s6's own.

    Its directory is visible to its own user and to root alone; everybody else sees its name.
    """
    try:
        directory = str((process / "cwd").readlink())
    except OSError:
        if not name.startswith(SERVICE_PREFIX) or (scene.scandir / name).is_dir():
            return None
        return "there is no such slot"
    if directory.endswith(" (deleted)"):
        return "its directory is deleted"
    if Path(directory).is_relative_to(scene.scandir) and Path(directory) != scene.scandir / name:
        return f"its directory is {directory} now"
    return None


def _not_roots(scene: Scene, path: Path) -> Iterator[Result]:
    try:
        found = path.lstat()
    except OSError:
        return
    if stat.S_ISLNK(found.st_mode):
        yield problem(
            f"slot-ownership {path}", f"{path} is a link, which nothing here should be", _NEW_CONTAINER
        )
    elif found.st_uid != 0:
        yield problem(
            f"slot-ownership {path}",
            f"{path} belongs to uid {found.st_uid}, which could become root through it",
            _NEW_CONTAINER,
        )
    elif found.st_mode & stat.S_IWOTH or (found.st_mode & stat.S_IWGRP and found.st_gid != 0):
        yield problem(
            f"slot-ownership {path}",
            f"{path} has mode {stat.S_IMODE(found.st_mode):04o} and group {found.st_gid}: "
            "others than root could change what root runs",
            _NEW_CONTAINER,
        )


def _control(scene: Scene, path: Path) -> Iterator[Result]:
    """The FIFO that takes orders: root's, for the service user's group, and nobody else's."""
    try:
        found = path.lstat()
    except OSError:
        return
    mode = stat.S_IMODE(found.st_mode)
    if not stat.S_ISFIFO(found.st_mode) or found.st_uid != 0 or mode & 0o007:
        yield problem(
            f"slot-ownership {path}",
            f"{path} has owner {found.st_uid} and mode {mode:04o}: others could give orders",
            _NEW_CONTAINER,
        )
    elif found.st_gid != scene.gid or not mode & 0o020:
        yield problem(
            f"slot-ownership {path}",
            f"{path} has group {found.st_gid} and mode {mode:04o}: this user cannot control it",
            "restart the container: it makes every slot anew",
        )


def _register(scene: Scene, profile: str) -> Callable[[], object]:
    manager = scene.manager
    assert manager is not None
    return lambda: manager.register_profile_gateway(profile)


def _unregister(scene: Scene, profile: str) -> Callable[[], object]:
    manager = scene.manager
    assert manager is not None
    return lambda: manager.unregister_profile_gateway(profile)


def _terminate(pid: int) -> Callable[[], object]:
    """SIGTERM ends s6-supervise after its service (s6-supervise, "Signals")."""
    return lambda: os.kill(pid, signal.SIGTERM)


def _with_slots(scene: Scene) -> bool:
    return scene.has_slots


def _owned_by_root(scene: Scene) -> bool:
    return scene.has_slots and not scene.single_user


CHECKS = (
    Check("slots", "every profile has a slot, and every slot a profile", registered, _with_slots),
    Check("slot-ownership", "slots belong to root and take orders from this user", ownership, _owned_by_root),
    Check("supervisors", "no supervisor has lost its slot", leaked, _with_slots),
)
