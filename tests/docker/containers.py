"""Real containers for the tests: waited for with deadlines, spoken to as a user would, always removed."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import docker
from docker.errors import APIError, NotFound
from docker.models.containers import Container

IMAGE = os.environ.get("HERMES_TEST_IMAGE", "hermes:dev")
LABEL = "hermes-test"
HERMES_UID = 10000

T = TypeVar("T")


def wait_for(condition: Callable[[], T | Literal[False] | None], timeout: float, what: str) -> T:
    """The first true answer of `condition`; fails after `timeout` seconds with the last answer it gave."""
    deadline = time.monotonic() + timeout
    while True:
        seen = condition()
        if seen:
            return seen
        if time.monotonic() >= deadline:
            raise AssertionError(f"no {what} within {timeout:g} s; last seen: {seen!r}")
        time.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Done:
    """How a program ended and what it said."""

    code: int
    out: str
    err: str

    def ok(self) -> str:
        """Its output; fails unless it ended with 0."""
        assert self.code == 0, self
        return self.out


@dataclass(frozen=True, slots=True)
class Slot:
    """What s6 says of a service, in one look."""

    up: bool
    wanted: bool
    ready: bool
    pid: int
    normally_up: bool

    @property
    def parked(self) -> bool:
        return not self.up and not self.wanted and self.normally_up


class Box:
    """A container, for as long as a test needs it."""

    def __init__(self, client: docker.DockerClient, container: Container) -> None:
        self.client = client
        self.raw = container
        self.id: str = str(container.id)

    def run(
        self,
        *argv: str,
        user: str | int = "",
        env: Mapping[str, str] | None = None,
        workdir: str | None = None,
    ) -> Done:
        """`docker exec`: run a program beside what is there and wait for its end."""
        api = self.client.api
        call: dict[str, Any] = {"environment": dict(env or {}), "user": str(user)}
        if workdir:
            call["workdir"] = workdir
        handle = api.exec_create(self.id, list(argv), **call)
        out, err = api.exec_start(handle["Id"], demux=True)
        code = api.exec_inspect(handle["Id"])["ExitCode"]
        return Done(code, (out or b"").decode(errors="replace"), (err or b"").decode(errors="replace"))

    def sh(
        self, script: str, *words: str, user: str | int = "", env: Mapping[str, str] | None = None
    ) -> Done:
        return self.run("sh", "-c", script, "sh", *words, user=user, env=env)

    def hermes(self, *argv: str, user: str | int = "", env: Mapping[str, str] | None = None) -> Done:
        return self.run("hermes", *argv, user=user, env=env)

    def json(self, *argv: str) -> Any:
        return json.loads(self.hermes(*argv, "--json").ok())

    # s6

    def slot(self, service: str) -> Slot | None:
        """The state of a service, or None where nothing supervises one of that name."""
        fields = "up,wantedup,ready,pid,normallyup"
        done = self.run("s6-svstat", "-o", fields, f"/run/service/{service}")
        words = done.out.split()
        if done.code or len(words) != 5:
            return None
        up, wanted, ready, pid, normally = words
        return Slot(up == "true", wanted == "true", ready == "true", int(pid), normally == "true")

    def gateway(self, profile: str) -> Slot | None:
        return self.slot(f"gateway-{profile}")

    def ready(self, profile: str, timeout: float = 30, *, not_pid: int = 0) -> Slot:
        """Wait until the gateway is ready (as another process than `not_pid`)."""
        seen: Slot | None = None

        def look() -> Slot | None:
            nonlocal seen
            seen = self.gateway(profile)
            return seen if seen and seen.ready and seen.pid != not_pid else None

        try:
            return wait_for(look, timeout, f"ready gateway {profile}")
        except AssertionError as error:
            log = self.sh(f"tail -n 20 /opt/data/logs/gateways/{profile}/current")
            raise AssertionError(f"{error}; s6 says {seen}; its log: {log.out}{log.err}") from None

    def booted(self, timeout: float = 20) -> Box:
        """Wait until the boot is over: slots made, registrar answering."""
        script = """
            s6-svok /run/service/gateway-default && s6-svok /run/service/main-hermes || exit 1
            [ "$(id -u)" -ne 0 ] || [ -S /run/hermes-registrar/s ]
        """

        def look() -> bool:
            self.raw.reload()
            assert self.raw.status == "running", f"the container is {self.raw.status}: {self.logs()}"
            return self.sh(script).code == 0

        wait_for(look, timeout, "booted container")
        return self

    # processes

    def gateways(self, profile: str) -> list[int]:
        """Pids of the processes that are this profile's gateway, whoever started them."""
        return [pid for pid, line in self.processes() if line.endswith(f" -m hermes_cli.gateway {profile}")]

    def processes(self) -> list[tuple[int, str]]:
        """Every process of the container: pid in it, command line."""
        script = r"""
            for process in /proc/[0-9]*; do
              line=$(tr '\0\n' '  ' 2>/dev/null <"$process/cmdline") || continue
              [ -z "$line" ] || printf '%s %s\n' "${process#/proc/}" "$line"
            done
        """
        pairs = (line.split(" ", 1) for line in self.sh(script).ok().splitlines())
        return [(int(pid), line.strip()) for pid, line in pairs]

    def signal(self, pid: int, name: str = "KILL") -> None:
        """Send a signal to a process of the container; one that is gone is fine."""
        assert pid > 1, "a whole process group, or everything, is not what a test means"
        self.sh('kill -s "$1" "$2" 2>/dev/null', name, str(pid))

    def supervisors(self) -> list[str]:
        """The services that have an s6-supervise, one entry for each of them."""
        lines = (line.split() for _, line in self.processes())
        return sorted(line[1] for line in lines if line[0].rpartition("/")[2] == "s6-supervise")

    # files

    def read(self, path: str) -> str:
        return self.run("cat", path).ok()

    def put(self, path: str, content: str, *, mode: int = 0o644, uid: int = 0) -> None:
        """Write a file into the container, running or not."""
        directory, _, name = path.rpartition("/")
        info = tarfile.TarInfo(name)
        data = content.encode()
        info.size, info.mode, info.uid, info.gid = len(data), mode, uid, uid
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            archive.addfile(info, io.BytesIO(data))
        assert self.raw.put_archive(directory or "/", buffer.getvalue())

    def events(self) -> list[dict[str, Any]]:
        """The supervision log, oldest first."""
        text = self.sh("cat /opt/data/logs/supervision.jsonl 2>/dev/null").out
        return [json.loads(line) for line in text.splitlines()]

    # the container itself

    def logs(self) -> str:
        return self.raw.logs().decode(errors="replace")

    def said(self, text: str, timeout: float = 20) -> str:
        """Wait until the container's log holds `text`."""
        log = ""

        def look() -> bool:
            nonlocal log
            log = self.logs()
            return text in log

        try:
            wait_for(look, timeout, f"{text!r} in the container's log")
        except AssertionError as error:
            raise AssertionError(f"{error}; the log: {log}") from None
        return log

    def start(self) -> Box:
        self.raw.start()
        return self

    def stop(self, timeout: int = 10) -> float:
        """`docker stop`; the seconds it took."""
        before = time.monotonic()
        self.raw.stop(timeout=timeout)
        return time.monotonic() - before

    def kill(self, signal: str = "SIGKILL") -> None:
        self.raw.kill(signal)

    def exit_code(self, timeout: float = 30) -> int:
        """Wait for the end of the container."""
        return int(self.raw.wait(timeout=timeout)["StatusCode"])

    def remove(self) -> None:
        try:
            self.raw.remove(force=True, v=True)
        except NotFound:
            pass
        except APIError as error:  # `docker run --rm` is at it
            if "already in progress" not in str(error):
                raise


