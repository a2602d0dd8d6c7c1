"""Starting, rebooting and ending the init behind the fakes of launchctl and schtasks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from tests.fakes.init_daemon import ask

FAKES = Path(__file__).parent


class FakeInit:
    """The init of one directory, whose path must be short: there is a socket in it."""

    def __init__(self, directory: Path, program: str, *, scale: float = 0.1, uid: int = 501) -> None:
        """`program` is `launchctl` or `schtasks`; `scale` multiplies the times of the jobs."""
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.program = directory / program
        # -S: a fake is started often, and a virtual environment's site costs the most of it.
        self.program.write_text(
            f"#!/bin/sh\nexport FAKE_INIT='{directory}' FAKE_UID={uid}\n"
            f"exec '{sys.executable}' -I -S '{FAKES / program}' \"$@\"\n"
        )
        self.program.chmod(0o755)
        self._daemon = subprocess.Popen(
            [sys.executable, "-S", FAKES / "init_daemon.py", directory],
            env=os.environ | {"FAKE_INIT_SCALE": str(scale)},
            stdin=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while not (directory / "socket").exists():
            assert self._daemon.poll() is None, "the fake init ended"
            assert time.monotonic() < deadline, "the fake init has no socket after 10 s"
            time.sleep(0.005)

    @property
    def pid(self) -> int:
        return self._daemon.pid

    def run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([self.program, *arguments], capture_output=True, check=False, timeout=30)

    def find(self, key: str) -> dict[str, object]:
        """What the init knows of a job: `domain/label`, or a task's name in lower case."""
        return ask(self.directory, verb="find", key=key)

    def power_off(self, states: Iterable[Path] = ()) -> None:
        """End every process; `states`, supervisors' state files, are of an earlier boot from now on."""
        ask(self.directory, verb="power_off")
        for path in states:
            found = json.loads(path.read_text())
            found["boot"] = "an earlier boot"
            for key in ("supervisor", "child"):
                if found[key]:
                    found[key][2] = "an earlier boot"
            path.write_text(json.dumps(found))

    def close(self) -> None:
        if self._daemon.poll() is None:
            try:
                ask(self.directory, verb="quit")
            except (OSError, ValueError):
                self._daemon.kill()
        self._daemon.wait(20)
