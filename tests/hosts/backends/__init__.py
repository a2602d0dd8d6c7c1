"""What the conformance suite needs of a backend: a manager, the test program as its service, and a reboot.

A module here has a function `make() -> Backend`, named in `BACKENDS` with what can be asked of it. A backend
lives as long as the test session; each test has services of its own in it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol, TypedDict

from hermes_cli.service_manager import RestartPolicy, ServiceManager, ServiceSpec

PROGRAM = Path(__file__).parents[1] / "program.py"
"""The service. A container gets it by a read-only bind mount."""


class Behaviour(TypedDict, total=False):
    """What the program does in one run; program.py says what each means."""

    ready: Literal["now", "never"] | float
    exit: int | Literal["crash"]
    exit_after: float
    ignore_term: bool
    fork: bool
    lines: Sequence[str]
    tick: float


@dataclass(frozen=True, slots=True)
class Start:
    """One start of the program, as it saw it itself. `pid` is the backend's: in its own pid namespace."""

    pid: int
    time: float
    argv: list[str]
    cwd: str
    env: dict[str, str]
    uid: int | None
    child: int | None


@dataclass(frozen=True, slots=True)
class Traits:
    """What differs between inits, so that a case asks for what the backend promises, and for no less."""

    any_program: bool = True
    """Carries any command, with arguments, directory, output, timeouts and policy; else gateways alone."""
    kills_children: bool = True
    """Knows `kill_children`."""
    boots_by_itself: bool = True
    """`start_at_boot` decides what runs after a reboot; else the operator's intent (`Backend.intend`)."""
    remembers_parking: bool = True
    """After a reboot it still says that a parked service is parked; else that it is down."""
    finds_edits: bool = True
    """Files that install writes may be changed by hand, and then are not overwritten without `force`."""
    log_is_exact: bool = True
    """`logs` has the program's lines alone; else the init's own words between them."""
    gaps: tuple[float, ...] = (0.0, 0.2, 0.4, 0.8)
    """The least seconds between the starts of a crash loop, under `POLICY`: first to second, and so on."""
    runs_before_parked: int = 5
    """How often what crashes at once is run until it is parked."""
    runs_more: int = 0
    """And how often more at most: s6 counts in whole seconds since the start that was asked for."""
    parked_within: float = 10.0
    """Seconds that takes, at most."""


POLICY = RestartPolicy(backoff=(0.2, 0.4, 0.8), max_unclean_starts=5, window=60.0)
"""Of every specification that `spec` makes where the backend carries any: a suite has no minutes to wait."""

START_TIMEOUT = 5.0
STOP_TIMEOUT = 2.0
"""Likewise. What ignores SIGTERM is killed after that."""


class Backend(Protocol):
    """A service manager on a real init, with the test program as every service in it."""

    name: str
    traits: Traits
    directory: Path
    """One directory for each service, which it and the tests may write, under the same path for both."""

    @property
    def manager(self) -> ServiceManager: ...

    def another(self) -> ServiceManager:
        """A second manager that does not wait for the first, as another command's would not."""

    def spec(self, name: str, *arguments: str, **fields: Any) -> ServiceSpec:
        """The test program as service `name`; `arguments` follow on its own, `fields` are ServiceSpec's."""

    def differences(self, spec: ServiceSpec) -> list[tuple[str, str]]:
        """(path, state) of every rendered file that is not on disk as it should be."""

    def alive(self, pid: int) -> bool:
        """Whether a process of the backend runs; a zombie does not."""

    def kill(self, pid: int, signal: str = "KILL") -> None:
        """Signal a process of the backend. One that is gone is fine."""

    def exists(self, path: Path) -> bool:
        """Whether a file of the backend is there."""

    def append(self, path: Path, text: str) -> None:
        """Change a file of the backend by hand."""

    def intend(self, name: str, *, running: bool) -> None:
        """Keep what the operator wants, as the gateway's commands do, where the init does not keep it."""

    def reboot(self) -> None:
        """End everything as a reboot does; return when the init is up again and has begun its services."""

    def close(self) -> None:
        """End everything for good."""


def place_of(name: str) -> str:
    """The name of a service's directory, and the program's first argument where the command is not ours."""
    return name.removeprefix("gateway-")


@dataclass
class Service:
    """One service of a test: what it is told, and what it did."""

    backend: Backend
    name: str
    strays: list[int] = field(default_factory=list)

    @property
    def directory(self) -> Path:
        return self.backend.directory / place_of(self.name)

    def behave(self, *behaviours: Behaviour) -> None:
        """What it does from the next start on: one behaviour a start, the last for all further ones."""
        self.directory.mkdir(exist_ok=True)
        self.directory.chmod(0o777)
        passed: list[Behaviour] = [{} for _ in self.starts()]
        path = self.directory / "behaviours.json"
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps(passed + list(behaviours)), "utf-8")
        temporary.replace(path)

    def spec(self, *arguments: str, **fields: Any) -> ServiceSpec:
        return self.backend.spec(self.name, *arguments, **fields)

    def starts(self) -> list[Start]:
        """Every start so far, oldest first."""
        facts = [dict(event) for event in self._events() if event.pop("event") == "start"]
        found = [Start(**event) for event in facts]
        self.strays = [start.child for start in found if start.child is not None]
        return found

    def times(self, event: Literal["start", "ready", "end"]) -> list[float]:
        """When the program noted `event`: seconds since the epoch."""
        return [float(one["time"]) for one in self._events() if one["event"] == event]

    def running(self) -> list[int]:
        """Pids of instances that are alive, however they came to be."""
        return [pid for pid in dict.fromkeys(start.pid for start in self.starts()) if self.backend.alive(pid)]

    def remove(self) -> None:
        """Leave nothing of it in the backend."""
        self.starts()
        for child in self.strays:
            self.backend.kill(child)
        self.backend.intend(self.name, running=False)
        self.backend.manager.uninstall(self.name)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _events(self) -> Iterator[dict[str, Any]]:
        try:
            text = (self.directory / "record.jsonl").read_text("utf-8")
        except FileNotFoundError:
            return
        for line in text.splitlines(keepends=True):
            if line.endswith("\n"):
                yield json.loads(line)


BACKENDS: dict[str, tuple[str, Traits]] = {
    "s6": (
        "s6",
        Traits(
            any_program=False,
            kills_children=False,
            boots_by_itself=False,
            remembers_parking=False,
            finds_edits=False,
            gaps=(),
            runs_before_parked=10,
            runs_more=1,
            parked_within=20.0,
        ),
    ),
}
BACKENDS["s6-image"] = ("s6_image", BACKENDS["s6"][1])
BACKENDS["systemd-user"] = BACKENDS["systemd-system"] = ("systemd", Traits())
BACKENDS["launchd"] = ("launchd", Traits())
BACKENDS["windows"] = BACKENDS["windows-startup"] = ("windows", Traits())
"""Name → module here, and what can be asked of it."""


def make(name: str) -> Backend:
    """The backend of that name; skips or fails the test where it cannot be had."""
    backend: Backend = import_module(f"{__name__}.{BACKENDS[name][0]}").make(name)
    return backend


def chosen() -> list[str]:
    """The backends to test: all, or those that $HERMES_TEST_HOSTS names, separated by commas."""
    asked = os.environ.get("HERMES_TEST_HOSTS", "")
    names = [name.strip() for name in asked.split(",") if name.strip()]
    unknown = [name for name in names if name not in BACKENDS]
    if unknown:
        raise ValueError(f"HERMES_TEST_HOSTS: there is no backend {unknown[0]!r} among {', '.join(BACKENDS)}")
    return names or list(BACKENDS)
