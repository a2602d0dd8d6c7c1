"""The places where environments keep their processes, for the tests: this machine, a container, a host."""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from hermes_cli.processes.environments import Environment
from hermes_cli.processes.environments.docker import DockerTarget, DockerTransport
from hermes_cli.processes.environments.local import LocalEnvironment
from hermes_cli.processes.environments.remote import RemoteEnvironment
from hermes_cli.processes.environments.ssh import SshTarget, SshTransport
from hermes_cli.processes.limits import Limits

REPOSITORY = Path(__file__).resolve().parents[3]
DOCKERFILE = Path(__file__).with_name("sandbox") / "Dockerfile"
SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


def wait_for(condition: Callable[[], Any], timeout: float, what: str) -> Any:
    """The first true answer of `condition`; fails after `timeout` seconds with the last one."""
    deadline = time.monotonic() + timeout
    while not (seen := condition()):
        assert time.monotonic() < deadline, f"no {what} within {timeout:g} s; last seen: {seen!r}"
        time.sleep(0.02)
    return seen


class Sandbox(Protocol):
    """Where commands run, with a way to look behind the environment's back."""

    name: str

    def environment(self, profile: str, **options: Any) -> Environment:
        """A client of its own. `options`: workdir, secrets, limits."""

    def configuration(self) -> str:
        """What config.yaml says of it."""

    def path(self) -> str:
        """The PATH for a program that is to reach it."""

    def sh(self, script: str) -> str:
        """What a shell there prints."""

    def state(self, profile: str) -> str:
        """The directory of the profile's processes, as the sandbox's shell names it."""

    def close(self) -> None: ...


class LocalSandbox:
    """None: this machine itself."""

    name = "local"

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch

    def environment(self, profile: str, **options: Any) -> Environment:
        directory = self._scratch / profile
        directory.mkdir(exist_ok=True)
        workdir = options.get("workdir")
        return LocalEnvironment(
            directory / "processes",
            default_cwd=workdir or os.fspath(directory),
            secrets=options.get("secrets", ()),
            limits=options.get("limits"),
        )

    def configuration(self) -> str:
        return "terminal:\n  environment: local\n"

    def path(self) -> str:
        return os.environ["PATH"]

    def sh(self, script: str) -> str:
        return _output(["/bin/sh", "-c", script])

    def state(self, profile: str) -> str:
        return os.fspath(self._scratch / profile / "processes")

    def close(self) -> None:
        """Nothing of it is outside of the scratch directory."""


class DockerSandbox:
    """A container from a small image with Python, made for the session."""

    name = "docker"

    def __init__(self, *options: str, image: str | None = None) -> None:
        """`options`: of docker run."""
        self.container = f"hermes-test-sandbox-{uuid.uuid4().hex[:12]}"
        words = ["run", "--detach", "--init", "--name", self.container, "--label", "hermes-test=1", *options]
        docker(*words, image or sandbox_image(), "sleep", "infinity")

    def environment(self, profile: str, **options: Any) -> RemoteEnvironment:
        target = DockerTarget(profile, container=self.container, workdir=options.get("workdir"))
        return _remote(target.name, "docker", lambda: DockerTransport(target), profile, options)

    def configuration(self) -> str:
        return f"terminal:\n  environment: docker\n  docker:\n    container: {self.container}\n"

    def path(self) -> str:
        return os.environ["PATH"]

    def sh(self, script: str) -> str:
        return docker("exec", self.container, "/bin/sh", "-c", script)

    def state(self, profile: str) -> str:
        return f"/root/.local/state/hermes/processes/{profile}"

    def close(self) -> None:
        docker("rm", "--force", "--volumes", self.container)


