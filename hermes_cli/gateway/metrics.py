"""What the gateway's process takes of the machine, under the names that Prometheus' own libraries use."""

from __future__ import annotations

import os
import time
from pathlib import Path

from hermes_cli.serving.exposition import Metric, counter, gauge


def process_metrics() -> list[Metric]:
    """What prometheus' client libraries call the process collector, as far as /proc tells."""
    times = os.times()
    found = [
        counter("process_cpu_seconds_total", "CPU time of the gateway.", {(): times.user + times.system}),
    ]
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
        descriptors = sum(1 for _ in Path("/proc/self/fd").iterdir()) - 1
    except (OSError, ValueError):
        return found
    page = os.sysconf("SC_PAGE_SIZE")
    found.append(gauge("process_resident_memory_bytes", "Resident memory of the gateway.", pages * page))
    found.append(gauge("process_open_fds", "Open file descriptors of the gateway.", descriptors))
    return found


def uptime(started_at: float) -> float:
    """Seconds since `started_at`, never negative: clocks are set back."""
    return max(0.0, time.time() - started_at)
