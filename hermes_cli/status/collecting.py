"""Looking at everything once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from hermes_cli.home import Home, profile_names, root_home
from hermes_cli.service_manager.errors import ServiceError
from hermes_cli.service_manager.names import service_name
from hermes_cli.service_manager.types import ServiceManager, ServiceStatus

from .exits import last_exit, logged_exits
from .gateway import from_supervisor, gateway_row, set_address
from .model import Kind, ServiceReport, StatusReport

FLAVOUR_FILE = Path("/opt/hermes/share/flavour")
VOLUME_HELD_FILE = Path("/run/hermes/volume-held")
DASHBOARD_FILE = Path("/run/hermes/dashboard")

STATIC_SERVICES: Mapping[str, Kind] = {
    "dashboard": "dashboard",
    "slot-registrar": "registrar",
    "volume-lease": "lease",
    "main-hermes": "main",
}
"""Services of the image itself, by name. Only those that exist here are reported."""


def collect(
    root: Path | None = None, manager: ServiceManager | None = None, *, configs: bool = True
) -> StatusReport:
    """Look at everything once. Raises nothing for what a broken file or supervisor does: the row says it.

    `manager` defaults to the one in charge here. `configs=False` leaves the ports of stopped gateways out and
    reads no config.yaml, which is all that the answer to "healthy?" needs.
    """
    root = root if root is not None else root_home()
    message = None
    if manager is None:
        manager = _manager_here()
    profiles = _names(root, manager)
    observed: dict[str, ServiceStatus] = {}
    if manager is not None:
        names = [service_name(profile) for profile in profiles]
        if manager.kind == "s6":
            names += STATIC_SERVICES
        try:
            observed = manager.status_all(names)
        except ServiceError as error:
            message = str(error)
    exits = logged_exits(root)
    services = [
        gateway_row(Home(profile, root), manager is not None, observed, exits.get(profile), configs)
        for profile in profiles
    ]
    services += _static_services(root, observed, configs)
    held = _read_line(VOLUME_HELD_FILE)
    problems = [f"{service.service}: {service.problem}" for service in services if service.problem]
    if held:
        problems.insert(0, f"the volume is held by {held}; no gateway is started here")
    if message:
        problems.insert(0, message)
    return StatusReport(
        healthy=not problems,
        problems=problems,
        flavour=_read_line(FLAVOUR_FILE),
        supervisor=manager.kind if manager is not None else "none",
        home=str(root),
        volume_held=held,
        services=services,
    )


def _manager_here() -> ServiceManager | None:
    from hermes_cli.gateway.levels import manager_here

    try:
        return manager_here()
    except ServiceError:
        return None


def _names(root: Path, manager: ServiceManager | None) -> list[str]:
    """`default`, then every profile that has a home or a slot."""
    try:
        profiles = dict.fromkeys(profile_names(root))
    except OSError:
        profiles = {"default": None}
    if manager is not None and manager.supports_runtime_registration():
        with contextlib.suppress(ServiceError):
            profiles |= dict.fromkeys(manager.list_profile_gateways())
    return ["default", *sorted(name for name in profiles if name != "default")]


def _static_services(
    root: Path, observed: Mapping[str, ServiceStatus], configs: bool
) -> Iterator[ServiceReport]:
    for name, kind in STATIC_SERVICES.items():
        service = observed.get(name)
        if service is None or not service.registered:
            continue
        report = ServiceReport(service=name, kind=kind, wanted="up" if service.wanted else "down")
        from_supervisor(report, service)
        report.last_exit = last_exit(service)
        if not service.answering:
            report.actual = "unknown"
        if kind == "dashboard":
            _dashboard(report, root, configs)
        yield report


def _dashboard(report: ServiceReport, root: Path, configs: bool) -> None:
    """The boot decides whether it is wanted, and says why not; its slot does not know."""
    word, _, reason = (_read_line(DASHBOARD_FILE) or "").partition(": ")
    if word == "off":
        report.wanted, report.message = "down", reason
    elif word == "on":
        report.wanted = "up"
    if configs and report.wanted == "up":
        from hermes_cli.config import inspect_config

        values = inspect_config(Home.of(root=root)).values
        set_address(report, str(values["dashboard.host"]), int(values["dashboard.port"]))


def _read_line(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace").strip() or None
    except OSError:
        return None
