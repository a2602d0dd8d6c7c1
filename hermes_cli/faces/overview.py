"""A status report as the interactive faces show it: the same columns, words and marks in each."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

import msgspec

from hermes_cli.status import ServiceReport, StatusReport

from .printable import plain

Tone = Literal["good", "busy", "bad", "idle"]
Verb = Literal["start", "unpark", "stop", "restart"]

MARKS: Mapping[Tone, str] = {"good": "●", "busy": "◐", "bad": "✕", "idle": "○"}
"""A shape for each tone, so that colour never carries the meaning alone."""

_BUSY = frozenset({"starting", "backing off", "draining", "stopping", "degraded"})
_MAX_NOTE = 400
_STEADY = 500_000
"""Bytes by which the memory in use may swing about the edge between two megabytes."""
_SAME_START = 2.0
"""Seconds by which two readings of one start may differ: an uptime is an age, and ages are rounded."""


class Row(msgspec.Struct, kw_only=True):
    """One service in words, each safe to show on a line; empty where there is nothing to say."""

    service: str
    profile: str | None
    name: str
    wanted: str
    actual: str
    tone: Tone
    mark: str
    ready: str
    pid: str
    since: int | None
    """When it came up, in seconds since the epoch: an uptime would change every second, this does not."""
    restarts: str
    last_exit: str
    parked: str
    """Why it is parked."""
    port: str
    memory: str
    """`28 MB`, `1.2 GB`. A change by less than a megabyte is none."""
    cpu: str
    """`12 %` of one processor in the last seconds: see `Meter`."""
    runs: str
    processes: str
    note: str
    """The parked reason and what else there is to know, as one text."""
    verbs: list[Verb]
    """What can sensibly be done to it now; `unpark` is a start that also ends the parking."""

    def uptime(self, now: float | None = None) -> str:
        """`8s`, `3m 20s`, `5h 12m`, `9d 4h`; empty where it is not up."""
        if self.since is None:
            return ""
        return duration((now if now is not None else time.time()) - self.since)


class Overview(msgspec.Struct, kw_only=True):
    """Everything a face shows of the whole installation, apart from logs."""

    summary: str
    tone: Tone
    mark: str
    problems: list[str]
    rows: list[Row]
    """Gateways first (`default` at the top), then the container's own services."""
    story: str = ""
    """Different once supervision has written down something more: for faces that show a timeline."""

    def profiles(self) -> list[str]:
        return [row.profile for row in self.rows if row.profile is not None]


class Meter:
    """How busy each service was lately, from the processor times of one look after the other."""

    SPAN = 5.0
    """Seconds over which it is measured: shorter ones jump about, and each jump is a change on every page."""

    def __init__(self) -> None:
        self._readings: dict[str, _Reading] = {}

    def percent(self, service: ServiceReport, now: float) -> int | None:
        """Of one processor. At first, and after each start, the average since the start."""
        spent, pid = service.cpu_seconds, service.pid
        if spent is None or pid is None:
            self._readings.pop(service.service, None)
            return None
        last = self._readings.get(service.service)
        if last is None or last.pid != pid or now < last.at:
            share = _share(spent, service.uptime_seconds or 0.0)
        elif now - last.at < self.SPAN:
            return last.percent
        else:
            share = _share(spent - last.spent, now - last.at)
        self._readings[service.service] = _Reading(pid, now, spent, share)
        return share

    def keep(self, services: Iterable[str]) -> None:
        """Forget all but these."""
        kept = set(services)
        self._readings = {name: reading for name, reading in self._readings.items() if name in kept}


class _Reading(NamedTuple):
    pid: int
    at: float
    spent: float
    percent: int


def _share(spent: float, seconds: float) -> int:
    return round(100 * max(0.0, spent) / seconds) if seconds > 0 else 0


def overview(
    report: StatusReport,
    before: Overview | None = None,
    now: float | None = None,
    meter: Meter | None = None,
) -> Overview:
    """`report` in words. With `before`, what has not really changed stays exactly the same.

    A face that looks again and again keeps a `meter`; without one, `cpu` is the average since the start.
    """
    now = now if now is not None else time.time()
    meter = meter if meter is not None else Meter()
    old = {row.service: row for row in before.rows} if before is not None else {}
    rows = [_row(service, old.get(service.service), now, meter) for service in report.services]
    meter.keep(row.service for row in rows)
    gateways = [row for row in rows if row.profile is not None]
    tone = _tone(report, gateways)
    return Overview(
        summary=_summary(report, gateways),
        tone=tone,
        mark=MARKS[tone],
        problems=[plain(problem, _MAX_NOTE) for problem in report.problems],
        rows=rows,
    )


