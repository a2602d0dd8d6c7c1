"""A container of the engine that the docker SDK finds: one that is there, or one made from an image."""

from __future__ import annotations

import collections
import contextlib
import errno
import select
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hermes_cli.processes.errors import EnvironmentUnusableError

from .bundle import LAUNCHER

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

LABEL = "ai.hermes.sandbox"
"""On containers made here, with the name of the profile's directory as its value."""
_IMAGE_LABEL = "ai.hermes.sandbox-image"

_TIMEOUT = 60
"""Seconds the engine may take to answer."""
_STALL = 30.0
_MADE_WITHIN = 20.0
_STDERR = 2
_HEADER = 8
_MOST_SAID = 32
_PIDS = 2048
_CANNOT_EXECUTE = (126, 127)


@dataclass(frozen=True)
class DockerTarget:
    """Exactly one of `container` and `image` is given."""

    profile: str
    container: str | None = None
    """The name of one that runs."""
    image: str | None = None
    """What to make one from, once for the profile."""
    workdir: str | None = None
    memory: int | None = None
    """MiB."""
    cpus: float | None = None

    @property
    def own_name(self) -> str:
        """Of the container made here."""
        return f"hermes-sandbox-{self.profile}"

    @property
    def name(self) -> str:
        return f"the container {self.container or self.own_name}"


class DockerTransport:
    """`docker exec -i` in the container: its stdin and stdout by the engine's attach socket."""

    def __init__(self, target: DockerTarget) -> None:
        """Raises `EnvironmentUnusableError`."""
        from docker.errors import DockerException

        self._target = target
        self._client = connect()
        self._buffer = bytearray()
        self._said: collections.deque[bytes] = collections.deque(maxlen=_MOST_SAID)
        self._lock = threading.Lock()
        self._closed = False
        try:
            container = running_container(self._client, target)
            created = self._client.api.exec_create(
                str(container.id), ["/bin/sh", "-c", LAUNCHER], stdin=True, stdout=True, stderr=True
            )
            self._exec = created["Id"]
            # Kept: the response owns the socket.
            self._response = self._client.api.exec_start(self._exec, socket=True)
        except (DockerException, OSError) as error:
            self._client.close()
            raise unusable(target.name, error) from error
        except BaseException:
            self._client.close()
            raise
        self._socket: socket.socket = getattr(self._response, "_sock", self._response)  # type: ignore[arg-type]
        self._socket.settimeout(0)
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def send(self, data: bytes) -> None:
        view = memoryview(data)
        deadline = time.monotonic() + _STALL
        while view:
            try:
                with self._lock:  # a TLS socket is not for two threads at once
                    sent = self._socket.send(view[: 1 << 16])
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                if not self._ready(select.POLLOUT, deadline - time.monotonic()):
                    raise OSError(errno.ETIMEDOUT, "the engine takes nothing more") from None
            else:
                view = view[sent:]
                deadline = time.monotonic() + _STALL

    def receive(self) -> bytes:
        """The payload of the next frame of stdout: 8 bytes of stream and length before each."""
        while (header := self._exactly(_HEADER)) is not None:
            payload = self._exactly(int.from_bytes(header[4:], "big"))
            if payload is None:
                break
            if header[0] != _STDERR:
                return payload
            self._said.append(payload[-1024:])
        self._let_go()
        return b""

    def close(self) -> None:
        """The program there finds the end of its input; the reader here finds an end, and lets go."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def cause(self) -> EnvironmentUnusableError:
        from docker.errors import DockerException

        name = self._target.name
        said = b"".join(self._said).decode("utf-8", "replace").strip()
        client = None
        try:
            client = connect()
            _check_running(client.containers.get(self._target.container or self._target.own_name), name)
            code = client.api.exec_inspect(self._exec).get("ExitCode")
        except EnvironmentUnusableError as error:
            return error
        except (DockerException, OSError) as error:
            return unusable(name, error)
        finally:
            if client is not None:
                client.close()
        if code in _CANNOT_EXECUTE:
            return EnvironmentUnusableError(
                f"{name} has no /bin/sh or may not execute it; commands need one", cause="no_python"
            )
        last = said.splitlines()[-1] if said else f"the program there ended with {code}"
        return EnvironmentUnusableError(f"{name} ended the channel: {last}", cause="broken")

    def _exactly(self, size: int) -> bytes | None:
        while len(self._buffer) < size:
            part = self._some()
            if not part:
                return None
            self._buffer += part
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _some(self) -> bytes:
        while True:
            try:
                with self._lock:
                    return self._socket.recv(1 << 18)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                self._ready(select.POLLIN, None)
            except (OSError, ValueError):
                return b""

    def _ready(self, events: int, seconds: float | None) -> bool:
        poll = select.poll()
        try:
            poll.register(self._socket, events)
        except ValueError:  # closed meanwhile
            raise OSError(errno.EBADF, "the channel is closed") from None
        return bool(poll.poll(None if seconds is None else max(0.0, seconds) * 1000))

    def _let_go(self) -> None:
        if not self._closed:
            self._closed = True
            self._socket.close()
            with contextlib.suppress(Exception):
                self._response.close()
            self._client.close()


def connect() -> DockerClient:
    """A client of the engine: DOCKER_HOST's, or this machine's. Raises `EnvironmentUnusableError`."""
    try:
        import docker
    except ImportError:
        raise EnvironmentUnusableError(
            "the docker SDK is not installed; install hermes-cli[docker]", cause="no_client"
        ) from None
    from docker.errors import DockerException

    try:
        return docker.from_env(timeout=_TIMEOUT)
    except (DockerException, OSError) as error:
        raise unusable("the Docker engine", error) from error


def running_container(client: DockerClient, target: DockerTarget) -> Container:
    """The target's container, made and started where it is ours. Raises `EnvironmentUnusableError` and
    docker's own errors."""
    from docker.errors import NotFound

    name = target.container or target.own_name
    try:
        container = client.containers.get(name)
    except NotFound:
        if target.container:
            raise EnvironmentUnusableError(
                f"there is no container {name}; 'docker ps -a' shows those there are", cause="no_container"
            ) from None
        container = _make(client, target)
    if target.image and container.labels.get(_IMAGE_LABEL) != target.image:
        was = container.labels.get(_IMAGE_LABEL) or "something else"
        raise EnvironmentUnusableError(
            f"{target.name} was made from {was}, not from {target.image}; end its processes, then remove it "
            f"with 'docker rm -f {name}'",
            cause="no_container",
        )
    if not target.container and container.status not in ("running", "paused"):
        container.start()
        container.reload()
    _check_running(container, target.name)
    return container


