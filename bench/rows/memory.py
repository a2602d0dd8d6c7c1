"""What an idle gateway, and the supervision of one, cost in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from docker.models.containers import Container

from bench.context import PYTHON, USER, Bench
from bench.fleet import ALL_READY, NAMES, fleet
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

RUN = 'for name; do hermes -p "$name" chat -q true 2>/dev/null || exit; done'
FORGOTTEN = "! ls -d /opt/data/profiles/*/processes/proc_* 2>/dev/null"
RESTART = 'for name; do hermes -p "$name" gateway restart >/dev/null || exit; done'
_FORGETTING = 150.0
"""Seconds: a gateway cleans once a minute."""


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
        processes = _look(bench, container, "root", USER)
        idle = _gateways(bench, container, processes)
        engine.run(container, ["sh", "-c", RUN, "run", *NAMES], user=USER)
        after = _gateways(bench, container, _look(bench, container, USER))
        engine.wait(container, FORGOTTEN, "the runs' processes are forgotten", seconds=_FORGETTING)
        engine.run(container, ["sh", "-c", RESTART, "restart", *NAMES], user=USER)
        engine.wait(container, ALL_READY, "ten gateways are ready again")
        restarted = _gateways(bench, container, _look(bench, container, USER))
    empties = [process for process in processes if process.pid == server]
    if len(empties) != 1:
        raise BenchError(f"{len(empties)} empty servers were found")
    for what, field, limit in (("resident", "resident", 30e6), ("private", "private", 20e6)):
        empty = Series.of("empty starlette/uvicorn", [getattr(process, field) for process in empties])
        for which, gateways, budget, note in (
            ("an idle gateway", idle, Budget(limit), ""),
            ("an idle gateway that has had runs", restarted, Budget(limit), "started again since"),
            ("a gateway just after a run", after, None, "it keeps what a run brought until it starts again"),
        ):
            samples = [getattr(process, field) for process in gateways]
            yield Row(f"{which}, {what}", "B", Series.of("hermes", samples), budget, (empty,), note)
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


def _gateways(bench: Bench, container: Container, processes: list[Process]) -> list[Process]:
    """Those of `processes` that are the ten gateways."""
    slots = [f"gateway-{name}" for name in NAMES]
    printed = bench.engine.run(container, ["sh", "-c", PIDS, "pids", *slots], user="root")
    pids = {int(pid) for pid in printed.split()}
    found = [process for process in processes if process.pid in pids]
    if len(found) != len(NAMES):
        raise BenchError(f"{len(found)} gateways were found, not {len(NAMES)}")
    return found


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
