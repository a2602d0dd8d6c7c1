"""What each profile on the volume adds to a boot."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

from bench.context import PYTHON, USER, Bench
from bench.fleet import CREATE
from bench.model import BenchError, Budget, Row, Series

FEW, SOME, MANY = 10, 60, 110


def rows(bench: Bench) -> Iterator[Row]:
    bench.say(f"boots with {FEW}, {SOME} and {MANY} profiles")
    with ExitStack() as stack:
        volumes = {}
        for count in (FEW, SOME, MANY):
            volumes[count] = stack.enter_context(bench.engine.volume())
            _fill(bench, volumes[count], count)
        few, some, many = bench.interleave(
            {
                "few": lambda: _boot(bench, volumes[FEW]),
                "some": lambda: _boot(bench, volumes[SOME]),
                "many": lambda: _boot(bench, volumes[MANY]),
            },
            max(3, bench.samples // 2),
        )
    each = Series.of("hermes", [sample / (MANY - FEW) for sample in many.minus(few).samples])
    lower = (some.median - few.median) / (SOME - FEW)
    upper = (many.median - some.median) / (MANY - SOME)
    yield Row(
        "reconcile, each profile",
        "s",
        each,
        Budget(0.005),
        note=f"linear: {lower * 1000:.1f} ms each from {FEW} to {SOME} profiles, "
        f"{upper * 1000:.1f} ms each from {SOME} to {MANY}",
    )


def _fill(bench: Bench, volume: str, count: int) -> None:
    with bench.engine.container(bench.image, ["sleep", "infinity"], volume=volume) as container:
        bench.engine.wait(container, "s6-svok /run/service/gateway-default", "the container has booted")
        names = [f"p{number:03}" for number in range(count)]
        bench.engine.run(container, [PYTHON, "-c", CREATE, "leave", *names], user=USER)


def _boot(bench: Bench, volume: str) -> float:
    """Seconds from the start to the command, which runs when every slot has been made."""
    with bench.engine.container(bench.image, ["date", "+%s%N"], volume=volume, start=False) as container:
        began = time.time_ns()
        container.start()
        if container.wait(timeout=120)["StatusCode"] != 0:
            raise BenchError(f"a boot failed: {container.logs().decode(errors='replace')[-400:]}")
        return (int(container.logs(stdout=True, stderr=False).split()[-1]) - began) / 1e9
