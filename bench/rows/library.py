"""The service-manager library by itself: what its import costs, and a look at fifty services."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.context import USER, Bench, with_arguments
from bench.fleet import booted
from bench.model import Budget, Row, Series
from bench.peers import REPOSITORY, build_systemd
from bench.probes import source

SERVICES = 50
LIBRARY = REPOSITORY / "hermes_cli/service_manager"

CLICK = "import click"
SYSTEMD: dict[str, Any] = {
    "tty": True,
    "cap_add": ["SYS_ADMIN"],
    "cgroupns": "private",
    "tmpfs": {"/run": "", "/run/lock": ""},
}
UP = '[ "$(systemctl is-system-running)" = running ] || [ "$(systemctl is-system-running)" = degraded ]'


def rows(bench: Bench) -> Iterator[Row]:
    bench.say("the library")
    with bench.engine.container(bench.image) as container:
        bench.engine.wait(container, booted(), "the container has booted")
        yield _import(bench, container)
        words = ["/nowhere", "hermes_cli.service_manager", "s6", str(SERVICES), str(bench.samples)]
        told = bench.engine.run(container, with_arguments(source("statuses"), words), user=USER)
        yield _status("s6", told, "down")
    with bench.engine.container(build_systemd(bench.engine, bench.base), options=SYSTEMD) as container:
        bench.engine.wait(container, UP, "systemd has booted")
        bench.engine.put(
            container, {f"/opt/services/{path.name}": (text, 0o644) for path, text in _sources()}
        )
        words = ["/opt", "services", "systemd", str(SERVICES), str(bench.samples)]
        told = bench.engine.run(container, ["python3", "-I", "-c", source("statuses"), *words])
        yield _status("systemd", told, "up")


def _import(bench: Bench, container: Any) -> Row:
    asked = {"hermes": "import hermes_cli.service_manager", CLICK: CLICK}
    words = [str(bench.samples * 2), json.dumps(asked)]
    answer = json.loads(bench.engine.run(container, with_arguments(source("imports"), words), user=USER))
    return Row(
        "import of the library, over a bare interpreter",
        "s",
        Series.of("hermes", answer["hermes"]),
        Budget(0.030),
        (Series.of(CLICK, answer[CLICK]),),
        "all names; a backend is loaded when it is named",
    )


def _status(init: str, told: str, state: str) -> Row:
    return Row(
        f"status of {SERVICES} services on {init}",
        "s",
        Series.of("hermes", json.loads(told)),
        Budget(0.3),
        note=f"in one process; they are {state}",
    )


def _sources() -> Iterator[tuple[Path, str]]:
    for path in sorted(LIBRARY.iterdir()):
        if path.suffix in (".py", ".sh"):
            yield path, path.read_text("utf-8")
