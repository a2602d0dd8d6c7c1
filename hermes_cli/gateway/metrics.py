"""The gateway in numbers: what it says of itself, and what its process takes of the machine."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from hermes_cli import __version__
from hermes_cli.home import CorruptFileError, Home, load
from hermes_cli.service_manager.types import RestartPolicy
from hermes_cli.serving.exposition import Metric, by_label, counter, gauge

from .records import IntentRecord, State

if TYPE_CHECKING:
    from .runtime import Runtime

STATES: tuple[State, ...] = ("starting", "running", "degraded", "draining")
"""Those in which a gateway can be asked."""


def gateway_metrics(runtime: Runtime) -> list[Metric]:
    """All but what concerns runs and processes. Reads the intent, and asks for the room on the disk."""
    return [
        *_life(runtime),
        *_supervision(runtime),
        *_serving(runtime),
        *runtime.requests.metrics(),
        *_room(runtime.home.path),
        *_machine(),
    ]


def uptime(started_at: float) -> float:
    """Seconds since `started_at`, never negative: clocks are set back."""
    return max(0.0, time.time() - started_at)


def _life(runtime: Runtime) -> Iterator[Metric]:
    record, state = runtime.reporter.record, runtime.state()
    yield gauge("process_start_time_seconds", "When the gateway began, since the epoch.", record.started_at)
    yield gauge(
        "hermes_gateway_info",
        "Which profile and version this is; always 1.",
        1,
        profile=runtime.home.profile,
        version=__version__,
    )
    yield gauge(
        "hermes_gateway_ready", "1 while ready for work.", int(runtime.ready and not runtime.draining)
    )
    yield Metric(
        "hermes_gateway_state",
        "gauge",
        "1 for the state that it is in.",
        by_label("state", {one: int(one == state) for one in STATES}),
    )
    yield gauge("hermes_gateway_draining", "1 while draining.", int(runtime.draining))
    yield gauge("hermes_gateway_problems", "Problems that /v1/status names.", len(runtime.problems()))
    yield Metric(
        "hermes_gateway_ready_timestamp_seconds",
        "gauge",
        "When it became ready, since the epoch; missing while it is not.",
        {} if record.ready_at is None else {(): record.ready_at},
    )


def _supervision(runtime: Runtime) -> Iterator[Metric]:
    """What the gateway knows of its own supervision. Down or parked, it cannot say so: the status does."""
    record = runtime.reporter.record
    wanted = _wanted(runtime.home)
    yield Metric(
        "hermes_gateway_wanted",
        "gauge",
        "1 if the operator asked for it to run; missing where nobody asked for anything.",
        {} if wanted is None else {(): int(wanted)},
    )
    yield counter(
        "hermes_gateway_restarts_total",
        "Unclean ends since the operator last asked for a start.",
        {(): record.restarts},
    )
    policy = RestartPolicy()
    since = time.time() - policy.window
    yield gauge(
        "hermes_gateway_recent_crashes",
        "Unclean ends that count towards parking it as a crash loop.",
        sum(at >= since for at in record.unclean_starts),
    )
    yield gauge(
        "hermes_gateway_recent_crashes_limit",
        "How many of them park it.",
        policy.max_unclean_starts,
    )


def _serving(runtime: Runtime) -> Iterator[Metric]:
    yield gauge("hermes_gateway_connections", "Open connections.", len(runtime.connections.connections))
    yield gauge("hermes_gateway_event_streams", "Open streams of its own events.", runtime.journal.readers)


def _wanted(home: Home) -> bool | None:
    try:
        intent = load(home.intent, IntentRecord)
    except (CorruptFileError, OSError):
        return None
    return None if intent is None else intent.intent == "running"


def _room(path: Path) -> Iterator[Metric]:
    try:
        usage = shutil.disk_usage(path)
    except OSError:
        return
    yield gauge("hermes_home_size_bytes", "Size of the home's file system.", usage.total)
    yield gauge("hermes_home_free_bytes", "Bytes free on the home's file system.", usage.free)


def _machine() -> Iterator[Metric]:
    """What prometheus' client libraries call the process collector, as far as /proc tells."""
    times = os.times()
    yield counter("process_cpu_seconds_total", "CPU time of the gateway.", {(): times.user + times.system})
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
        descriptors = sum(1 for _ in Path("/proc/self/fd").iterdir()) - 1
    except (OSError, ValueError):
        return
    page = os.sysconf("SC_PAGE_SIZE")
    yield gauge("process_resident_memory_bytes", "Resident memory of the gateway.", pages * page)
    yield gauge("process_open_fds", "Open file descriptors of the gateway.", descriptors)