class Docker:
    """What a test asks for: containers and volumes, all gone when it ends."""

    def __init__(self, client: docker.DockerClient) -> None:
        self.client = client
        self.boxes: list[Box] = []
        self._volumes: list[str] = []
        self._names: list[str] = []

    def create(self, *command: str, **options: Any) -> Box:
        """A container that is not started yet. `options` are the docker SDK's."""
        options.setdefault("image", IMAGE)
        options.setdefault("healthcheck", {"test": ["NONE"]})
        if options["healthcheck"] is None:
            del options["healthcheck"]
        container = self.client.containers.create(
            command=list(command), labels={LABEL: "1"}, name=f"hermes-test-{uuid.uuid4().hex[:12]}", **options
        )
        box = Box(self.client, container)
        self.boxes.append(box)
        return box

    def start(self, *command: str, **options: Any) -> Box:
        """A container that has been started, not more."""
        return self.create(*command, **options).start()

    def boot(self, *command: str, **options: Any) -> Box:
        """A container whose boot is over."""
        return self.start(*command, **options).booted()

    def volume(self, script: str = "") -> str:
        """A new volume, filled by `script` (sh, as root, in its directory) where there is one."""
        volume = self.client.volumes.create(labels={LABEL: "1"})
        self._volumes.append(str(volume.name))
        if script:
            self.in_volume(str(volume.name), script)
        return str(volume.name)

    def in_volume(self, volume: str, script: str) -> str:
        """Run `script` as root in a volume's directory, with nothing of Hermes running; its output."""
        done = self.cli("-v", f"{volume}:/v", "-w", "/v", "--entrypoint", "sh", command=("-euc", script))
        return done.ok()

    def cli(
        self, *options: str, command: tuple[str, ...] = (), stdin: bytes = b"", timeout: float = 40
    ) -> Done:
        """`docker run OPTIONS IMAGE COMMAND` to its end, as typed by a user."""
        done = subprocess.run(
            [*self.argv(*options), *command], input=stdin, capture_output=True, timeout=timeout, check=False
        )
        return Done(
            done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        )

    def argv(self, *options: str) -> list[str]:
        """The words of a `docker run`, up to the image."""
        name = f"hermes-test-{uuid.uuid4().hex[:12]}"
        self._names.append(name)
        return [
            "docker",
            "run",
            "--rm",
            "--name",
            name,
            "--label",
            f"{LABEL}=1",
            "--no-healthcheck",
            *options,
            IMAGE,
        ]

    def last(self) -> Box:
        """The container that the last `argv` or `cli` named."""
        return Box(self.client, self.client.containers.get(self._names[-1]))

    def clean(self) -> None:
        for box in self.boxes:
            box.remove()
        for name in self._names:
            try:
                Box(self.client, self.client.containers.get(name)).remove()
            except NotFound:
                continue
        for volume in self._volumes:
            self.client.api.remove_volume(volume, force=True)


