"""The report as metrics: what no gateway can say of itself once it is down or parked."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

from hermes_cli.serving.exposition import Labels, Metric, gauge, render

from .model import ServiceReport, StatusReport

PARKED_REASONS = ("config", "crash_loop", "other")
"""`other`: the supervisor says so, and no slip says why."""


def status_metrics(report: StatusReport) -> str:
    """The exposition of `report`, in Prometheus' text format 0.0.4.

    For a scrape of the dashboard and for node_exporter's textfile collector alike. The labels are services
    and profiles, of which an installation has a bounded number; docs/metrics.md lists the families.
    """
    return render(_families(report))


def _families(report: StatusReport) -> Iterator[Metric]:
    services = report.services
    yield gauge(
        "hermes_installation_info",
        "What is installed; always 1.",
        1,
        version=report.hermes_version,
        flavour=report.flavour or "",
        supervisor=report.supervisor,
    )
    yield gauge(
        "hermes_installation_healthy",
        "1 if every wanted service is ready and the volume is ours.",
        int(report.healthy),
    )
    yield gauge("hermes_installation_problems", "Problems that hermes status names.", len(report.problems))
    yield gauge(
        "hermes_volume_held",
        "1 if another container holds the volume, so that no gateway starts here.",
        int(report.volume_held is not None),
    )
    yield from _volume(report.home)
    yield _each(
        services,
        "hermes_service_wanted",
        "1 if the operator wants the service up; a parked one stays wanted.",
        lambda one: int(one.wanted == "up"),
    )
    yield _each(services, "hermes_service_ready", "1 while ready for work.", lambda one: int(one.ready))
    yield _parked(services)
    yield Metric(
        "hermes_service_state",
        "gauge",
        "What the service does, as the label state; always 1.",
        {(*_labels(one), ("state", one.actual)): 1 for one in services},
    )
    yield Metric(
        "hermes_service_restarts_total",
        "counter",
        "Unclean ends since the operator last asked for a start.",
        {_labels(one): one.restarts for one in services if one.restarts is not None},
    )
    yield Metric(
        "hermes_service_last_exit_info",
        "gauge",
        "How the service last ended, as the label exit; always 1, and missing where nobody knows.",
        {(*_labels(one), ("exit", one.last_exit)): 1 for one in services if one.last_exit},
    )
    yield _each(
        services,
        "hermes_service_uptime_seconds",
        "Seconds since the running process began.",
        lambda one: one.uptime_seconds,
    )
    yield _each(
        services,
        "hermes_service_memory_bytes",
        "Resident memory of the process, without its children.",
        lambda one: one.memory_bytes,
    )
    yield Metric(
        "hermes_service_cpu_seconds_total",
        "counter",
        "CPU time of the process, without its children.",
        {_labels(one): one.cpu_seconds for one in services if one.cpu_seconds is not None},
    )
    yield _each(
        services,
        "hermes_service_active_runs",
        "Runs that the gateway has in hand; missing while it does not run.",
        lambda one: one.active_runs,
    )
    yield _each(
        services,
        "hermes_service_background_processes",
        "Background processes of the gateway's profile that run, with or without it.",
        lambda one: one.processes,
    )


def _volume(home: str) -> Iterator[Metric]:
    try:
        usage = shutil.disk_usage(home)
    except OSError:
        return
    yield gauge("hermes_volume_size_bytes", "Size of the root home's file system.", usage.total)
    yield gauge("hermes_volume_free_bytes", "Bytes free on the root home's file system.", usage.free)


def _each(
    services: list[ServiceReport], name: str, text: str, value: Callable[[ServiceReport], float | None]
) -> Metric:
    """A gauge with a sample for every service of which `value` knows one."""
    samples = {_labels(one): found for one in services if (found := value(one)) is not None}
    return Metric(name, "gauge", text, samples)


def _parked(services: list[ServiceReport]) -> Metric:
    samples: dict[Labels, float] = {}
    for one in services:
        if one.kind != "gateway":
            continue
        found = (one.parked_kind or "other") if one.actual == "parked" else None
        for reason in PARKED_REASONS:
            samples[(*_labels(one), ("reason", reason))] = int(reason == found)
    return Metric(
        "hermes_service_parked", "gauge", "1 while the gateway is parked for the labelled reason.", samples
    )


def _labels(service: ServiceReport) -> Labels:
    return (("service", service.service), ("kind", service.kind), ("profile", service.profile or ""))
