"""The supervisor's own part of a recovery: a program that does next to nothing, killed, and running again."""

from __future__ import annotations

from collections.abc import Iterator

from docker.models.containers import Container

from bench.context import Bench
from bench.fleet import booted
from bench.model import Budget, Row, Series
from bench.peers import WORKER

SETTLED = 2
"""Seconds a worker runs before it is killed. Every supervisor here calls one stable after one second."""

# Arguments: the worker's file, how often. Prints nanoseconds from each kill to the new worker's first line.
KILL = f"""
file=$1 left=$2
until [ -s "$file" ]; do sleep 0.05; done
while [ "$left" -gt 0 ]; do
  left=$((left - 1))
  sleep {SETTLED}
  lines=$(wc -l <"$file")
  pid=$(tail -n 1 "$file" | cut -d ' ' -f 2)
  patience=400
  began=$(date +%s%N)
  kill -s KILL "$pid" || exit 1
  until [ "$(wc -l <"$file")" -gt "$lines" ]; do
    patience=$((patience - 1))
    [ "$patience" -gt 0 ] || {{ echo "not restarted within 20 s" >&2; exit 1; }}
    sleep 0.05
  done
  echo $(($(tail -n 1 "$file" | cut -d ' ' -f 1) - began))
done
"""

SLOT = {
    "/run/bench/worker": (WORKER, 0o755),
    "/run/service/.bench/run": ("#!/bin/sh\nexec /run/bench/worker /run/bench/0 yes\n", 0o755),
    "/run/service/.bench/notification-fd": ("3\n", 0o644),
}
PUBLISH = "mv /run/service/.bench /run/service/bench && s6-svscanctl -a /run/service"


def rows(bench: Bench) -> Iterator[Row]:
    bench.say("a killed program, running again")
    with bench.engine.container(bench.image) as container:
        bench.engine.wait(container, booted(), "the container has booted")
        bench.engine.put(container, SLOT)
        bench.engine.run(container, ["sh", "-c", PUBLISH])
        hermes = _kill(bench, container, "hermes")
    peers = []
    for name, image in (("supervisord", bench.supervisord), ("pm2", bench.pm2)):
        with bench.engine.container(image) as container:
            peers.append(_kill(bench, container, name))
    yield Row(
        "killed to running again, the supervisor's own part",
        "s",
        hermes,
        Budget(0.1),
        tuple(peers),
        "one and the same program, which runs two seconds before each kill",
    )


def _kill(bench: Bench, container: Container, name: str) -> Series:
    printed = bench.engine.run(container, ["sh", "-c", KILL, "kill", "/run/bench/0", str(bench.samples)])
    return Series.of(name, [int(line) / 1e9 for line in printed.split()])