class SshSandbox:
    """A real sshd on a port of the loopback, of this user, with keys of its own."""

    name = "ssh"

    def __init__(self, directory: Path, *lines: str) -> None:
        """`lines`: more of sshd_config(5)."""
        assert SSHD is not None
        self.directory = directory
        self._lines = lines
        self._process: subprocess.Popen[bytes] | None = None
        for name in ("host", "user", "other"):
            _output(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", os.fspath(directory / name)])
        shutil.copy(directory / "user.pub", directory / "authorized_keys")
        self.start()

    @property
    def target(self) -> SshTarget:
        known = self.directory / "known_hosts"
        return SshTarget(
            "127.0.0.1",
            user=getpass.getuser(),
            port=self.port,
            identity_file=os.fspath(self.directory / "user"),
            options=(f"UserKnownHostsFile={known}", "GlobalKnownHostsFile=none"),
            control_directory=os.fspath(self.directory / "c"),
        )

    def environment(self, profile: str, **options: Any) -> RemoteEnvironment:
        target = replace(self.target, **options.pop("target", {}))
        return _remote(target.name, "ssh", lambda: SshTransport(target), profile, options)

    def configuration(self) -> str:
        settings = {
            "host": "127.0.0.1",
            "user": getpass.getuser(),
            "port": self.port,
            "identity_file": self.directory / "user",
            "workdir": self.directory,
        }
        lines = "".join(f"    {name}: {value}\n" for name, value in settings.items())
        return f"terminal:\n  environment: ssh\n  ssh:\n{lines}"

    def path(self) -> str:
        """With an ssh that knows this host, as the user's own known_hosts would say."""
        directory = self.directory / "bin"
        directory.mkdir(exist_ok=True)
        program = directory / "ssh"
        known = f"-o UserKnownHostsFile={self.directory}/known_hosts -o GlobalKnownHostsFile=none"
        program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} {known} "$@"\n')
        program.chmod(0o755)
        return f"{directory}:{os.environ['PATH']}"

    def sh(self, script: str) -> str:
        return _output(["/bin/sh", "-c", script])

    def state(self, profile: str) -> str:
        return os.fspath(self.directory / "state/hermes/processes" / profile)

    def start(self) -> None:
        """On a free port; another process may take it first, then on the next."""
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd as root changes into it
        for _ in range(5):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.port: int = free.getsockname()[1]
            if self._started():
                break
        else:
            raise AssertionError(f"sshd did not start: {(self.directory / 'log').read_text()}")
        host_key = (self.directory / "host.pub").read_text()
        (self.directory / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {host_key}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def close(self) -> None:
        """With the connections that wait for the next command."""
        for control in (self.directory / "c").glob("*"):
            words = ["ssh", "-o", f"ControlPath={control}", "-O", "exit", "127.0.0.1"]
            subprocess.run(words, capture_output=True, timeout=10, check=False)
        self.stop()

    def _started(self) -> bool:
        directory = self.directory
        config = [
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {directory}/host",
            f"AuthorizedKeysFile {directory}/authorized_keys",
            "PidFile none",
            "UsePAM no",
            "StrictModes no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin yes",
            "MaxStartups 100",
            "AcceptEnv *",
            # One line: of several sshd takes the first.
            f"SetEnv XDG_CACHE_HOME={directory}/cache XDG_STATE_HOME={directory}/state SANDBOX=ssh",
            *self._lines,
        ]
        (directory / "sshd_config").write_text("\n".join(config) + "\n")
        command = [str(SSHD), "-D", "-e", "-f", os.fspath(directory / "sshd_config")]
        with (directory / "log").open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

        def answers() -> str:
            assert self._process is not None
            if self._process.poll() is not None:
                return "ended"
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as peer:
                return "up" if peer.recv(4) == b"SSH-" else ""
            return ""

        return bool(wait_for(answers, 10, "sshd") == "up")


def _remote(
    name: str, kind: Any, open_transport: Callable[[], Any], profile: str, options: Mapping[str, Any]
) -> RemoteEnvironment:
    return RemoteEnvironment(
        name,
        kind,
        open_transport,
        profile=profile,
        workdir=options.get("workdir"),
        secrets=options.get("secrets", ()),
        limits=options.get("limits") or Limits(),
    )


def docker(*words: str, timeout: float = 60) -> str:
    return _output(["docker", *words], timeout=timeout)


def engine_answers() -> bool:
    if shutil.which("docker") is None:
        return False
    words = ["docker", "version", "-f", "{{.Server.Version}}"]
    return subprocess.run(words, capture_output=True, timeout=20, check=False).returncode == 0


def base_image() -> str:
    """Debian with nothing added: no Python."""
    return _output([os.fspath(REPOSITORY / "scripts/base-image")], timeout=300).strip()


def sandbox_image() -> str:
    """The image's name; built where there is none yet of this recipe on this base. 20 seconds, once."""
    base = base_image()
    made = docker("image", "inspect", "-f", "{{.Id}}", base)
    name = f"hermes-test-sandbox:{hashlib.sha256(made.encode() + DOCKERFILE.read_bytes()).hexdigest()[:12]}"
    if not docker("image", "ls", "-q", name):
        client = _output([os.fspath(REPOSITORY / "scripts/docker-client")]).strip()
        words = [
            client,
            "build",
            "--quiet",
            "--build-arg",
            f"BASE={base}",
            "-t",
            name,
            str(DOCKERFILE.parent),
        ]
        for variable in filter(os.environ.__contains__, _PROXIES):
            words[2:2] = ["--build-arg", variable]
        _output(words, timeout=600, DOCKER_BUILDKIT="1")
    return name


def _output(words: list[str], *, timeout: float = 60, **environment: str) -> str:
    done = subprocess.run(
        words,
        cwd=REPOSITORY,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"{words[:3]}: {done.stdout}{done.stderr}"
    return done.stdout
