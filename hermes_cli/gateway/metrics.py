"""The gateway's numbers in Prometheus' text format 0.0.4."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Metric:
    """One family and its samples: labels → value."""

    name: str
    kind: str
    text: str
    samples: Mapping[tuple[tuple[str, str], ...], float] = field(default_factory=dict)


def gauge(name: str, text: str, value: float, **labels: str) -> Metric:
    return Metric(name, "gauge", text, {tuple(labels.items()): value})


def counter(name: str, text: str, samples: Mapping[tuple[tuple[str, str], ...], float]) -> Metric:
    return Metric(name, "counter", text, samples)


def render(metrics: Iterable[Metric]) -> str:
    """The exposition of `metrics`, in their order."""
    lines: list[str] = []
    for metric in metrics:
        lines += [f"# HELP {metric.name} {metric.text}", f"# TYPE {metric.name} {metric.kind}"]
        for labels, value in metric.samples.items():
            inner = ",".join(f'{name}="{_escape(text)}"' for name, text in labels)
            lines.append(f"{metric.name}{{{inner}}} {value!r}" if inner else f"{metric.name} {value!r}")
    return "\n".join(lines) + "\n"


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


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
