"""Prometheus' text format 0.0.4: families of samples, and how they are written."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[tuple[str, str], ...]
"""Names and values, in the order in which they are written."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One family and its samples: labels → value."""

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    text: str
    samples: Mapping[Labels, float] = field(default_factory=dict)
    suffixed: Sequence[tuple[str, Labels, float]] = ()
    """Samples whose names have a suffix, as those of a histogram."""


class Histogram:
    """Counts of observations by size, cheap enough for every request: a list and a sum.

    `bounds` are the upper bounds of its buckets, ascending, in the metric's unit; what is larger than all of
    them is only in `+Inf`.
    """

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        for place, bound in enumerate(self._bounds):
            if value <= bound:
                self._counts[place] += 1
                break
        else:
            self._counts[-1] += 1
        self._sum += value

    def samples(self, labels: Labels = ()) -> list[tuple[str, Labels, float]]:
        """Its part of a family: suffix, labels, value."""
        found: list[tuple[str, Labels, float]] = []
        below = 0
        for bound, count in zip((*self._bounds, math.inf), self._counts, strict=True):
            below += count
            found.append(("_bucket", (*labels, ("le", _number(bound))), below))
        return [*found, ("_sum", labels, self._sum), ("_count", labels, below)]

    def metric(self, name: str, text: str) -> Metric:
        """A family of this histogram alone."""
        return Metric(name, "histogram", text, suffixed=self.samples())


def gauge(name: str, text: str, value: float, **labels: str) -> Metric:
    """A family with one sample that goes up and down."""
    return Metric(name, "gauge", text, {tuple(labels.items()): value})


def counter(name: str, text: str, samples: Mapping[Labels, float]) -> Metric:
    """A family whose samples only grow, but for restarts."""
    return Metric(name, "counter", text, samples)


def by_label(label: str, counts: Mapping[str, float]) -> dict[Labels, float]:
    """Samples that differ in one label alone."""
    return {((label, value),): count for value, count in counts.items()}


def render(metrics: Iterable[Metric]) -> str:
    """The exposition of `metrics`, in their order."""
    lines: list[str] = []
    for metric in metrics:
        text = metric.text.replace("\\", "\\\\").replace("\n", "\\n")
        lines += [f"# HELP {metric.name} {text}", f"# TYPE {metric.name} {metric.kind}"]
        for labels, value in metric.samples.items():
            lines.append(_sample(metric.name, labels, value))
        for suffix, labels, value in metric.suffixed:
            lines.append(_sample(metric.name + suffix, labels, value))
    return "\n".join(lines) + "\n"


def _sample(name: str, labels: Labels, value: float) -> str:
    inner = ",".join(f'{label}="{_escape(text)}"' for label, text in labels)
    return f"{name}{{{inner}}} {_number(value)}" if inner else f"{name} {_number(value)}"


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else repr(value)


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
