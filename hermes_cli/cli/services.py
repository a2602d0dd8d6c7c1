"""Services as lines of a table: what `hermes status` and `hermes gateway list` show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from hermes_cli.faces.overview import MARKS, Tone, duration, tone_of
from hermes_cli.faces.printable import plain
from hermes_cli.status import ServiceReport, StatusReport

from .table import Cell, Column, Table, wrap

COLOURS: dict[Tone, str | None] = {"good": "green", "busy": "yellow", "bad": "red", "idle": None}

_COLUMNS = (
    Column("GATEWAY", least=12),
    Column("WANTED"),
    Column("ACTUAL"),
    Column("UPTIME", rank=2, right=True),
    Column("RUNS", rank=3, right=True),
    Column("PROCS", rank=4, right=True),
    Column("MEMORY", rank=5, right=True),
    Column("CPU", rank=7, right=True),
    Column("RESTARTS", rank=6, right=True),
    Column("PID", rank=8, right=True),
    Column("LAST EXIT", rank=9),
    Column("URL", rank=1),
)


def gateway_lines(reports: Sequence[ServiceReport], width: int | None) -> list[str]:
    """The gateways alone, one line each."""
    rows = [_row(report) for report in reports]
    table = Table(_COLUMNS, rows, width)
    return [table.header(), *map(table.line, rows), *_left_out(table)]


def status_lines(report: StatusReport, width: int | None) -> list[str]:
    """The gateways, the image's services, and below them whatever does not fit a column."""
    gateways = [_row(service) for service in report.services if service.kind == "gateway"]
    others = [_row(service) for service in report.services if service.kind != "gateway"]
    table = Table(_COLUMNS, gateways + others, width)
    lines: list[str] = []
    if report.volume_held:
        lines += [f"The volume is held by {plain(report.volume_held)}: no gateway is started here.", ""]
    lines += [table.header(), *map(table.line, gateways)]
    if others:
        lines += ["", table.header("SERVICE"), *map(table.line, others)]
    notes = [
        line
        for service in report.services
        for note in _notes(service)
        for line in wrap(plain(f"{service.profile or service.service}: {note}"), width)
    ]
    lines += ["", *notes] if notes else []
    return [*lines, *_left_out(table)]


def facts(report: ServiceReport) -> Iterator[tuple[str, str]]:
    """One gateway as names and values, each safe to show, without those that are unknown."""
    yield "gateway", plain(report.profile or report.service)
    yield "wanted", report.wanted
    yield "actual", f"{MARKS[_tone(report)]} {report.actual}"
    uptime = None if report.uptime_seconds is None else duration(report.uptime_seconds)
    for name, value in (
        ("pid", report.pid),
        ("uptime", uptime),
        ("restarts", report.restarts),
        ("runs", report.active_runs),
        ("processes", report.processes),
        ("memory", _size(report.memory_bytes)),
        ("cpu", _seconds(report.cpu_seconds)),
        ("url", report.url),
        ("last exit", report.last_exit),
        ("parked", report.parked_reason),
        ("note", report.message),
    ):
        if value is not None and value != "":
            yield name, plain(str(value))


def fact_lines(report: ServiceReport, width: int | None) -> list[str]:
    lines: list[str] = []
    for name, value in facts(report):
        shown = click.style(value, fg=COLOURS[_tone(report)]) if name == "actual" else value
        lines += wrap(f"{name:<9} {shown}", width) if name in ("note", "parked") else [f"{name:<9} {shown}"]
    return lines


def _row(service: ServiceReport) -> tuple[Cell, ...]:
    tone = _tone(service)
    texts = (
        service.uptime_seconds is not None and duration(service.uptime_seconds),
        _number(service.active_runs),
        _number(service.processes),
        _size(service.memory_bytes),
        _seconds(service.cpu_seconds),
        _number(service.restarts),
        _number(service.pid),
        service.last_exit and plain(service.last_exit, 60),
        service.url,
    )
    return (
        Cell(plain(service.profile or service.service, 256)),
        Cell(service.wanted),
        Cell(f"{MARKS[tone]} {plain(service.actual, 40)}", COLOURS[tone]),
        *(Cell(text or "-") for text in texts),
    )


def _tone(service: ServiceReport) -> Tone:
    return tone_of(service.actual, service.wanted)


def _notes(service: ServiceReport) -> Iterator[str]:
    if service.parked_reason:
        yield f"parked: {service.parked_reason}"
    if service.message:
        yield service.message


def _left_out(table: Table) -> list[str]:
    if not table.hidden:
        return []
    said = f"Not shown for want of width: {', '.join(table.hidden)}."
    return ["", click.style(said, dim=True)]


def _number(value: int | None) -> str | None:
    return None if value is None else str(value)


def _size(value: int | None) -> str | None:
    """`28 MB`, `1.2 GB`: decimal, as the budgets are."""
    if value is None:
        return None
    return f"{value / 1e9:.1f} GB" if value >= 999.5e6 else f"{value / 1e6:.0f} MB"


def _seconds(value: float | None) -> str | None:
    return None if value is None else duration(value)