def _check_running(container: Container, name: str) -> None:
    if container.status == "paused":
        advice = f"is paused; 'docker unpause {container.name}' lets it go on"
    elif container.status != "running":
        advice = f"is not running ({container.status}); start it with 'docker start {container.name}'"
    else:
        return
    raise EnvironmentUnusableError(f"{name} {advice}", cause="not_running")


def remove_containers(profile: str) -> int:
    """Remove what was made for the profile, and all that runs in it; how many containers.

    Raises `EnvironmentUnusableError`.
    """
    from docker.errors import DockerException, NotFound

    client = connect()
    try:
        found = client.containers.list(all=True, filters={"label": f"{LABEL}={profile}"})
        for container in found:
            with contextlib.suppress(NotFound):
                container.remove(force=True, v=True)
        return len(found)
    except (DockerException, OSError) as error:
        raise unusable("the Docker engine", error) from error
    finally:
        client.close()


def unusable(name: str, error: Exception) -> EnvironmentUnusableError:
    """The engine's refusal, in our words."""
    text = str(getattr(error, "explanation", None) or error)
    lowered = text.lower()
    if "permission denied" in lowered:
        advice = "this user may not use the engine: add it to the group docker, or set DOCKER_HOST"
        return EnvironmentUnusableError(f"{name}: {advice}", cause="permission")
    engine_gone = ("connection aborted", "connection refused", "no such file", "error while fetching server")
    if any(mark in lowered for mark in engine_gone):
        return EnvironmentUnusableError(
            f"{name}: no Docker engine answers; is it running, and is DOCKER_HOST right?", cause="no_engine"
        )
    cause = "not_running" if "is not running" in lowered or "is paused" in lowered else "broken"
    return EnvironmentUnusableError(f"{name}: {text}", cause=cause)


def _make(client: DockerClient, target: DockerTarget) -> Container:
    from docker.errors import APIError, ImageNotFound

    assert target.image
    options: dict[str, Any] = {"restart_policy": {"Name": "unless-stopped"}}
    if target.memory:
        options["mem_limit"] = options["memswap_limit"] = f"{target.memory}m"
    if target.cpus:
        options["nano_cpus"] = int(target.cpus * 1e9)
    if target.workdir:
        options["working_dir"] = target.workdir
    try:
        container = client.containers.create(
            target.image,
            entrypoint=["/bin/sh", "-c", "while :; do sleep 86400; done"],
            command=[],
            name=target.own_name,
            labels={LABEL: target.profile, _IMAGE_LABEL: target.image},
            init=True,  # reaps what processes leave behind, and ends at once when told to
            pids_limit=_PIDS,
            security_opt=["no-new-privileges"],
            cap_drop=["NET_RAW", "MKNOD"],
            healthcheck={"test": ["NONE"]},
            **options,
        )
    except ImageNotFound:
        raise EnvironmentUnusableError(
            f"there is no image {target.image} here; 'docker pull {target.image}' fetches it",
            cause="no_image",
        ) from None
    except APIError as error:
        if error.status_code != 409:
            raise
        return _made_by_another(client, target)
    container.start()
    container.reload()
    return container


def _made_by_another(client: DockerClient, target: DockerTarget) -> Container:
    """The container whose name was taken a moment ago: the engine shows it a little later."""
    from docker.errors import NotFound

    deadline = time.monotonic() + _MADE_WITHIN
    while True:
        try:
            return client.containers.get(target.own_name)
        except NotFound:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)  # the engine announces no name that is only reserved
