#!/usr/bin/env python3
"""Prove that s6-rc source directories would compile and run, without the programs that would refuse them.

The rules are those of https://skarnet.org/software/s6-rc/s6-rc-compile.html and of s6's servicedir page;
the names in PROVIDED are s6-overlay's own sources, which are compiled together with ours.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

PROVIDED = {"base", "top", "user2", "fix-attrs", "legacy-cont-init", "legacy-services", "services-up"}
COMMON = {"type", "dependencies.d", "flag-essential", "flag-recommended"}
FILES = {
    "bundle": {"type", "contents.d", "flag-essential", "flag-recommended"},
    "oneshot": COMMON | {"up", "down", "timeout-up", "timeout-down"},
    "longrun": COMMON
    | {"run", "finish", "notification-fd", "timeout-up", "timeout-down", "timeout-kill", "timeout-finish"}
    | {
        "lock-fd",
        "down-signal",
        "max-death-tally",
        "nosetsid",
        "producer-for",
        "consumer-for",
        "pipeline-name",
    }
    | {"data", "env"},
}
"""What each type's directory may hold. Any other name is a slip, which s6-rc-compile does not see."""
NUMBERS = {"timeout-up", "timeout-down", "timeout-kill", "timeout-finish", "max-death-tally"}
INTERPRETERS = {"/bin/sh", "/bin/sh -e", "/command/execlineb -P", "/command/with-contenv sh"}


def listed(directory: Path) -> set[str]:
    return {entry.name for entry in directory.iterdir()} if directory.is_dir() else set()


def service_type(service: Path) -> str | None:
    try:
        text = (service / "type").read_text()
    except OSError:
        return None
    return text.rstrip("\n") if text.rstrip("\n") in FILES else None


def script_problems(script: Path) -> Iterator[str]:
    """A program that s6-supervise or cont-init executes directly."""
    first, _, body = script.read_text().partition("\n")
    if not os.access(script, os.X_OK):
        yield f"{script} is not executable"
    if first.removeprefix("#!").strip() not in INTERPRETERS or not first.startswith("#!"):
        yield f"{script} starts with {first!r}, not with one of {', '.join(sorted(INTERPRETERS))}"
    if not body.strip():
        yield f"{script} does nothing"


def oneshot_problems(script: Path) -> Iterator[str]:
    """`up` and `down` are execline command lines that s6-rc parses itself, not scripts."""
    text = script.read_text()
    if text.startswith("#!"):
        yield f"{script} has a shebang, which s6-rc takes for a comment: name a script instead"
    if not text.split("#")[0].strip():
        yield f"{script} has no command line"
    if any(mark in text for mark in (";", "|", "&&", "$(")):
        yield f"{script} looks like shell; it is an execline command line"


def service_problems(service: Path, known: set[str]) -> Iterator[str]:
    kind = service_type(service)
    if kind is None:
        yield f"{service}/type is not bundle, oneshot or longrun"
        return
    if service.name.startswith("s6rc-") or "\n" in service.name or len(service.name) > 251:
        yield f"{service.name!r} is a name that s6-rc keeps or cannot hold"
    for name in sorted(listed(service) - FILES[kind]):
        yield f"{service}/{name} has no meaning in a {kind}"
    for group in ("contents.d", "dependencies.d"):
        for name in sorted(listed(service / group) - known):
            yield f"{service}/{group}/{name}: there is no such service"
    if kind == "bundle" and not listed(service / "contents.d"):
        yield f"{service} is an empty bundle"
    if kind == "oneshot":
        if not (service / "up").is_file():
            yield f"{service} is a oneshot without up"
        for name in sorted({"up", "down"} & listed(service)):
            yield from oneshot_problems(service / name)
    if kind == "longrun":
        if not (service / "run").is_file():
            yield f"{service} is a longrun without run"
        for name in sorted({"run", "finish"} & listed(service)):
            yield from script_problems(service / name)
    for name in sorted(NUMBERS & listed(service)):
        if not (service / name).read_text().strip().isdigit():
            yield f"{service}/{name} is not a number of milliseconds or deaths"
    if "notification-fd" in listed(service):
        text = (service / "notification-fd").read_text().strip()
        if not text.isdigit() or int(text) < 3:
            yield f"{service}/notification-fd is {text!r}; it has to be 3 or more"


def pipeline_problems(root: Path, services: list[str]) -> Iterator[str]:
    for service in services:
        for one, other in (("producer-for", "consumer-for"), ("consumer-for", "producer-for")):
            path = root / service / one
            for peer in path.read_text().split() if path.is_file() else []:
                back = root / peer / other
                if not back.is_file() or service not in back.read_text().split():
                    yield f"{path} names {peer}, whose {other} does not name {service}"


def problems(root: Path) -> Iterator[str]:
    """Everything wrong with the source directory `root`, one sentence each."""
    services = sorted(name for name in listed(root) if not name.startswith("."))
    known = set(services) | PROVIDED
    for service in services:
        yield from service_problems(root / service, known)
    yield from pipeline_problems(root, services)
    graph = {
        name: {other for group in ("contents.d", "dependencies.d") for other in listed(root / name / group)}
        for name in services
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield f"{root} depends on itself: {' → '.join(error.args[1])}"
        return
    if "user" not in graph:
        yield f"{root} has no bundle 'user', the one that s6-overlay brings up"
        return
    reached, ahead = set[str](), ["user"]
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead += graph.get(name, ())
    for name in sorted(set(services) - reached):
        yield f"{root / name} is in no bundle that is brought up"


def main(arguments: list[str]) -> int:
    rc = Path(arguments[0] if arguments else "s6-rc.d")
    cont_init = Path(arguments[1] if len(arguments) > 1 else "cont-init.d")
    found = list(problems(rc))
    for script in sorted(cont_init.iterdir()):
        found += script_problems(script)
        if not script.name[:2].isdigit():
            found.append(f"{script} has no number to be sorted by")
    for sentence in found:
        print(sentence)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
