"""What the dashboard costs with many profiles and many open pages, and how soon they are told of a change."""

from __future__ import annotations

import json
from collections.abc import Iterator

from bench.context import PYTHON, USER, Bench, with_arguments
from bench.fleet import CREATE, booted
from bench.model import Budget, Row, Series
from bench.probes import source

PROFILES = 50
PAGES = 10
NAMES = tuple(f"bench{number:02}" for number in range(PROFILES))

ADDRESS = "127.0.0.1:9119"
OPTIONS = {"environment": {"HERMES_DASHBOARD": "1"}}


def rows(bench: Bench) -> Iterator[Row]:
    bench.say("dashboard")
    engine = bench.engine
    with engine.container(bench.image, options=OPTIONS) as container:
        engine.wait(container, booted(), "the container has booted")
        engine.run(container, [PYTHON, "-c", CREATE, "register", *NAMES], user=USER)
        ready = 'test "$(s6-svstat -o ready /run/service/dashboard)" = true'
        engine.wait(container, ready, "the dashboard is ready")
        engine.run(container, ["hermes", "-p", NAMES[-1], "gateway", "start"], user=USER)
        pid = engine.run(container, ["s6-svstat", "-o", "pid", "/run/service/dashboard"]).strip()
        arguments = [ADDRESS, pid, str(PAGES), str(bench.samples), NAMES[0], NAMES[-1]]
        found = json.loads(engine.run(container, with_arguments(source("dashboard"), arguments), user=USER))
    with_pages = f"{PROFILES} profiles, {PAGES} open pages"
    yield Row(
        "the dashboard, resident",
        "B",
        Series.of("hermes", [found["resident"]]),
        Budget(45e6),
        note=with_pages,
    )
    yield Row(
        "the overview to first paint",
        "B",
        Series.of("hermes", [found["bytes"]]),
        Budget(100e3),
        note=f"{PROFILES} profiles; document, style and scripts as they come over the wire",
    )
    for name, what, note in (
        ("order", "an order to its event at the page", "an intent is written"),
        ("death", "a death to its event at the page", "SIGKILL to the gateway"),
    ):
        yield Row(what, "s", Series.of("hermes", found[name]), Budget(0.5), note=f"{with_pages}; {note}")
