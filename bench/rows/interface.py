"""How quickly the text interface is on the screen, beside the least that its library can show."""

from __future__ import annotations

import json
from collections.abc import Iterator

from bench.context import PYTHON, USER, Bench, with_arguments
from bench.fleet import NAMES, fleet
from bench.model import Budget, Row, Series
from bench.probes import source

EMPTY = "an empty Textual app"
HERMES = "text interface to first paint"

_EMPTY_APP = (
    "from textual.app import App\n"
    "from textual.widgets import Static\n"
    "class Empty(App):\n"
    "    BINDINGS = [('ctrl+c', 'quit', 'quit')]\n"
    "    def compose(self):\n"
    "        yield Static('painted')\n"
    "Empty().run()\n"
)


def rows(bench: Bench) -> Iterator[Row]:
    bench.say("interface")
    asked = {HERMES: [NAMES[0], ["hermes", "--tui"]], EMPTY: ["painted", [PYTHON, "-c", _EMPTY_APP]]}
    with fleet(bench) as container:
        arguments = [str(bench.samples), json.dumps(asked)]
        answer = bench.engine.run(container, with_arguments(source("paint"), arguments), user=USER)
    found = {name: Series.of(name, samples) for name, samples in json.loads(answer).items()}
    note = "from exec on a terminal to the rows of ten gateways"
    yield Row(HERMES, "s", found[HERMES], Budget(0.6), (found[EMPTY],), note)
