"""launchd: the real one on macOS, elsewhere the fake of launchctl over an init that runs the jobs."""

from __future__ import annotations

import os
import shutil
import signal as signals
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hermes_cli.service_manager import ServiceSpec
from hermes_cli.service_manager.installed import differences
from hermes_cli.service_manager.launchd import LaunchdServiceManager
from hermes_cli.service_manager.process_identity import start_of
from tests.fakes.init import FakeInit

from . import BACKENDS, POLICY, PROGRAM, START_TIMEOUT, STOP_TIMEOUT, place_of

UID = 501


class SupervisedBackend:
    """What launchd and Windows share: the test program under Hermes' supervisor, on this machine."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.traits = BACKENDS[name][1]
        self.base = Path(tempfile.mkdtemp(prefix=f"hermes-hosts-{name}-")).resolve()
        self.directory = self.base / "services"
        self.directory.mkdir()

    def spec(self, name: str, *arguments: str, **fields: Any) -> ServiceSpec:
        command = (sys.executable, str(PROGRAM), place_of(name), *arguments)
        spec = ServiceSpec(
            name, command, restart=POLICY, start_timeout=START_TIMEOUT, stop_timeout=STOP_TIMEOUT
        )
        spec = replace(spec, **fields)
        return replace(spec, environment={"HERMES_TEST_DIRECTORY": str(self.directory), **spec.environment})

    def alive(self, pid: int) -> bool:
        return start_of(pid) is not None

    def kill(self, pid: int, signal: str = "KILL") -> None:
        try:
            os.kill(pid, getattr(signals, f"SIG{signal}", signals.SIGTERM))
        except OSError:
            return

    def exists(self, path: Path) -> bool:
        return os.path.lexists(path)

    def append(self, path: Path, text: str) -> None:
        with path.open("a") as file:
            file.write(text)

    def intend(self, name: str, *, running: bool) -> None:
        """The library keeps it itself."""


class LaunchdBackend(SupervisedBackend):
    """Agents of one user."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._home = self.base / "home"
        self._home.mkdir()
        self._init = FakeInit(self.base / "init", "launchctl", uid=UID)
        self.manager = self.another()

    def another(self) -> LaunchdServiceManager:
        return LaunchdServiceManager(
            level="user",
            launchctl=os.fspath(self._init.program),
            root=self.base / "root",
            home=self._home,
            uid=UID,
        )

    def differences(self, spec: ServiceSpec) -> list[tuple[str, str]]:
        return [(str(one.path), one.state) for one in differences(self.manager.render(spec))]

    def reboot(self) -> None:
        self._init.power_off(self.manager.state_root.glob("*/state.json"))
        done = self._init.run("fake-login", f"gui/{UID}", os.fspath(self._home / "Library/LaunchAgents"))
        assert done.returncode == 0, done.stderr

    def close(self) -> None:
        self._init.close()
        shutil.rmtree(self.base)


class RealLaunchdBackend(SupervisedBackend):
    """Agents of whoever runs the tests, on macOS."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.manager = self.another()

    def another(self) -> LaunchdServiceManager:
        return LaunchdServiceManager(level="user")

    def differences(self, spec: ServiceSpec) -> list[tuple[str, str]]:
        return [(str(one.path), one.state) for one in differences(self.manager.render(spec))]

    def reboot(self) -> None:
        pytest.skip("a runner cannot be rebooted")

    def close(self) -> None:
        shutil.rmtree(self.base, ignore_errors=True)


def make(name: str) -> SupervisedBackend:
    if sys.platform == "darwin":
        return RealLaunchdBackend(name)
    if sys.platform != "linux":
        pytest.skip("launchd is macOS', and its fake runs on Linux")
    return LaunchdBackend(name)
