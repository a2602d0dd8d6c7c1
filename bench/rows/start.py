"""From `docker start` to the command's first instruction, and a whole `docker run IMAGE true`."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence

from bench.context import Bench
from bench.model import BenchError, Budget, Row

NOW = ["date", "+%s%N"]


def rows(bench: Bench) -> Iterator[Row]:
    bench.say("start to the command")
    found = {
        series.name: series
        for series in bench.interleave(
            {
                "hermes": lambda: _to_command(bench, bench.image),
                "no init": lambda: _to_command(bench, bench.image, entrypoint=NOW),
                "supervisord": lambda: _to_worker(bench, bench.supervisord),
                "supervisord's without": lambda: _to_command(bench, bench.supervisord, entrypoint=NOW),
                "pm2": lambda: _to_worker(bench, bench.pm2),
                "pm2's without": lambda: _to_command(bench, bench.pm2, entrypoint=NOW),
            }
        )
    }
    without = found["no init"]
    yield Row(
        "start to the command, over the same image with no init",
        "s",
        found["hermes"].minus(without),
        Budget(0.15),
        tuple(found[peer].minus(found[f"{peer}'s without"]) for peer in ("supervisord", "pm2")),
        f"with no init at all: {without.median:.2f} s; peers over their own images, to their first worker",
    )
    bench.say("docker run IMAGE true")
    hermes, plain = bench.interleave(
        {
            "hermes": lambda: _whole(bench, bench.image, ["true"]),
            "no init": lambda: _whole(bench, bench.image, [], entrypoint="true"),
        }
    )
    # Debian's s6 has no stage of its own to wait for; s6-overlay's floor is 1.4 s (docs/performance.md).
    flavour = bench.engine.image(bench.image)["Config"]["Labels"].get("ai.hermes.s6-flavour")
    budget = Budget(0.6) if flavour == "debian" else Budget(1.6)
    yield Row("docker run IMAGE true, whole", "s", hermes, budget, (plain,))


def _to_command(bench: Bench, image: str, entrypoint: Sequence[str] | None = None) -> float:
    """Seconds until a command that prints the time has begun to run."""
    command = None if entrypoint else NOW
    with bench.engine.container(image, command, entrypoint=entrypoint, start=False) as container:
        began = time.time_ns()
        container.start()
        code = container.wait(timeout=60)["StatusCode"]
        printed = container.logs(stdout=True, stderr=False).decode().split()
        if code != 0 or not printed:
            said = container.logs().decode(errors="replace").strip()
            raise BenchError(f"{image} did not run 'date' ({code}): {said[-400:]}")
        return (int(printed[-1]) - began) / 1e9


def _to_worker(bench: Bench, image: str) -> float:
    """Seconds until the first of a supervisor's workers has begun to run."""
    with bench.engine.container(image, start=False) as container:
        began = time.time_ns()
        container.start()
        bench.engine.wait(container, "test -s /run/bench/0", f"{image} started its first worker")
        return (int(bench.engine.run(container, ["cat", "/run/bench/0"]).split()[0]) - began) / 1e9


def _whole(bench: Bench, image: str, command: Sequence[str], entrypoint: str | None = None) -> float:
    """Seconds that `docker run` takes, by the command a user types. Its container is removed afterwards."""
    labels = [f"--label={key}={value}" for key, value in bench.engine.labels.items()]
    argv = ["docker", "run", *labels]
    if entrypoint:
        argv.append(f"--entrypoint={entrypoint}")
    began = time.perf_counter()
    result = subprocess.run([*argv, image, *command], capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    if result.returncode:
        raise BenchError(f"docker run {image} true failed: {result.stderr.strip()[-400:]}")
    bench.engine.clean_containers()
    return took
