"""Background processes in numbers: those that are kept, and what was seen of them since the gateway began.

Nothing of the process library is imported: an idle gateway has these families too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from hermes_cli.serving.exposition import Metric, by_label, counter

if TYPE_CHECKING:
    from hermes_cli.processes.collection import Kept

STATES = ("running", "exited", "killed", "lost")
ENDED = STATES[1:]
EVENTS = ("completion", "watch_match", "watch_disabled", "watch_overflow_tripped", "watch_overflow_released")


class _Seen(NamedTuple):
    state: str
    output: int


class ProcessTally:
    """One for a gateway's life. It remembers the processes that are kept, 64 of them at most."""

    def __init__(self, before: Iterable[str] = ()) -> None:
        """`before`: the processes of earlier lives; only what they do from the first look on is counted."""
        self._before = set(before)
        self._known: dict[str, _Seen] = {}
        self._started = 0
        self._ended: Counter[str] = Counter()
        self._output = 0

    def look(self, there: Iterable[str], kept: Iterable[Kept]) -> None:
        """Take in what is there now: the names of all processes, and those of them that can be read.

        One that cannot be read at this moment, while it is being written, is still the one it was.
        """
        now = {name: seen for name in there if (seen := self._known.get(name)) is not None}
        for one in kept:
            output = one.status.output_bytes
            seen = _Seen(one.status.state, one.spool.end() if output is None else output)
            now[one.spec.id] = seen
            before = self._known.get(one.spec.id)
            if before is None:
                if one.spec.id in self._before:
                    self._before.discard(one.spec.id)
                    continue
                self._started += 1
            if seen.state != "running" and (before is None or before.state == "running"):
                self._ended[seen.state] += 1
            self._output += max(0, seen.output - (before.output if before else 0))
        self._known = now

    def metrics(self, told: Counter[str] | None, waiting: int | None) -> list[Metric]:
        """`told`: events by type and `suppressed`, since the gateway began. `waiting`: how many of them
        have not been acknowledged; None where that is not known without opening an outbox."""
        told = told or Counter()
        states = Counter(seen.state for seen in self._known.values())
        return [
            Metric(
                "hermes_processes",
                "gauge",
                "Background processes that are kept, by state.",
                by_label("state", {state: states[state] for state in STATES}),
            ),
            counter(
                "hermes_processes_started_total",
                "Background processes that began since the gateway did.",
                {(): self._started},
            ),
            counter(
                "hermes_processes_ended_total",
                "Background processes that ended since the gateway began, by how.",
                by_label("state", {state: self._ended[state] for state in ENDED}),
            ),
            counter(
                "hermes_process_output_bytes_total",
                "Output of background processes since the gateway began.",
                {(): self._output},
            ),
            counter(
                "hermes_process_events_total",
                "Events of background processes that were put into the outbox, by type.",
                by_label("type", {kind: told[kind] for kind in EVENTS}),
            ),
            counter(
                "hermes_process_matches_suppressed_total",
                "Matches that were not told because there were too many, told afterwards in sum.",
                {(): told["suppressed"]},
            ),
            Metric(
                "hermes_process_outbox_events",
                "gauge",
                "Events that wait for their owner; missing until the gateway has used its outbox.",
                {} if waiting is None else {(): waiting},
            ),
        ]
