"""The Task Scheduler: the real one on Windows, elsewhere schtasks' fake over an init that runs the tasks."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from hermes_cli.service_manager import ServiceSpec
from hermes_cli.service_manager.installed import differences
from hermes_cli.service_manager.windows import WindowsServiceManager
from tests.fakes.init import FakeInit

from .launchd import SupervisedBackend


class WindowsBackend(SupervisedBackend):
    """Tasks of one user; `windows-startup` has none, because the Task Scheduler refuses them."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._init = FakeInit(self.base / "init", "schtasks")
        self._startup = self.base / "Startup"
        self._startup.mkdir()
        if name == "windows-startup":
            (self._init.directory / "denied").touch()
        (self._init.directory / "language").write_text("de")
        self.manager = self.another()

    def another(self) -> WindowsServiceManager:
        return WindowsServiceManager(
            schtasks=os.fspath(self._init.program),
            local_data=self.base / "Local",
            startup=self._startup,
            user="HOST\\jörg",
            code_page="cp850",
        )

    def differences(self, spec: ServiceSpec) -> list[tuple[str, str]]:
        return [(str(one.path), one.state) for one in differences(self.manager.render(spec))]

    def reboot(self) -> None:
        self._init.power_off(self.manager.state_root.glob("*/state.json"))
        # What the library began by itself is nobody's child, so the init's end does not reach it.
        self._end_strays()
        done = self._init.run("fake-logon", os.fspath(self._startup))
        assert done.returncode == 0, done.stderr

    def close(self) -> None:
        self._end_strays()
        self._init.close()
        shutil.rmtree(self.base)

    def _end_strays(self) -> None:
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                except OSError:
                    continue
                if os.fsencode(self.base) in words and b"init_daemon.py" not in words:
                    self.kill(int(entry.name))


class RealWindowsBackend(SupervisedBackend):
    """Tasks of whoever runs the tests, on Windows."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.manager = self.another()

    def another(self) -> WindowsServiceManager:
        return WindowsServiceManager()

    def differences(self, spec: ServiceSpec) -> list[tuple[str, str]]:
        return [(str(one.path), one.state) for one in differences(self.manager.render(spec))]

    def reboot(self) -> None:
        pytest.skip("a runner cannot be rebooted")

    def close(self) -> None:
        shutil.rmtree(self.base, ignore_errors=True)


def make(name: str) -> SupervisedBackend:
    if sys.platform == "win32" and name == "windows":
        return RealWindowsBackend(name)
    if sys.platform != "linux":
        pytest.skip("the Task Scheduler is Windows', and its fake runs on Linux")
    return WindowsBackend(name)
