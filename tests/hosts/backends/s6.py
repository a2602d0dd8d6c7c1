"""Real s6 without Docker: a scandir of the test's own, slots by slotctl, boots planned by container_boot."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from hermes_cli.service_manager import S6ServiceManager, ServiceManager, ServiceSpec
from hermes_cli.service_manager.installed import differences
from hermes_cli.service_manager.names import profile_of

from . import BACKENDS, PROGRAM, START_TIMEOUT, STOP_TIMEOUT

REPOSITORY = Path(__file__).resolve().parents[3]
DOCKER = REPOSITORY / "docker"

# The image's slot, but for what says where things are; and what ignores SIGTERM is not waited for so long.
RUN = """#!/bin/sh
exec 2>&1
[ ! -e log/down ] || s6-svc -U log # as docker/slot/run
service=${{PWD##*/}}
cd {base}/home || exit 1
set -- {python} {program} "${{service#gateway-}}"
set -- env HERMES_SUPERVISOR=s6 HERMES_NOTIFY_FD=3 HERMES_TEST_DIRECTORY={base}/services "$@"
[ ! -d "{base}/env/$service" ] || set -- s6-envdir -nL -- "{base}/env/$service" "$@"
exec "$@"
"""
FINISH = """#!/bin/sh
HERMES_HOME={base}/home
export HERMES_HOME
exec {docker}/gateway-exit "${{PWD##*/gateway-}}" "$1" "$2" 2>/dev/null
"""
LOG = """#!/bin/sh
directory=${{PWD%/log}}
exec s6-log -b n3 s100000 "{base}/logs/${{directory##*/gateway-}}"
"""
SLOTCTL = """#!/bin/sh
HERMES_SLOT_TEMPLATE={base}/slot HERMES_ALIAS_DIR='' HERMES_HOME={base}/home
export HERMES_SLOT_TEMPLATE HERMES_ALIAS_DIR HERMES_HOME
exec {docker}/slotctl "$@"
"""


class S6Backend:
    """An s6-svscan and everything it needs, below a temporary directory."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.traits = BACKENDS[name][1]
        # Not pytest's directory: another user must get through, and a socket's path has 107 bytes at most.
        self._base = Path(tempfile.mkdtemp(prefix="hermes-hosts-s6-"))
        self._base.chmod(0o755)
        for directory in (
            "scandir",
            "services",
            "logs",
            "env",
            "locks",
            "home/profiles",
            "home/logs",
            "slot/log",
        ):
            (self._base / directory).mkdir(parents=True)
        self.directory = self._base / "services"
        self._write_template()
        self.manager: ServiceManager = self._manager()
        self._svscan = self._boot()

    def another(self) -> ServiceManager:
        return self._manager()

    def spec(self, name: str, *arguments: str, **fields: Any) -> ServiceSpec:
        assert not arguments, "a slot runs one command"
        command = ("/opt/hermes/venv/bin/hermes", "-p", profile_of(name), "gateway", "run")
        return ServiceSpec(name, command, **fields)

    def differences(self, spec: ServiceSpec) -> list[tuple[str, str]]:
        return [(str(one.path), one.state) for one in differences(self.manager.render(spec))]

    def alive(self, pid: int) -> bool:
        try:
            state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
        except (OSError, IndexError):
            return False
        return state not in (b"Z", b"X")

    def kill(self, pid: int, signal: str = "KILL") -> None:
        subprocess.run(["kill", "-s", signal, "--", str(pid)], stderr=subprocess.DEVNULL, check=False)

    def exists(self, path: Path) -> bool:
        return os.path.lexists(path)

    def append(self, path: Path, text: str) -> None:
        with path.open("a") as file:
            file.write(text)

    def intend(self, name: str, *, running: bool) -> None:
        """As gateway.lifecycle does: the intent is written, and a start removes the parking slip."""
        home = self._base / "home/profiles" / profile_of(name)
        home.mkdir(exist_ok=True)
        (home / "config.yaml").write_text("gateway:\n  port: 20000\n")
        if running:
            (home / "parked.json").unlink(missing_ok=True)
        intent = {"version": 1, "intent": "running" if running else "stopped", "requested_at": time.time()}
        (home / "gateway_intent.json").write_text(json.dumps(intent))

    def reboot(self) -> None:
        self._halt()
        shutil.rmtree(self._base / "scandir")
        (self._base / "scandir").mkdir()
        self._svscan = self._boot()
        environment = os.environ | {"HERMES_HOME": str(self._base / "home")}
        plan = [sys.executable, "-P", "-m", "hermes_cli.container_boot"]
        asked = subprocess.run(plan, env=environment, capture_output=True, text=True, check=True, timeout=30)
        for line in asked.stdout.splitlines():
            profile, order = line.split()
            words = ["register", profile] + (["down"] if order == "down" else [])
            slotctl = [str(self._base / "slotctl"), *words]
            subprocess.run(
                slotctl, env=os.environ | {"HERMES_SCANDIR": str(self._base / "scandir")}, check=True
            )

    def close(self) -> None:
        self._halt()
        shutil.rmtree(self._base)

    def _manager(self) -> S6ServiceManager:
        return S6ServiceManager(
            self._base / "scandir",
            slotctl=self._base / "slotctl",
            registrar=self._base / "registrar",
            env_dir=self._base / "env",
            lock_dir=self._base / "locks",
            log_root=self._base / "logs",
            start_timeout=START_TIMEOUT,
            stop_timeout=STOP_TIMEOUT + 5,
        )

    def _write_template(self) -> None:
        places = {"base": self._base, "python": sys.executable, "program": PROGRAM, "docker": DOCKER}
        slot = self._base / "slot"
        for path, text in (
            (slot / "run", RUN),
            (slot / "finish", FINISH),
            (slot / "log/run", LOG),
            (self._base / "slotctl", SLOTCTL),
        ):
            path.write_text(text.format_map(places))
            path.chmod(0o755)
        for name in ("type", "notification-fd"):
            shutil.copy(DOCKER / "slot" / name, slot / name)
        (slot / "timeout-kill").write_text(f"{STOP_TIMEOUT * 1000:.0f}\n")

    def _boot(self) -> subprocess.Popen[bytes]:
        null = subprocess.DEVNULL
        scandir = self._base / "scandir"
        svscan = subprocess.Popen(["s6-svscan", scandir], stdin=null, stdout=null, stderr=null)
        deadline = time.monotonic() + 10
        while not (scandir / ".s6-svscan/control").exists():
            assert time.monotonic() < deadline, "s6-svscan has no control FIFO after 10 s"
            time.sleep(0.01)
        return svscan

    def _halt(self) -> None:
        self._svscan.send_signal(signal.SIGTERM)
        self._svscan.wait(30)


def make(name: str) -> S6Backend:
    if shutil.which("s6-svscan") is None:
        pytest.skip("s6 is not installed (Debian: apt-get install s6 execline)")
    return S6Backend(name)
