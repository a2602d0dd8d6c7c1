"""How quickly one look at fifty profiles is had: what `hermes status` costs a person, a script, a probe."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from docker.models.containers import Container

from bench.context import PYTHON, USER, Bench
from bench.fleet import CREATE, booted
from bench.model import Budget, Row, Series
from bench.probes import source

SIZE = 50
_NAMES = tuple(f"many{number:02}" for number in range(SIZE))
_UP = 'test "$(hermes status --json | grep -c \'"actual": "ready"\')" -ge ' + str(SIZE)

_SUPERVISORD = (
    "sed -i s/numprocs=10/numprocs=" + str(SIZE) + "/ /etc/supervisor/workers.conf && "
    "printf '[unix_http_server]\\nfile=/run/bench/s\\n[supervisorctl]\\nserverurl=unix:///run/bench/s\\n"
    "[rpcinterface:supervisor]\\n"
    "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\\n' "
    ">>/etc/supervisor/workers.conf && exec supervisord --nodaemon -c /etc/supervisor/workers.conf"
)
_SUPERVISORCTL = ["supervisorctl", "-c", "/etc/supervisor/workers.conf", "status"]
_WORKERS_UP = f'test "$({" ".join(_SUPERVISORCTL)} | grep -c RUNNING)" = {SIZE}'


def rows(bench: Bench) -> Iterator[Row]:
    bench.say("status")
    asked = {
        "hermes status": ["hermes", "status"],
        "hermes status --json": ["hermes", "status", "--json"],
        "hermes gateway list": ["hermes", "gateway", "list"],
        "hermes status --healthy": ["hermes", "status", "--healthy"],
    }
    with _fifty(bench) as container:
        found = _time(bench, container, PYTHON, asked)
    peer = {"supervisorctl status, of fifty programs": _SUPERVISORCTL}
    with bench.engine.container(bench.supervisord, ["sh", "-c", _SUPERVISORD]) as container:
        bench.engine.wait(container, _WORKERS_UP, "fifty workers run")
        peers = tuple(_time(bench, container, "python3", peer).values())
    for name, series in found.items():
        yield Row(name, "s", series, Budget(0.3), peers, "with fifty profiles up, whole command")


@contextmanager
def _fifty(bench: Bench) -> Iterator[Container]:
    """A container with fifty profiles, their gateways up."""
    with bench.engine.container(bench.image) as container:
        bench.engine.wait(container, booted(), "the container has booted")
        bench.engine.run(container, [PYTHON, "-c", CREATE, "register", *_NAMES], user=USER)
        bench.engine.run(container, ["hermes", "gateway", "start", "--all"], user=USER)
        bench.engine.wait(container, _UP, "fifty gateways are ready", seconds=120.0)
        yield container


def _time(bench: Bench, container: Container, python: str, asked: dict[str, list[str]]) -> dict[str, Series]:
    """Each command's whole time, in turns, measured inside the container by its `python`."""
    arguments = [str(bench.samples * 2), json.dumps(asked)]
    answer = bench.engine.run(container, [python, "-I", "-c", source("commands"), *arguments])
    return {name: Series.of(name, samples) for name, samples in json.loads(answer).items()}
