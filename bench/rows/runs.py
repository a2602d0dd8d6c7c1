"""Durable runs: their events written, told and read again, beside the plain ways to keep a journal."""

from __future__ import annotations

import json
from collections.abc import Iterator

from bench.context import USER, Bench, with_arguments
from bench.fleet import booted
from bench.model import Budget, Row, Series
from bench.probes import source


def rows(bench: Bench) -> Iterator[Row]:
    bench.say("runs")
    with bench.engine.container(bench.image, ["sleep", "infinity"]) as container:
        bench.engine.wait(container, booted(), "the container has booted")
        argv = with_arguments(source("runs"), [str(bench.samples)])
        found = json.loads(bench.engine.run(container, argv, user=USER).splitlines()[-1])

    def row(what: str, key: str, limit: float, note: str = "") -> Row:
        first, *others = (Series.of(name, samples) for name, samples in found[key].items())
        return Row(what, "s", first, Budget(limit), tuple(others), note)

    yield row(
        "10,000 run events appended",
        "append",
        1.0,
        "from a program's output, on disk, to a follower; the peers only write",
    )
    yield row("100,000 run events replayed", "replay", 1.0, "in pages of 1,000")
    yield row("first event to a waiting subscriber", "first", 0.020, "from the command's write")
    yield row("a run over the bare command", "over", 0.15)
    yield row("a store of 1,000,000 events opened", "open", 1.0)
    yield row("a page from the middle of 1,000,000 events", "page", 0.010)
