"""A host reached by the OpenSSH client: never asks, never accepts a host key by itself."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from hermes_cli.processes.errors import EnvironmentUnusableError
from hermes_cli.processes.redaction import secret_names

from .bundle import LAUNCHER

_STALL = 30.0
"""Seconds that ssh may take nothing of what is sent."""
_ENDING = 3.0
_SUN_PATH = 107

_OPTIONS = (
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "ConnectionAttempts=1",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=3",
    # Nothing of this machine is lent to the sandbox.
    "ForwardAgent=no",
    "ForwardX11=no",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
    "RequestTTY=no",
    "RemoteCommand=none",
    "LogLevel=ERROR",
)

_CAUSES = (
    ("host_key", ("host key verification failed", "host identification has changed", "host key is known")),
    ("auth", ("permission denied", "too many authentication failures", "no supported authentication")),
    (
        "not_configured",
        ("bad configuration option", "no such identity", "bad owner or permissions", "bad port"),
    ),
)
"""What ssh says in its last words, in small letters. Anything else: the host cannot be reached."""


@dataclass(frozen=True)
class SshTarget:
    """Where to go. What is None is as ssh_config(5) says."""

    host: str
    user: str | None = None
    port: int | None = None
    identity_file: str | None = None
    options: tuple[str, ...] = ()
    """More of ssh_config(5), each as `Key=value`."""
    connect_timeout: int = 10
    """Seconds."""
    control_directory: str | None = None
    """Where a connection may wait a minute for the next command (ControlMaster)."""

    @property
    def name(self) -> str:
        return f"the host {self.host}"

    def command(self) -> list[str]:
        """The words to execute."""
        words = ["ssh", "-T"]
        timeout = f"ConnectTimeout={self.connect_timeout}"
        for option in (*_OPTIONS, timeout, *self.options, *self._shared()):
            words += ["-o", option]
        if self.identity_file:
            path = os.path.expanduser(self.identity_file)  # noqa: PTH111
            words += ["-o", "IdentitiesOnly=yes", "-i", path]
        if self.port:
            words += ["-p", str(self.port)]
        if self.user:
            words += ["-l", self.user]
        return [*words, "--", self.host, f"exec /bin/sh -c '{LAUNCHER}'"]

    def _shared(self) -> tuple[str, ...]:
        # %C is 40 digits, and ssh adds up to 18 characters while it makes the socket.
        directory = self.control_directory
        if directory is None or len(os.fsencode(directory)) + 62 > _SUN_PATH or "%" in directory:
            return ("ControlMaster=no", "ControlPath=none")
        return ("ControlMaster=auto", f"ControlPath={directory}/%C", "ControlPersist=60")


class SshTransport:
    """A running ssh. Opening returns at once: whether it comes through shows with the first answer."""

    def __init__(self, target: SshTarget) -> None:
        """Raises `EnvironmentUnusableError` where there is no client."""
        self._target = target
        program = shutil.which("ssh")
        if program is None:
            raise EnvironmentUnusableError(
                "there is no ssh program on this machine; install the OpenSSH client", cause="no_client"
            )
        if target.control_directory is not None:
            os.makedirs(target.control_directory, mode=0o700, exist_ok=True)  # noqa: PTH103
        self._ending = threading.Lock()
        self._process = subprocess.Popen(
            target.command(),
            executable=program,
            env=_environment(os.environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # ^C is for the command line, not for its channel
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._in = self._process.stdin.fileno()
        self._out = self._process.stdout.fileno()
        os.set_blocking(self._in, False)
        os.set_blocking(self._process.stderr.fileno(), False)
        self._said = ""

    def send(self, data: bytes) -> None:
        view = memoryview(data)
        deadline = time.monotonic() + _STALL
        poll = select.poll()
        poll.register(self._in, select.POLLOUT)
        while view:
            try:
                view = view[os.write(self._in, view[: 1 << 16]) :]
                deadline = time.monotonic() + _STALL
            except BlockingIOError:
                if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                    raise OSError(errno.ETIMEDOUT, "ssh takes nothing more") from None

    def receive(self) -> bytes:
        try:
            data = os.read(self._out, 1 << 18)
        except OSError:
            data = b""
        if not data:
            self._end()
        return data

    def close(self) -> None:
        """The reader finds the end, and ends the rest."""
        with contextlib.suppress(OSError):
            self._process.terminate()

    def cause(self) -> EnvironmentUnusableError:
        self._end()
        name = self._target.name
        lines = [line.strip() for line in self._said.splitlines() if line.strip(" \r@")]
        last = lines[-1] if lines else ""
        if self._process.returncode != 255:
            said = f": {last}" if last else ""
            return EnvironmentUnusableError(f"{name} ended the channel{said}", cause="broken")
        whole = self._said.lower()
        cause = next(
            (cause for cause, marks in _CAUSES if any(mark in whole for mark in marks)), "unreachable"
        )
        advice = {
            "host_key": "compare its key with one you trust, then add it with ssh-keyscan to known_hosts; "
            "Hermes accepts none by itself",
            "auth": "it must let this user in by a key and without questions: see terminal.ssh.identity_file",
            "not_configured": "mend ssh's configuration on this machine",
            "unreachable": "is it up, and are terminal.ssh.host and terminal.ssh.port right?",
        }[cause]
        return EnvironmentUnusableError(
            f"{name} cannot be used ({last or 'ssh said nothing'}); {advice}", cause
        )

    def _end(self) -> None:
        """Reap it, and keep its last words."""
        with self._ending:
            process = self._process
            try:
                process.wait(_ENDING)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stderr is not None
            if not process.stderr.closed:
                # Not to its end: a connection that waits for the next command may keep it open.
                with contextlib.suppress(OSError):
                    self._said = (process.stderr.read(1 << 16) or b"").decode("utf-8", "replace")
                for pipe in (process.stdin, process.stdout, process.stderr):
                    assert pipe is not None
                    with contextlib.suppress(OSError):
                        pipe.close()


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    """For ssh itself. What ssh_config(5) may send (SendEnv) is left out, and so are secrets."""
    secret = set(secret_names(ours))
    return {
        name: value
        for name, value in ours.items()
        if not (name in secret or name.startswith(("LC_", "LANG", "HERMES_")))
    }
