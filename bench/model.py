"""What a measurement is: series of samples, and rows that set Hermes' beside its peers' and its budget."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Unit = Literal["s", "B"]


class BenchError(Exception):
    """A measurement could not be made; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Series:
    """Samples of one quantity, in seconds or bytes."""

    name: str
    samples: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.samples:
            raise BenchError(f"no samples of {self.name}")

    @classmethod
    def of(cls, name: str, samples: Sequence[float]) -> Series:
        return cls(name, tuple(samples))

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def spread(self) -> tuple[float, float]:
        """The first and third quartile: half of the samples lie between."""
        if len(self.samples) == 1:
            return self.samples[0], self.samples[0]
        low, _, high = statistics.quantiles(self.samples, n=4, method="inclusive")
        return low, high

    def minus(self, other: Series) -> Series:
        """What these samples have on top of the median of `other`."""
        return Series(self.name, tuple(sample - other.median for sample in self.samples))


@dataclass(frozen=True, slots=True)
class Budget:
    """The most a median may be: `limit` itself, or `limit` times the median of the first peer."""

    limit: float
    relative: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    what: str
    unit: Unit
    hermes: Series
    budget: Budget | None = None
    peers: tuple[Series, ...] = field(default=())
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the median is within the budget; None where the design sets none."""
        if self.budget is None:
            return None
        limit = self.budget.limit
        if self.budget.relative:
            limit *= self.peers[0].median
        return self.hermes.median < limit

    def ratio(self, peer: Series) -> float | None:
        """Hermes over the peer: below 1, Hermes takes less. None where the peer's is next to nothing."""
        return self.hermes.median / peer.median if peer.median > 0 else None