def unreadable(error: Exception, before: Overview | None = None) -> Overview:
    """What to show when the status itself cannot be had; the last known rows stay."""
    return Overview(
        summary="The status cannot be read; what is shown is the last that was known",
        tone="bad",
        mark=MARKS["bad"],
        problems=[plain(str(error) or type(error).__name__, _MAX_NOTE)],
        rows=before.rows if before is not None else [],
    )


def tone_of(actual: str, wanted: str) -> Tone:
    """How a state is to be taken. Down is bad only where up is wanted."""
    if actual == "ready":
        return "good"
    if actual in _BUSY:
        return "busy"
    return "idle" if actual in ("down", "not registered") and wanted == "down" else "bad"


def duration(seconds: float) -> str:
    """`8s`, `3m 20s`, `5h 12m`, `9d 4h`."""
    whole = max(0, int(seconds))
    for unit, name, smaller, smaller_name in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "m"),
        (60, "m", 1, "s"),
    ):
        if whole >= unit:
            return f"{whole // unit}{name} {whole % unit // smaller}{smaller_name}"
    return f"{whole}s"


def size(memory: int) -> str:
    """`28 MB`, `1.2 GB`: decimal, of so many bytes."""
    return f"{memory / 1e9:.1f} GB" if memory >= 999.5e6 else f"{memory / 1e6:.0f} MB"


def _row(service: ServiceReport, old: Row | None, now: float, meter: Meter) -> Row:
    tone = tone_of(service.actual, service.wanted)
    pid = _number(service.pid)
    since = None
    if service.uptime_seconds is not None:
        since = round(now - service.uptime_seconds)
        if old is not None and old.pid == pid and old.since is not None:
            since = old.since if abs(old.since - since) <= _SAME_START else since
    return Row(
        service=service.service,
        profile=service.profile,
        name=plain(service.profile or service.service, 256),
        wanted=service.wanted,
        actual=plain(service.actual, 40),
        tone=tone,
        mark=MARKS[tone],
        ready="yes" if service.ready else "no",
        pid=pid,
        since=since,
        restarts=_number(service.restarts),
        last_exit=plain(service.last_exit or "", 60),
        parked=plain(service.parked_reason or "", _MAX_NOTE),
        port=_number(service.port),
        memory=_memory(service.memory_bytes, old.memory if old is not None else ""),
        cpu=_percent(meter.percent(service, now)),
        runs=_number(service.active_runs),
        processes=_number(service.processes),
        note=_note(service),
        verbs=_verbs(service),
    )


def _verbs(service: ServiceReport) -> list[Verb]:
    if service.profile is None:
        return []
    if service.actual == "parked":
        return ["unpark", "stop"]
    if service.pid is not None:
        return ["restart", "stop"]
    return ["start", "stop"] if service.wanted == "up" else ["start"]


def _note(service: ServiceReport) -> str:
    notes: Iterable[str | None] = (service.parked_reason, service.message)
    return plain("; ".join(dict.fromkeys(note for note in notes if note)), _MAX_NOTE)


def _memory(value: int | None, shown: str) -> str:
    """`shown`, the text of the last look, stays where it is off by less than a whole step."""
    if value is None:
        return ""
    near = (size(max(0, value + step)) for step in (-_STEADY, _STEADY))
    return shown if shown and shown in near else size(value)


def _percent(value: int | None) -> str:
    return "" if value is None else f"{value} %"


def _number(value: int | None) -> str:
    return "" if value is None else str(value)


def _tone(report: StatusReport, gateways: list[Row]) -> Tone:
    if not report.healthy:
        return "bad"
    return "good" if any(row.wanted == "up" for row in gateways) else "idle"


def _summary(report: StatusReport, gateways: list[Row]) -> str:
    if report.volume_held:
        return (
            f"Another container holds the volume ({plain(report.volume_held, 80)}): nothing is started here"
        )
    wanted = [row for row in gateways if row.wanted == "up"]
    ready = sum(row.ready == "yes" for row in wanted)
    if not wanted:
        return "No gateway is wanted up"
    if ready == len(wanted):
        which = "The wanted gateway is" if ready == 1 else f"All {ready} wanted gateways are"
        return f"{which} ready"
    return f"{ready} of {len(wanted)} wanted gateways ready"