def mounted(volume: str) -> dict[str, Any]:
    """Options for a container on `volume`."""
    return {"volumes": {volume: {"bind": "/opt/data", "mode": "rw"}}}


def home_script(profile: str, port: int, intent: str | None = "running") -> str:
    """Shell that makes a profile's home in the volume's directory, as an earlier container left it."""
    home = "." if profile == "default" else f"profiles/{profile}"
    lines = [
        f"mkdir -p {home}",
        f"printf 'gateway:\\n  port: {port}\\n' >{home}/config.yaml",
        f"printf 'HERMES_GATEWAY_TOKEN=token-of-{profile}\\n' >{home}/.env && chmod 600 {home}/.env",
    ]
    if intent:
        record = {"version": 1, "intent": intent, "requested_at": 1.0, "requested_by": "test"}
        lines.append(f"echo '{json.dumps(record)}' >{home}/gateway_intent.json")
    lines.append(f"chown -R {HERMES_UID}:{HERMES_UID} .")
    return "\n".join(lines) + "\n"


def homes(profiles: Mapping[str, int], intent: str | None = "running") -> str:
    """`home_script` for several: profile to port."""
    return "".join(home_script(profile, port, intent) for profile, port in profiles.items())


def streamed(box: Box) -> Iterator[str]:
    """The lines of the container's log as they come, until it ends."""
    rest = ""
    for chunk in box.raw.logs(stream=True, follow=True):
        *lines, rest = (rest + chunk.decode(errors="replace")).split("\n")
        yield from lines
    if rest:
        yield rest
