"""How quickly the commands that people and scripts call most answer, beside Python's own start."""

from __future__ import annotations

import json
from collections.abc import Iterator

from bench.context import PYTHON, USER, Bench, with_arguments
from bench.fleet import NAMES, fleet
from bench.model import Budget, Row, Series
from bench.probes import source

IMPORT = "python -c 'import click'"


def rows(bench: Bench) -> Iterator[Row]:
    bench.say("commands")
    asked = {
        IMPORT: [PYTHON, "-c", "import click"],
        "hermes profile list": ["hermes", "profile", "list"],
        "hermes gateway status": ["hermes", "-p", NAMES[0], "gateway", "status"],
        "hermes status": ["hermes", "status"],
    }
    with fleet(bench) as container:
        arguments = [str(bench.samples * 2), json.dumps(asked)]
        answer = bench.engine.run(container, with_arguments(source("commands"), arguments), user=USER)
    found = {name: Series.of(name, samples) for name, samples in json.loads(answer).items()}
    plain = found.pop(IMPORT)
    for name, series in found.items():
        budget = None if name == "hermes status" else Budget(2.5, relative=True)
        yield Row(name, "s", series, budget, (plain,), "with ten profiles, whole command")
