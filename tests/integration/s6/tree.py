"""A real s6 tree of the test's own: s6-svscan on a temporary scandir, slots made by slotctl."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hermes_cli.service_manager import S6ServiceManager

REPOSITORY = Path(__file__).resolve().parents[3]
SLOTCTL = REPOSITORY / "docker/slotctl"
TEMPLATE = Path(__file__).parent / "template"
HERMES_UID = 10000
"""The service user's uid and gid in the image; slotctl hands it the control FIFOs when run as root."""


@dataclass
class Tree:
    """A supervision tree, and what a test does to its echo services from outside."""

    base: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    strays: list[int] = field(default_factory=list)

    @property
    def scandir(self) -> Path:
        return self.base / "scandir"

    @property
    def echo(self) -> Path:
        """Where the echo services read what to do."""
        return self.base / "echo"

    @property
    def logs(self) -> Path:
        return self.echo / "logs"

    def manager(self, *, start_timeout: float = 10.0, stop_timeout: float = 10.0) -> S6ServiceManager:
        return S6ServiceManager(
            self.scandir,
            slotctl=SLOTCTL,
            registrar=self.base / "registrar",
            env_dir=self.base / "env",
            lock_dir=self.base / "locks",
            log_root=self.logs,
            start_timeout=start_timeout,
            stop_timeout=stop_timeout,
        )

    def behave(self, profile: str, mode: str) -> None:
        """Set what the echo service of `profile` does at its next start: a word of template/run."""
        (self.echo / profile).write_text(f"{mode}\n")

    def say(self, profile: str, text: str) -> None:
        """Write to the echo service, which writes it to its log. It must be up."""
        descriptor = os.open(self.echo / f"{profile}.in", os.O_WRONLY | os.O_NONBLOCK)
        os.set_blocking(descriptor, True)
        with os.fdopen(descriptor, "w") as fifo:
            fifo.write(text)

    def supervisor(self, service: str) -> int:
        """The pid of the s6-supervise of `service`."""
        for directory in Path("/proc").glob("[0-9]*"):
            try:
                command = (directory / "cmdline").read_bytes().split(b"\0")
                cwd = (directory / "cwd").readlink()
            except OSError:
                continue
            if command[0].endswith(b"s6-supervise") and cwd == self.scandir / service:
                return int(directory.name)
        raise LookupError(service)

    def unread_orders(self, service: str) -> int:
        """Bytes in the control FIFO of `service` that its supervisor has not read."""
        descriptor = os.open(self.scandir / service / "supervise/control", os.O_RDONLY | os.O_NONBLOCK)
        try:
            answer = fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4))
        finally:
            os.close(descriptor)
        return int.from_bytes(answer, sys.byteorder)

    def begin(self, **popen: object) -> None:
        self.process = subprocess.Popen(
            ["s6-svscan", os.fspath(self.scandir)],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **popen,  # type: ignore[call-overload]
        )
        until(lambda: (self.scandir / ".s6-svscan/control").exists(), "s6-svscan has a control FIFO")

    def end(self) -> None:
        for pid in self.strays:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)


def until(condition: Callable[[], object], what: str, timeout: float = 10.0) -> None:
    """Wait for something that nobody announces to a test."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout:g} s: {what}"
        time.sleep(0.01)


def make_tree(monkeypatch: pytest.MonkeyPatch) -> Tree:
    # Not tmp_path: another user must get through, and a socket's path has 107 bytes at most.
    base = Path(tempfile.mkdtemp(prefix="hermes-s6-"))
    base.chmod(0o755)
    for name in ("scandir", "echo", "echo/logs", "env", "locks", "aliases", "home", "home/logs"):
        (base / name).mkdir()
    shutil.copytree(TEMPLATE, base / "template")
    monkeypatch.setenv("HERMES_SLOT_TEMPLATE", os.fspath(base / "template"))
    monkeypatch.setenv("HERMES_ALIAS_DIR", os.fspath(base / "aliases"))
    monkeypatch.setenv("HERMES_HOME", os.fspath(base / "home"))
    monkeypatch.setenv("ECHO", os.fspath(base / "echo"))
    return Tree(base, dict(os.environ))
