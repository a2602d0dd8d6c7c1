"""`docker stop` of a container with ten gateways, or with ten programs under another supervisor."""

from __future__ import annotations

import time
from collections.abc import Iterator

from docker.models.containers import Container

from bench.context import Bench
from bench.fleet import ALL_READY, NAMES, fleet
from bench.model import Budget, Row
from bench.peers import WORKERS

GRACE = 60
"""Seconds until Docker would kill: far beyond any answer, so that every end is the supervisor's own."""


def rows(bench: Bench) -> Iterator[Row]:
    bench.say(f"docker stop with {len(NAMES)} gateways")
    with fleet(bench) as container:
        series = bench.interleave(
            {
                "hermes": lambda: _stop_fleet(bench, container),
                "supervisord": lambda: _stop_peer(bench, bench.supervisord),
                "pm2": lambda: _stop_peer(bench, bench.pm2),
            },
            max(3, bench.samples // 2),
        )
    note = f"peers keep {WORKERS} sleeping programs, which have nothing to drain"
    yield Row("docker stop, ten gateways", "s", series[0], Budget(1.0), tuple(series[1:]), note)


def _stop_fleet(bench: Bench, container: Container) -> float:
    bench.engine.wait(container, ALL_READY, "ten gateways are ready again")
    took = _stop(container)
    container.start()
    return took


def _stop_peer(bench: Bench, image: str) -> float:
    with bench.engine.container(image) as container:
        started = f"test $(ls /run/bench | grep -c '^[0-9]$') -eq {WORKERS}"
        bench.engine.wait(container, started, f"{image} started its workers")
        return _stop(container)


def _stop(container: Container) -> float:
    began = time.perf_counter()
    container.stop(timeout=GRACE)
    return time.perf_counter() - began
