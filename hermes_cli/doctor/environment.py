"""Checks of what Hermes stands on: versions, supervisor, volume, disk, clock."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from hermes_cli import __version__
from hermes_cli.home import CorruptFileError, load
from hermes_cli.status import FLAVOUR_FILE

from .model import Check, Finding, Result, Scene, problem

OLDEST_S6 = (2, 11)
"""Of Debian 12; nothing older was tried."""
_OVERLAY_PACKAGES = Path("/package/admin")
_FEW_BYTES, _TOO_FEW_BYTES = 256 << 20, 32 << 20
"""A gateway's log alone may take 10 MB; below 32 MB the next log line may fail."""
_FEW_INODES, _TOO_FEW_INODES = 2000, 100
_RELEASED = 1_793_491_200
"""2026-11-01: a clock before this version was made is wrong."""


def versions(scene: Scene) -> Iterator[Result]:
    """Always says them: whoever asks for help is asked for them."""
    found = [f"hermes {__version__}", f"Python {platform.python_version()}"]
    s6 = package_version("s6")
    found += [
        f"{name} {version}"
        for name, version in (("s6", s6), ("execline", package_version("execline")))
        if version
    ]
    if FLAVOUR_FILE.exists():
        found.append(f"flavour {FLAVOUR_FILE.read_text().strip()}")
    yield Result(Finding(id="versions", status="ok", message=", ".join(found)))
    if s6 and _numbers(s6) < OLDEST_S6:
        oldest = ".".join(map(str, OLDEST_S6))
        yield problem("versions s6", f"s6 {s6} is older than {oldest}", "use a newer image", status="warning")


def supervisor(scene: Scene) -> Iterator[Result]:
    if scene.manager is not None:
        yield Result(Finding(id="supervisor", status="ok", message=f"{scene.manager.kind} is in charge"))
    elif FLAVOUR_FILE.exists():
        yield problem(
            "supervisor",
            "nothing supervises gateways in this container: its PID 1 is not the image's own init",
            "run the container without --init and without --pid=host",
            status="warning",
        )
    else:
        message = (
            "no service manager here that Hermes can drive; 'hermes gateway run' works in the foreground"
        )
        yield Result(Finding(id="supervisor", status="ok", message=message))


def volume_held(scene: Scene) -> Iterator[Result]:
    if scene.status.volume_held:
        yield problem(
            "volume-held",
            f"the volume is held by {scene.status.volume_held}: no gateway is started here",
            "stop that container, then restart this one",
        )


def space(scene: Scene) -> Iterator[Result]:
    try:
        found = os.statvfs(scene.root)
    except FileNotFoundError:
        return
    left = found.f_bavail * found.f_frsize
    if left < _FEW_BYTES:
        yield problem(
            "disk space",
            f"{left >> 20} MB are left in {scene.root}",
            "free some space: logs/ and processes/ are where it goes",
            status="error" if left < _TOO_FEW_BYTES else "warning",
        )
    if found.f_files and found.f_favail < _FEW_INODES:
        yield problem(
            "disk inodes",
            f"{found.f_favail} files can still be made in {scene.root}",
            "remove files: the file system has no room for more, whatever their size",
            status="error" if found.f_favail < _TOO_FEW_INODES else "warning",
        )


def clock(scene: Scene) -> Iterator[Result]:
    from hermes_cli.gateway.records import StateRecord

    now = time.time()
    if now < _RELEASED:
        yield problem(
            "clock",
            f"the clock says {time.strftime('%Y-%m-%d', time.gmtime(now))}, before this version was made",
            "set the host's clock: certificates, crash counts and logs depend on it",
        )
    for home in scene.homes:
        try:
            state = load(home.state, StateRecord)
        except CorruptFileError:
            continue  # reported by the check of the small files
        if state is not None and state.started_at > now + 120:
            yield problem(
                f"clock {home.profile}",
                f"the gateway of {home.profile} began {state.started_at - now:.0f} s in the future",
                "the clock was set back since; restart that gateway once the clock is right",
                status="warning",
            )


def package_version(name: str) -> str | None:
    """Of s6 or execline: s6-overlay keeps the versions as directory names, Debian in its own records."""
    try:
        for entry in sorted(_OVERLAY_PACKAGES.glob(f"{name}-[0-9]*")):
            return entry.name.removeprefix(f"{name}-")
        answer = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Version}", name],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None if answer.returncode == 0 else None


def _numbers(version: str) -> tuple[int, ...]:
    words = version.partition("-")[0].split(".")
    return tuple(int(word) for word in words if word.isdecimal())


CHECKS = (
    Check("versions", "", versions),
    Check("supervisor", "", supervisor),
    Check("volume-held", "no other container holds the volume", volume_held),
    Check("disk", "there is room on the volume", space),
    Check("clock", "the clock is plausible", clock),
)
