"""All checks in order, the mending, and the second look after it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from hermes_cli.home import HomeError, root_home
from hermes_cli.service_manager.errors import ServiceError
from hermes_cli.service_manager.types import ServiceManager

from . import environment, files, gateways, installations, processes, settings, slots, stores, webhook
from .model import Check, Finding, Result, Scene

CHECKS: tuple[Check, ...] = (
    *environment.CHECKS,
    *files.CHECKS,
    *settings.CHECKS,
    *slots.CHECKS,
    *installations.CHECKS,
    *gateways.CHECKS,
    *processes.CHECKS,
    *stores.CHECKS,
    *webhook.CHECKS,
)

_ROUNDS = 3
"""Mending one thing brings up the next: a slot that was missing is then down, and wanted up."""


class DoctorReport(msgspec.Struct, kw_only=True):
    """`hermes doctor --json`. `version` is raised when a field changes its meaning or goes away."""

    version: int = 1
    ok: bool
    """Nothing is an error any more; warnings may remain."""
    findings: list[Finding]


def diagnose(
    root: Path | None = None, manager: ServiceManager | None = None, *, fix: bool = False
) -> DoctorReport:
    """Look at everything; with `fix`, mend what is safe to mend, until nothing new is found.

    Raises nothing for what it finds: a check that fails itself becomes an error of its own.
    """
    root = root if root is not None else root_home()
    if manager is None:
        manager = _manager_here()

    def scene() -> Scene:
        ids = (os.getuid(), os.getgid()) if hasattr(os, "getuid") else (-1, -1)
        return Scene(root=root, manager=manager, uid=ids[0], gid=ids[1])

    return examine(CHECKS, scene, fix=fix)


def examine(checks: tuple[Check, ...], scene: Callable[[], Scene], *, fix: bool) -> DoctorReport:
    """Run `checks`, each time over a fresh scene."""
    results = _look(checks, scene())
    tried: dict[str, Finding] = {}
    failures: dict[str, str] = {}
    for _ in range(_ROUNDS if fix else 0):
        new = [result for result in results if result.mend and result.finding.id not in tried]
        if not new:
            break
        tried |= {result.finding.id: result.finding for result in new}
        failures |= _mend(new)
        results = _look(checks, scene())
    left = {result.finding.id for result in results if result.finding.status != "ok"}
    mended = [finding for name, finding in tried.items() if name not in left]
    findings = [msgspec.structs.replace(finding, fixed=True, status="ok") for finding in mended]
    # A check that has nothing left to complain of says so through what was mended, not twice.
    spoken_for = {finding.id.partition(" ")[0] for finding in mended}
    for finding, _ in results:
        if finding.id in failures:
            finding.remedy = f"{finding.remedy} (mending it failed: {failures[finding.id]})"
        if finding.status != "ok" or finding.id not in spoken_for:
            findings.append(finding)
    return DoctorReport(ok=all(finding.status != "error" for finding in findings), findings=findings)


def _look(checks: tuple[Check, ...], scene: Scene) -> list[Result]:
    results: list[Result] = []
    for check in checks:
        if not check.applies(scene):
            continue
        try:
            found = list(check.look(scene))
        except (OSError, HomeError, ServiceError) as error:
            found = [Result(_unknown(check, str(error)))]
        if all(result.finding.status == "ok" for result in found) and check.fine:
            found.append(Result(Finding(id=check.id, status="ok", message=check.fine)))
        results += found
    return results


def _mend(results: list[Result]) -> dict[str, str]:
    """Try every mend, whatever becomes of the others. What failed, by the finding's id."""
    from hermes_cli.profiles import ProfileError

    failures = {}
    for finding, mend in results:
        if mend is None:
            continue
        try:
            mend()
        except (OSError, HomeError, ServiceError, ProfileError) as error:
            failures[finding.id] = str(error)
    return failures


def _unknown(check: Check, cause: str) -> Finding:
    return Finding(
        id=check.id,
        status="error",
        message=f"could not be checked: {cause}",
        remedy="see the cause and try again",
    )


def _manager_here() -> ServiceManager | None:
    from hermes_cli.gateway.levels import manager_here

    try:
        return manager_here()
    except ServiceError:
        return None
