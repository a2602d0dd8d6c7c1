"""What every row is given: the engine, the images, how often to measure, and a place for progress."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .engine import Engine
from .model import Series

PYTHON = "/opt/hermes/venv/bin/python"
USER = "hermes"


@dataclass(frozen=True, slots=True)
class Bench:
    """One run."""

    engine: Engine
    image: str
    supervisord: str
    pm2: str
    base: str
    jobs: str
    """Hermes' image with other keepers of jobs beside it."""
    samples: int

    def say(self, text: str) -> None:
        """Progress, on stderr: the table alone goes to stdout."""
        print(f"bench: {text}", file=sys.stderr, flush=True)

    def interleave(self, takes: Mapping[str, Callable[[], float]], count: int | None = None) -> list[Series]:
        """`count` samples of each, in turns, so that whatever else the machine does meets all alike.

        The first of each warms caches and is thrown away.
        """
        found: dict[str, list[float]] = {name: [] for name in takes}
        for turn in range((count or self.samples) + 1):
            for name, take in takes.items():
                sample = take()
                if turn:
                    found[name].append(sample)
        return [Series.of(name, samples) for name, samples in found.items()]


def with_arguments(source: str, arguments: Sequence[str]) -> list[str]:
    """The command that runs a probe's source in the image's own Python."""
    return [PYTHON, "-I", "-c", source, *arguments]
