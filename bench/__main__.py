"""The command: build the peers, measure every row, print one table, remove everything."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
from types import FrameType

from . import peers, report
from .context import Bench
from .engine import Engine
from .model import BenchError, Row
from .rows import LEFT_OUT, SUBJECTS


def main() -> int:
    arguments = _parse()
    signal.signal(signal.SIGTERM, _interrupt)  # so that a CI job's end removes the containers too
    try:
        engine = Engine()
    except BenchError as error:
        return _fail(error)
    try:
        rows, facts = _measure(engine, arguments)
    except BenchError as error:
        return _fail(error)
    except KeyboardInterrupt:
        print("bench: interrupted; removing what it made", file=sys.stderr)
        return 130
    finally:
        engine.clean()
    if arguments.json:
        print(report.as_json(rows, facts))
    else:
        print((report.markdown if arguments.markdown else report.text)(rows, facts, LEFT_OUT))
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print everything, samples too, as JSON")
    form.add_argument("--markdown", action="store_true", help="print the table of docs/performance.md")
    parser.add_argument("--quick", action="store_true", help="3 samples a row instead of 10: a first look")
    parser.add_argument(
        "--only", action="append", choices=SUBJECTS, metavar="SUBJECT", help=f"of {', '.join(SUBJECTS)}"
    )
    parsed = parser.parse_args()
    parsed.image = os.environ.get("HERMES_IMAGE", "hermes:dev")
    return parsed


def _measure(engine: Engine, arguments: argparse.Namespace) -> tuple[list[Row], dict[str, str]]:
    facts = _facts(engine, arguments.image)
    print("bench: building the images of the peers", file=sys.stderr, flush=True)
    base = peers.base()
    bench = Bench(
        engine=engine,
        image=engine.image(arguments.image)["Id"],  # the name may move to another image meanwhile
        supervisord=peers.build(engine, "supervisord", base),
        pm2=peers.build(engine, "pm2", base),
        base=base,
        jobs=peers.build(engine, "jobs", arguments.image),
        samples=3 if arguments.quick else 10,
    )
    rows = [row for name in arguments.only or SUBJECTS for row in SUBJECTS[name](bench)]
    facts["load before and after"] += f" and {os.getloadavg()[0]:.1f}"
    return rows, facts


def _facts(engine: Engine, image: str) -> dict[str, str]:
    """Where and what was measured."""
    attributes = engine.image(image)
    flavour = attributes["Config"]["Labels"].get("ai.hermes.s6-flavour", "unknown")
    return {
        "image": f"{image} {attributes['Id'].removeprefix('sha256:')[:12]}, s6 from {flavour}",
        "machine": f"{os.cpu_count()} CPUs, {platform.machine()}, Linux {platform.release().split('-')[0]}",
        "engine": f"Docker {engine.version}",
        "load before and after": f"{os.getloadavg()[0]:.1f}",
    }


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _fail(error: BenchError) -> int:
    print(f"bench: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
