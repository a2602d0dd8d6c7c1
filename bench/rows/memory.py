"""What an idle gateway, and the supervision of one, cost in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from docker.models.containers import Container

from bench.context import PYTHON, USER, Bench
from bench.fleet import NAMES, fleet
from bench.model import BenchError, Budget, Row, Series
from bench.peers import WORKERS
from bench.probes import source

LOOK = """
for process in /proc/[0-9]*; do
  read -r comm <"$process/comm" && rollup=$(cat "$process/smaps_rollup") || continue
  echo "= ${process#/proc/} $comm"
  echo "$rollup"
done 2>/dev/null
exit 0
"""

LISTENS = "/tmp/empty"
EMPTY = f'exec {PYTHON} -I -c "$1" >{LISTENS}'

PIDS = "for slot; do s6-svstat -o pid /run/service/$slot; done"


@dataclass(frozen=True, slots=True)
class Process:
    """One process' memory, in bytes (proc(5), smaps_rollup)."""

    pid: int
    name: str
    resident: float
    private: float
    share: float
    """Resident, each shared page divided by its sharers: these add up."""


def rows(bench: Bench) -> Iterator[Row]:
    bench.say("memory")
    engine = bench.engine
    with fleet(bench) as container:
        container.exec_run(["sh", "-c", EMPTY, "empty", source("empty_app")], detach=True, user=USER)
        engine.wait(container, f"test -s {LISTENS}", "the empty server listens")
        server = int(engine.run(container, ["cat", LISTENS]).split()[1])
        slots = [f"gateway-{name}" for name in NAMES]
        pids = {int(pid) for pid in engine.run(container, ["sh", "-c", PIDS, "pids", *slots]).split()}
        processes = _look(bench, container, "root", USER)
    gateways = [process for process in processes if process.pid in pids]
    empties = [process for process in processes if process.pid == server]
    if len(gateways) != len(NAMES) or len(empties) != 1:
        raise BenchError(f"{len(gateways)} gateways and {len(empties)} empty servers were found")
    for what, field, limit in (("resident", "resident", 30e6), ("private", "private", 20e6)):
        yield Row(
            f"an idle gateway, {what}",
            "B",
            Series.of("hermes", [getattr(process, field) for process in gateways]),
            Budget(limit),
            (Series.of("empty starlette/uvicorn", [getattr(process, field) for process in empties]),),
        )
    supervision = [process for process in processes if process.name.startswith("s6-")]
    yield Row(
        "supervision, each service",
        "B",
        Series.of("hermes", [sum(process.share for process in supervision) / len(NAMES)]),
        None,
        (
            _peer(bench, "supervisord", bench.supervisord),
            _peer(bench, "pm2", bench.pm2),
        ),
        f"all of a supervisor's processes, loggers too, over {WORKERS} services; shared pages divided",
    )


def _peer(bench: Bench, name: str, image: str) -> Series:
    with bench.engine.container(image) as container:
        started = partial(bench.engine.wait, container)
        started(f"test $(ls /run/bench | grep -c '^[0-9]$') -eq {WORKERS}", f"{image} started its workers")
        processes = _look(bench, container, "root")
    own = [process for process in processes if process.name not in ("sleep", "sh", "worker")]
    return Series.of(name, [sum(process.share for process in own) / WORKERS])


def _look(bench: Bench, container: Container, *users: str) -> list[Process]:
    found = {}
    # Each user's processes as that user: smaps are shown to a tracer, and Docker's root is none of others'.
    for user in users:
        printed = bench.engine.run(container, ["sh", "-c", LOOK], user=user)
        for block in printed.split("= ")[1:]:
            head, _, text = block.partition("\n")
            pid, _, name = head.partition(" ")
            size = {key: int(kib) * 1024.0 for key, kib in re.findall(r"^(\w+):\s+(\d+) kB", text, re.M)}
            private = size["Private_Clean"] + size["Private_Dirty"]
            found[int(pid)] = Process(int(pid), name, size["Rss"], private, size["Pss"])
    return list(found.values())
