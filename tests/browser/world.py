"""What the browser looks at: homes, gateways that run, and dashboards that come back, all real processes."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hermes_cli.home import Home
from hermes_cli.processes.profile import registry_of
from tests.integration.dashboard.browser import command, environment, free_port
from tests.integration.gateway.harness import Gateway, Yard

DEADLINE = 60.0
"""Seconds for anything to happen on a busy machine."""


class Dashboard:
    """A `hermes dashboard` that can be killed and started again at the same address."""

    def __init__(self, root: Path, *arguments: str, **variables: str) -> None:
        self.root = root
        self.port = free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self._arguments = arguments
        self._variables = variables
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it has announced that it is ready."""
        reading, writing = os.pipe()
        try:
            with (self.root.parent / f"{self.root.name}-dashboard.log").open("ab") as log:
                self._process = subprocess.Popen(
                    command("--port", str(self.port), *self._arguments),
                    env=environment(self.root, HERMES_NOTIFY_FD=str(writing), **self._variables),
                    pass_fds=(writing,),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            os.close(writing)
            assert select.select([reading], [], [], DEADLINE)[0], "it did not say that it is ready"
            assert os.read(reading, 10) == b"\n", Path(log.name).read_text()
        finally:
            os.close(reading)

    def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send the signal and wait for its end."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(DEADLINE)
            self._process = None


@contextmanager
def serving(root: Path, *arguments: str, **variables: str) -> Iterator[Dashboard]:
    """A dashboard over the home `root` that is ready."""
    dashboard = Dashboard(root, *arguments, **variables)
    try:
        dashboard.start()
        yield dashboard
    finally:
        dashboard.end()


def make_profile(root: Path, name: str, port: int = 8700) -> Home:
    """A home that nobody has started."""
    home = Home.of(name, root)
    home.path.mkdir(parents=True, exist_ok=True)
    home.config.write_text(f"gateway:\n  port: {port}\n")
    return home


def write_log(root: Path, profile: str, *lines: str) -> None:
    """Append to what the gateway of `profile` has said, as s6-log would."""
    directory = Home.of(profile, root).gateway_log
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "current").open("a", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in lines))


@dataclass
class Installation:
    """A home with gateways that run, and a dashboard over it."""

    yard: Yard
    dashboard: Dashboard

    @property
    def root(self) -> Path:
        return self.yard.root

    @property
    def origin(self) -> str:
        return self.dashboard.origin

    def gateway(self, profile: str) -> Gateway:
        """The latest start of the gateway of a profile."""
        return next(one for one in reversed(self.yard.started) if one.home.profile == profile)


@contextmanager
def installed(place: Path, *profiles: str) -> Iterator[Installation]:
    """`profiles` whose gateways are ready, below `place`."""
    root = place / "home"
    root.mkdir()
    yard = Yard(root, place)
    try:
        for gateway in [yard.start(yard.profile(profile)) for profile in profiles]:
            gateway.ready(DEADLINE)
        with serving(root) as dashboard:
            yield Installation(yard, dashboard)
    finally:
        yard.end()
        for profile in profiles:
            registry_of(Home.of(profile, root)).kill_all(grace=0)
