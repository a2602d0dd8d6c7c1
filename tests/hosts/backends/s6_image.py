"""s6 in the image: its own init, boot, registrar and slots. Only the gateway's program is the test's."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from typing import Any

from hermes_cli.service_manager import ServiceSpec
from hermes_cli.service_manager.names import profile_of
from tests.docker.containers import IMAGE, LABEL
from tests.hosts.remote import AGENT, RemoteServiceManager

from . import PROGRAM, START_TIMEOUT, STOP_TIMEOUT
from .in_container import ContainerBackend, LastingAgent

PYTHON = "/opt/hermes/venv/bin/python"
USER = "10000"

# The image's library, with the suite's patience.
SERVE = f"""
import sys
sys.path.insert(0, "/opt/test")
import agent
from hermes_cli.service_manager import S6ServiceManager
agent.get_service_manager = lambda **_: S6ServiceManager(
    start_timeout={START_TIMEOUT}, stop_timeout={STOP_TIMEOUT + 5})
agent.Agent().serve()
"""

# The gateway's own program, which `hermes gateway run` becomes.
FIND = """
from importlib.util import cache_from_source
import hermes_cli.gateway
source = hermes_cli.gateway.__path__[0] + "/__main__.py"
print(source, cache_from_source(source))
"""

# What a profile's home needs for the boot to look at its intent. Arguments: profile, intent, the time.
INTEND = """
mkdir -p "/opt/data/profiles/$1" && cd "/opt/data/profiles/$1" || exit
printf 'gateway:\\n  port: 20000\\n' >config.yaml
[ "$2" != running ] || rm -f parked.json
printf '{"version":1,"intent":"%s","requested_at":%s}' "$2" "$3" >gateway_intent.json
"""

BOOT_WITHIN = 30.0


class S6ImageBackend(ContainerBackend):
    """One container of the image, for all the tests."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._container = f"hermes-test-{uuid.uuid4().hex[:12]}"
        # What ignores SIGTERM has 30 s in the image, which a test does not wait for.
        patience = self.directory / "timeout-kill"
        patience.write_text(f"{STOP_TIMEOUT * 1000:.0f}\n")
        # The image's byte code is believed unseen. A file without any is not, and the source is read.
        no_byte_code = self.directory / "no-byte-code"
        no_byte_code.touch()
        source, byte_code = _docker("run", "--rm", "--entrypoint", PYTHON, IMAGE, "-P", "-c", FIND).split()
        mounts = {
            PROGRAM: source,
            no_byte_code: byte_code,
            AGENT: "/opt/test/agent.py",
            patience: "/opt/hermes/docker/slot/timeout-kill",
        }
        binds = [word for here, there in mounts.items() for word in ("--volume", f"{here}:{there}:ro")]
        try:
            _docker(
                *("run", "--detach", "--name", self._container, "--label", f"{LABEL}=1", "--no-healthcheck"),
                *("--env", f"HERMES_TEST_DIRECTORY={self.directory}", *binds),
                *("--volume", f"{self.directory}:{self.directory}", IMAGE),
            )
            self._booted()
            self.agent = LastingAgent(
                (
                    "docker",
                    "exec",
                    "--interactive",
                    "--user",
                    USER,
                    self._container,
                    PYTHON,
                    "-B",
                    "-c",
                    SERVE,
                )
            )
        except BaseException:
            _docker("rm", "--force", "--volumes", self._container)
            raise
        self.remote = RemoteServiceManager(self.agent, kind="s6")

    def spec(self, name: str, *arguments: str, **fields: Any) -> ServiceSpec:
        assert not arguments, "a slot runs one command"
        command = ("/opt/hermes/venv/bin/hermes", "-p", profile_of(name), "gateway", "run")
        return ServiceSpec(name, command, **fields)

    def intend(self, name: str, *, running: bool) -> None:
        """As gateway.lifecycle does: the intent is written, and a start removes the parking slip."""
        words = (profile_of(name), "running" if running else "stopped", json.dumps(time.time()))
        _docker("exec", "--user", USER, self._container, "sh", "-c", INTEND, "sh", *words)

    def reboot(self) -> None:
        _docker("restart", "--time", "30", self._container)
        self._booted()
        self.agent.renew()

    def close(self) -> None:
        super().close()
        _docker("rm", "--force", "--volumes", self._container)

    def _booted(self) -> None:
        """Until the registrar answers, which the boot starts last."""
        deadline = time.monotonic() + BOOT_WITHIN
        answers = "s6-svok /run/service/gateway-default && test -S /run/hermes-registrar/s"
        while subprocess.run(
            ["docker", "exec", self._container, "sh", "-c", answers], check=False
        ).returncode:
            assert time.monotonic() < deadline, _docker("logs", "--tail", "20", self._container)
            time.sleep(0.05)


def _docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, f"docker {words[0]}: {done.stderr}"
    return done.stdout.strip()


def make(name: str) -> S6ImageBackend:
    return S6ImageBackend(name)
