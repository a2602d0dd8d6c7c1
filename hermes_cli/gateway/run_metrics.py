"""Runs in numbers: those in hand, and those that ended since the gateway began.

Nothing of runs is imported: an idle gateway has these families too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hermes_cli.serving.exposition import Histogram, Metric, by_label, counter, gauge

if TYPE_CHECKING:
    from hermes_cli.runs.types import Run

STATES = ("queued", "running", "awaiting_approval", "awaiting_clarify", "cancelling")
OUTCOMES = ("completed", "failed", "cancelled", "interrupted", "expired")

_WAITS = (0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0)
_DURATIONS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 86400.0)
"""Seconds."""


class RunTally:
    """One for a gateway's life."""

    def __init__(self) -> None:
        self._outcomes: Counter[str] = Counter()
        self._waits = Histogram(_WAITS)
        self._durations = Histogram(_DURATIONS)

    def ended(self, run: Run) -> None:
        """Count a run that has just ended in this gateway's hands."""
        if run.terminal_state is None or run.ended_at is None:
            return
        self._outcomes[run.terminal_state] += 1
        # Clocks are set back: no time is negative.
        if run.started_at is not None:
            self._waits.observe(max(0.0, run.started_at - run.created_at))
            self._durations.observe(max(0.0, run.ended_at - run.started_at))

    def metrics(self, states: Mapping[str, int], stalled: int, streams: int, store: Path) -> list[Metric]:
        """`states`: how many runs are in each; `store`: the database, which need not be there."""
        return [
            Metric(
                "hermes_runs",
                "gauge",
                "Runs in hand, by state.",
                by_label("state", {state: states.get(state, 0) for state in STATES}),
            ),
            gauge("hermes_runs_stalled", "Runs that have said nothing for longer than the limit.", stalled),
            counter(
                "hermes_runs_ended_total",
                "Runs that ended since the gateway began, by outcome.",
                by_label("outcome", {outcome: self._outcomes[outcome] for outcome in OUTCOMES}),
            ),
            self._waits.metric(
                "hermes_run_queue_seconds", "Time from the request to the start, of runs that have ended."
            ),
            self._durations.metric(
                "hermes_run_duration_seconds", "Time from the start to the end, of runs that have ended."
            ),
            gauge("hermes_run_streams", "Open streams of runs' events.", streams),
            gauge("hermes_run_store_bytes", "Size of the store of runs, its log included.", _size(store)),
        ]


def _size(store: Path) -> int:
    size = 0
    for path in (store, store.with_name(store.name + "-wal")):
        try:
            size += path.stat().st_size
        except OSError:
            continue
    return size
