"""A gateway's life as its operator waits for it: created, started, killed and back."""

from __future__ import annotations

import json
from collections.abc import Iterator

from bench.context import USER, Bench, with_arguments
from bench.fleet import NAMES, fleet, start_all
from bench.model import Budget, Row, Series
from bench.probes import source

EMPTY = "empty starlette/uvicorn, listening"


def rows(bench: Bench) -> Iterator[Row]:
    bench.say("create, start, kill")
    count = bench.samples
    engine = bench.engine
    with fleet(bench, up=False) as container:
        asked = {"empty": with_arguments(source("empty_starts"), [str(count), source("empty_app")])}
        empty = Series.of(EMPTY, json.loads(engine.run(container, asked["empty"], user=USER)))

        creates = [[f"create {n}", ["hermes", "profile", "create", f"made{n}"]] for n in range(count)]
        starts = [[f"start {name}", ["hermes", "-p", name, "gateway", "start"]] for name in NAMES[:count]]
        answer = engine.run(
            container, with_arguments(source("once"), [json.dumps(creates + starts)]), user=USER
        )
        took: dict[str, float] = json.loads(answer)

        start_all(bench, container)
        slots = [f"gateway-{name}" for name in NAMES[:count]]
        recovered = json.loads(engine.run(container, with_arguments(source("recovery"), slots), user=USER))
    created = [seconds for name, seconds in took.items() if name.startswith("create")]
    started = [seconds for name, seconds in took.items() if name.startswith("start")]
    yield Row(
        "create to registered",
        "s",
        Series.of("hermes", created),
        Budget(0.25),
        note="'hermes profile create', the whole command",
    )
    yield Row(
        "start to ready",
        "s",
        Series.of("hermes", started),
        Budget(1.0),
        (empty,),
        "'hermes gateway start', the whole command",
    )
    yield Row("gateway killed to ready again", "s", Series.of("hermes", recovered), Budget(1.0), (empty,))
