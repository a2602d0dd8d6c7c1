"""A container in which systemd is PID 1, with a system manager and a user manager for alice, who lingers."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
DOCKERFILE = Path(__file__).with_name("Dockerfile")
AGENT = REPOSITORY / "tests/hosts/agent.py"

UIDS = {"root": 0, "alice": 1000, "bob": 1001}
"""alice lingers, bob does not: nothing of systemd runs for him."""

BOOT_WITHIN = 60.0


def docker(*words: str, timeout: float = 60) -> str:
    """Run docker; its output. Raises `subprocess.CalledProcessError` with what it said."""
    done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode != 0:
        print(done.stderr, file=sys.stderr)
        done.check_returncode()
    return done.stdout.strip()


def image() -> str:
    """The image's name; built where there is none yet of this recipe on this base. 10 seconds, once."""
    client = _said(["scripts/docker-client"])
    base = _said(["scripts/base-image"], timeout=300)
    made = docker("image", "inspect", "-f", "{{.Id}}", base)
    name = f"hermes-test-systemd:{hashlib.sha256(made.encode() + DOCKERFILE.read_bytes()).hexdigest()[:12]}"
    if not docker("image", "ls", "-q", name):
        environment = os.environ | {"DOCKER_BUILDKIT": "1"}
        arguments = ["--build-arg", f"BASE={base}", "-t", name, str(DOCKERFILE.parent)]
        for variable in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"):
            if variable in os.environ:
                arguments = ["--build-arg", variable, *arguments]
        _said([client, "build", "--quiet", *arguments], environment=environment, timeout=600)
    return name


def _said(argv: Sequence[str], *, environment: Mapping[str, str] | None = None, timeout: float = 60) -> str:
    done = subprocess.run(
        argv, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, f"{argv[0]}: {done.stderr}"
    return done.stdout.strip()


class SystemdContainer:
    """Runs from its making until `close`. `scratch` is one directory, under the same path inside and outside.

    The repository is there too, read-only. Services reach both.
    """

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.name = f"hermes-test-systemd-{uuid.uuid4().hex[:12]}"
        scratch.chmod(0o777)
        try:
            docker(
                *("run", "--detach", "--tty", "--name", self.name, "--label", "hermes-test=1"),
                *(
                    "--cap-add",
                    "SYS_ADMIN",
                    "--cgroupns",
                    "private",
                    "--tmpfs",
                    "/run",
                    "--tmpfs",
                    "/run/lock",
                ),
                *("--volume", f"{REPOSITORY}:{REPOSITORY}:ro", "--volume", f"{scratch}:{scratch}"),
                image(),
            )
            self._booted()
        except BaseException:
            self.close()
            raise

    def exec(
        self,
        *argv: str,
        user: str = "root",
        environment: Mapping[str, str] | None = None,
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program inside to its end, as its user would in a shell."""
        return subprocess.run(
            [*self.command(user, environment), *argv],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def agent_command(
        self, user: str = "root", environment: Mapping[str, str] | None = None
    ) -> tuple[str, ...]:
        """The words that start an agent inside, for remote.py."""
        return (*self.command(user, environment), "python3", "-B", str(AGENT))

    def command(self, user: str = "root", environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
        """`docker exec` with the environment that pam_systemd gives; an empty value takes a variable away."""
        given = {"LANG": "C.UTF-8", "HOME": "/root" if user == "root" else f"/home/{user}"}
        if user != "root":
            given["XDG_RUNTIME_DIR"] = f"/run/user/{UIDS[user]}"
        given |= environment or {}
        words = [word for name, value in given.items() if value for word in ("--env", f"{name}={value}")]
        return ("docker", "exec", "--interactive", "--user", user, *words, self.name)

    def reboot(self) -> None:
        """Stop it in order, start it again, and return when both managers are through with their boot."""
        docker("restart", "--time", "20", self.name)
        self._booted()

    def close(self) -> None:
        docker("rm", "--force", "--volumes", self.name)

    def _booted(self) -> None:
        """`--wait` returns when the boot is over; there is nothing to ask before the socket is there."""
        deadline = time.monotonic() + BOOT_WITHIN
        for user, level in (("root", "--system"), ("alice", "--user")):
            state = ""
            while state not in ("running", "degraded"):
                done = self.exec("systemctl", level, "is-system-running", "--wait", user=user)
                state = done.stdout.strip()
                waiting = time.monotonic() < deadline and "is not running" not in done.stderr
                assert waiting, f"no {level} manager: {state} {done.stderr} {self._log()}"

    def _log(self) -> str:
        return docker("logs", "--tail", "20", self.name)
