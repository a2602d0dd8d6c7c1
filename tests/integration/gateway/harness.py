"""Real gateways of a temporary home, as processes of their own, that no test leaves behind."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hermes_cli.gateway.client import GatewayClient
from hermes_cli.gateway.records import StateRecord
from hermes_cli.home import Home, load

TOKEN = "correct-horse-battery-staple"
DEADLINE = 15.0


def until(what: str, condition: Callable[[], Any], *, within: float = DEADLINE) -> Any:
    """Wait for `condition` to be true and return what it gave; fail with what it gave last."""
    deadline = time.monotonic() + within
    while True:
        seen = condition()
        if seen:
            return seen
        assert time.monotonic() < deadline, f"not within {within} s: {what}; last seen: {seen!r}"
        time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Gateway:
    """One start of a gateway."""

    home: Home
    port: int
    process: subprocess.Popen[bytes]
    ready_fd: int
    log: Path
    started: float = field(default_factory=time.monotonic)

    def ready(self, within: float = DEADLINE) -> Gateway:
        """Wait until it announces readiness on its notification fd."""
        readable, _, _ = select.select([self.ready_fd], [], [], within)
        said = os.read(self.ready_fd, 16) if readable else b"nothing"
        assert said == b"\n", f"no readiness ({said!r}, exit {self.process.poll()}): {self.words()}"
        return self

    def ended(self, within: float = DEADLINE) -> int:
        """Wait for its end and return the exit code (negative: the signal)."""
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end within {within} s: {self.words()}") from None

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        self.process.send_signal(number)

    def words(self) -> str:
        return self.log.read_text(errors="replace")

    def state(self) -> StateRecord:
        state = load(self.home.state, StateRecord)
        assert state is not None, f"no state: {self.words()}"
        return state

    @property
    def client(self) -> GatewayClient:
        return GatewayClient(self.home)

    def get(
        self, path: str, *, token: str | None = TOKEN, method: str = "GET", body: bytes | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (lower-case) and body over TCP."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def json(self, path: str, **options: Any) -> tuple[int, Any]:
        status, _, body = self.get(path, **options)
        return status, json.loads(body)


class Yard:
    """A root home and the gateways started in it."""

    def __init__(self, root: Path, logs: Path) -> None:
        self.root = root
        self._logs = logs
        self.started: list[Gateway] = []
        self._ports: dict[str, int] = {}

    def profile(self, name: str = "default", *, port: int | None = None, config: str = "") -> Home:
        """Make the home of a profile with a port and a token."""
        home = Home.of(name, self.root)
        home.path.mkdir(parents=True, exist_ok=True)
        self._ports[name] = port or free_port()
        home.config.write_text(f"gateway:\n  port: {self._ports[name]}\n{config}")
        home.env.write_text(f"HERMES_GATEWAY_TOKEN={TOKEN}\n")
        home.env.chmod(0o600)
        return home

    def start(self, home: Home, *, supervised: bool = True, **environment: str) -> Gateway:
        """Start `hermes -p NAME gateway run` and return at once."""
        reader, writer = os.pipe()
        log = self._logs / f"{home.profile}-{len(self.started)}.log"
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("HERMES_", "PYTHONDONT"))}
        inherited |= {"HERMES_HOME": str(self.root), "HERMES_NOTIFY_FD": str(writer)} | environment
        if supervised:
            inherited["HERMES_SUPERVISOR"] = "s6"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "hermes_cli.cli.main", "-p", home.profile, "gateway", "run"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=inherited,
                pass_fds=[writer],
                start_new_session=True,
            )
        os.close(writer)
        gateway = Gateway(home, self._ports[home.profile], process, reader, log)
        self.started.append(gateway)
        return gateway

    def end(self) -> None:
        for gateway in self.started:
            gateway.process.kill()
            gateway.process.wait(DEADLINE)
            os.close(gateway.ready_fd)
            with contextlib.suppress(OSError):  # outside the test's own directory where its path is long
                gateway.home.fallback_socket.unlink()
