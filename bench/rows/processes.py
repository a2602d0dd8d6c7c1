"""Background processes under Hermes' keepers, beside what people keep jobs with."""

from __future__ import annotations

import json
from collections.abc import Iterator

from bench.context import USER, Bench, with_arguments
from bench.fleet import booted
from bench.model import Budget, Row, Series
from bench.probes import source


def rows(bench: Bench) -> Iterator[Row]:
    bench.say("background processes")
    with bench.engine.container(bench.jobs, ["sleep", "infinity"]) as container:
        bench.engine.wait(container, booted(), "the container has booted")
        argv = with_arguments(source("jobs"), [str(bench.samples)])
        found = json.loads(bench.engine.run(container, argv, user=USER).splitlines()[-1])

    def row(what: str, key: str, unit: str, limit: float, note: str = "") -> Row:
        first, *others = (Series.of(name, samples) for name, samples in found[key].items())
        assert unit in ("s", "B")
        return Row(what, "s" if unit == "s" else "B", first, Budget(limit), tuple(others), note)

    yield row("a command in the background, from the call until it runs", "start", "s", 0.06)
    yield row("its end, until a waiter hears of it", "wait", "s", 0.1)
    yield row(
        "100 MB of its output on disk, watched for a pattern",
        "output",
        "s",
        1.0,
        "how long the command is held up; only Hermes and supervisord bound what it may fill",
    )
    yield row("a keeper, private", "private", "B", 4e6, "tmux and supervisord have one for all jobs")
    yield row("a keeper, resident", "resident", "B", 10e6)
    yield row("64 processes listed", "list", "s", 0.005, "in one Python process, warm")
    yield row("one of 64 polled", "poll", "s", 0.005)
