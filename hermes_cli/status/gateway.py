"""One gateway's row: the supervisor's word, the gateway's own, and the operator's, put together."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from hermes_cli.gateway.activity import active_runs
from hermes_cli.gateway.identity import ProcessIdentity
from hermes_cli.gateway.records import IntentRecord, ParkedRecord, State, StateRecord
from hermes_cli.home import CorruptFileError, Home, RecordT, load
from hermes_cli.service_manager.names import service_name
from hermes_cli.service_manager.types import ServiceStatus

from .exits import last_exit
from .model import Actual, ServiceReport, Wanted
from .processes import running_processes
from .usage import usage_of

_LIVE_STATES = frozenset({"running", "draining", "degraded"})
"""Last states after which a gateway without an intent counts as wanted: the rule of the boot."""


_SAID: Mapping[State, Actual] = {
    "starting": "starting",
    "backing_off": "backing off",
    "running": "ready",
    "degraded": "degraded",
    "draining": "draining",
    "stopped": "stopping",
    "failed": "stopping",
}
"""What a gateway that lives means by its state: one that has written its last word is about to end."""


def gateway_row(
    home: Home,
    managed: bool,
    observed: Mapping[str, ServiceStatus],
    logged_exit: str | None,
    configs: bool,
) -> ServiceReport:
    report = ServiceReport(service=service_name(home.profile), profile=home.profile)
    messages: list[str] = []
    intent = _load(home.intent, IntentRecord, messages)
    state = _load(home.state, StateRecord, messages)
    parked = _load(home.parked, ParkedRecord, messages)
    service = observed.get(report.service)
    process = None if state is None else ProcessIdentity(state.pid, state.pid_start, state.boot_id)
    alive = process is not None and process.is_alive()

    report.wanted = _wanted(intent, state, parked, service)
    if parked is not None:
        report.parked_reason, report.parked_kind = parked.reason, parked.kind
    if service is not None and service.registered:
        from_supervisor(report, service)
        if not service.answering:
            messages.append(service.detail)
        if alive and state is not None and not service.running:
            messages.append(f"a gateway that nothing supervises runs as pid {state.pid}")
    elif alive and state is not None:
        _from_state(report, state)
    elif managed:
        report.actual = "not registered"
    if report.actual in ("down", "not registered") and report.wanted == "up" and parked is not None:
        report.actual = "parked"
    elif report.actual == "parked" and report.wanted == "down" and parked is None:
        # A host started it at boot, and it went down again because it was stopped (gateway.run, StaysDown).
        report.actual = "down"
    if state is not None:
        current = alive and (report.pid is None or report.pid == state.pid)
        if current and process is not None:
            _refine(report, state)
            report.active_runs = active_runs(home, process)
        report.restarts = state.restarts  # since the last start asked for; s6's own tally never forgets
        if state.message and (current or report.wanted == "up"):
            messages.append(state.message)
    report.last_exit = last_exit(service) or logged_exit
    report.processes = running_processes(home.processes)
    if configs and report.port is None:
        _from_config(report, home, messages)
    report.message = "; ".join(one for one in dict.fromkeys(messages) if one != report.parked_reason)
    report.problem = _problem(report)
    return report


def _load(path: Path, kind: type[RecordT], messages: list[str]) -> RecordT | None:
    try:
        return load(path, kind)
    except CorruptFileError as error:
        messages.append(str(error))
        return None


def _wanted(
    intent: IntentRecord | None,
    state: StateRecord | None,
    parked: ParkedRecord | None,
    service: ServiceStatus | None,
) -> Wanted:
    if intent is not None:
        return "up" if intent.intent == "running" else "down"
    if parked is not None or (service is not None and (service.wanted or service.parked)):
        return "up"
    if service is not None and service.registered:
        return "down"
    return "up" if state is not None and state.state in _LIVE_STATES else "down"


def from_supervisor(report: ServiceReport, service: ServiceStatus) -> None:
    report.actual = cast("Actual", service.in_words())
    report.ready = service.running and service.ready
    report.restarts = service.restarts
    if service.running:
        report.pid = service.pid
        report.uptime_seconds = _age(service.since)
        _use(report)


def _from_state(report: ServiceReport, state: StateRecord) -> None:
    """What the gateway says of itself, where nothing supervises it."""
    report.pid = state.pid
    report.ready = state.state in ("running", "degraded")
    report.actual = _SAID[state.state]
    report.uptime_seconds = _age(state.started_at)
    _use(report)


def _use(report: ServiceReport) -> None:
    if report.pid is not None:
        report.memory_bytes, report.cpu_seconds = usage_of(report.pid)


def _refine(report: ServiceReport, state: StateRecord) -> None:
    """What only the running gateway itself knows."""
    if state.state == "backing_off" and report.actual == "starting":
        report.actual = "backing off"
    elif state.state == "degraded" and report.actual == "ready":
        report.actual = "degraded"
    elif state.state == "draining" and report.actual in ("stopping", "ready"):
        report.actual = "draining"
    if state.port is not None:
        set_address(report, state.host or "127.0.0.1", state.port)


def _from_config(report: ServiceReport, home: Home, messages: list[str]) -> None:
    from hermes_cli.config import inspect_config

    found = inspect_config(home)
    messages += map(str, found.errors)
    if found.port is not None:
        set_address(report, str(found.values["gateway.host"]), found.port)


def set_address(report: ServiceReport, host: str, port: int) -> None:
    """A wildcard address is not one to visit: the loopback answers for it."""
    if host in ("0.0.0.0", "::", ""):
        host = "127.0.0.1"
    report.port = port
    report.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _problem(report: ServiceReport) -> str | None:
    if report.wanted != "up" or report.ready:
        return None
    if report.actual == "parked":
        return f"parked: {report.parked_reason or 'its log says why'}"
    return f"wanted up, but {report.actual}"


def _age(since: float | None) -> float | None:
    """Never negative: the clock may have been set back."""
    return None if since is None else round(max(0.0, time.time() - since), 1)
