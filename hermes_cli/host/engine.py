"""The Docker engine, as far as Hermes needs it; its errors become ours here and nowhere else."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .errors import (
    EngineAccessError,
    EngineError,
    ImageMissingError,
    NameTakenError,
    NoEngineError,
    PortTakenError,
    SdkMissingError,
)
from .settings import HOME, LABEL, STOP_TIMEOUT, Settings

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container

_TIMEOUT = 60
"""Seconds one call may take, but for stopping, which adds the container's own time."""
_PORT_TAKEN = re.compile(
    r"(?:Bind for|listen tcp4?|failed to bind host port)[^\n]*?:(\d+)\b[^\n]*(?:allocated|in use)"
)
"""Three engines' words for it: 20.10, 25 and 28."""


class Engine:
    """A connected engine. Methods raise `HostError`; container objects are the SDK's."""

    def __init__(self, client: docker.DockerClient) -> None:
        self._client = client

    @classmethod
    def connect(cls) -> Engine:
        """The engine that the docker command would use: DOCKER_HOST, or the local socket."""
        try:
            import docker
            from docker.errors import DockerException
        except ImportError:
            raise SdkMissingError from None
        try:
            client = docker.from_env(timeout=_TIMEOUT)
            client.ping()
        except (DockerException, OSError) as error:
            if _caused_by(error, PermissionError):
                raise EngineAccessError from None
            raise NoEngineError(_root_cause(error)) from None
        return cls(client)

    def find(self, name: str) -> Container | None:
        """The container of that name if 'hermes up' made it; `NameTakenError` if somebody else did."""
        from docker.errors import NotFound

        with _errors(f"look for the container {name}"):
            try:
                container = self._client.containers.get(name)
            except NotFound:
                return None
        if container.name != name:  # the engine also takes the beginning of an id for a name
            return None
        if LABEL not in container.labels:
            raise NameTakenError(name, str(container.attrs["Config"]["Image"]))
        return container

    def settings(self, container: Container) -> Settings:
        """What `container` was made with."""
        from docker.errors import ImageNotFound

        with _errors(f"inspect {container.name}"):
            try:
                image = self._client.images.get(container.attrs["Image"])
                environment = image.attrs["Config"]["Env"] or []
            except ImageNotFound:
                environment = []
        return Settings.of(container.attrs, environment)

    def image_id(self, image: str) -> str | None:
        """The id of a local image, None if it is not here."""
        from docker.errors import ImageNotFound

        with _errors(f"look for the image {image}"):
            try:
                return str(self._client.images.get(image).id)
            except ImageNotFound:
                return None

    def pull(self, image: str) -> str:
        """Fetch `image` from its registry and return its id."""
        from docker.errors import APIError, DockerException

        try:
            return str(self._client.images.pull(*_split_tag(image)).id)
        except APIError as error:
            raise ImageMissingError(image, _explanation(error)) from None
        except (DockerException, OSError) as error:
            raise ImageMissingError(image, _root_cause(error)) from None

    def create(self, name: str, settings: Settings) -> Container:
        """Make the container; it is not started."""
        api = self._client.api
        with _errors(f"create the container {name}"):
            host_config = api.create_host_config(
                binds={settings.volume: {"bind": HOME, "mode": "rw"}},
                port_bindings={port: (settings.address, port) for port in settings.ports},
                restart_policy={"Name": "unless-stopped"},
                log_config=self._log_config(),
            )
            made: dict[str, Any] = api.create_container(
                settings.image,
                name=name,
                environment=dict(settings.environment),
                ports=list(settings.ports),
                labels={LABEL: "1"},
                host_config=host_config,
                stop_timeout=STOP_TIMEOUT,
            )
            return self._client.containers.get(made["Id"])

    def start(self, container: Container) -> None:
        with _errors(f"start {container.name}"):
            container.start()

    def stop(self, container: Container) -> None:
        """Stop it in its own time; a stopped one is fine."""
        with _errors(f"stop {container.name}"), self._patience(STOP_TIMEOUT + _TIMEOUT):
            container.stop(timeout=STOP_TIMEOUT)

    def remove(self, container: Container, *, force: bool = False) -> None:
        with _errors(f"remove {container.name}"):
            container.remove(force=force)

    def rename(self, container: Container, name: str) -> None:
        with _errors(f"rename {container.name} to {name}"):
            container.rename(name)
            container.reload()

    def remove_volume(self, name: str) -> bool:
        """Whether there was one to remove."""
        from docker.errors import NotFound

        with _errors(f"remove the volume {name}"):
            try:
                self._client.volumes.get(name).remove()
            except NotFound:
                return False
        return True

    def run(self, container: Container, command: list[str]) -> tuple[int, str]:
        """Exit code and output of `command` in the container; (-1, why) where it cannot be run now."""
        from docker.errors import APIError

        with _errors(f"look into {container.name}"):
            try:
                code, output = container.exec_run(command, stderr=False)
            except APIError as error:
                if error.response is not None and error.response.status_code == 409:
                    return -1, "it is not running"
                raise
        assert output is None or isinstance(output, bytes)
        return -1 if code is None else code, (output or b"").decode(errors="replace")

    def reload(self, container: Container) -> None:
        with _errors(f"inspect {container.name}"):
            container.reload()

    def last_exit_code(self, container: Container) -> int | None:
        """How its last run ended: of a container that was started again only the engine's events know."""
        with _errors(f"see how {container.name} ended"):
            events = self._client.events(
                since=0,
                until=int(time.time()) + 1,
                filters={"container": container.id, "event": "die"},
                decode=True,
            )
            codes = [event["Actor"]["Attributes"].get("exitCode") for event in events]
        return int(codes[-1]) if codes and str(codes[-1]).isdecimal() else None

    def log(self, container: Container, lines: int = 20) -> list[str]:
        """The last lines the container printed."""
        from docker.errors import DockerException

        try:
            output = container.logs(tail=lines)
        except (DockerException, OSError):
            return []
        assert isinstance(output, bytes)
        return output.decode(errors="replace").splitlines()

    def _log_config(self) -> Any:
        """A bound for the driver whose default has none; any other is the operator's choice."""
        from docker.types import LogConfig

        if self._client.info().get("LoggingDriver") != "json-file":
            return None
        return LogConfig(type="json-file", config={"max-size": "10m", "max-file": "3"})

    @contextlib.contextmanager
    def _patience(self, seconds: float) -> Iterator[None]:
        before = self._client.api.timeout
        self._client.api.timeout = int(seconds)
        try:
            yield
        finally:
            self._client.api.timeout = before


@contextlib.contextmanager
def _errors(action: str) -> Iterator[None]:
    """Turn what the SDK raises during `action` into ours."""
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException

    try:
        yield
    except APIError as error:
        cause = _explanation(error)
        taken = _PORT_TAKEN.search(cause)
        if taken:
            raise PortTakenError(taken[1]) from None
        raise EngineError(action, cause) from None
    except (DockerException, RequestException, OSError) as error:
        raise NoEngineError(_root_cause(error)) from None


def _explanation(error: Any) -> str:
    return " ".join(str(error.explanation or error).split())


def _split_tag(image: str) -> tuple[str, str | None]:
    """Repository and tag; a pull without a tag would fetch them all."""
    if "@" in image:
        return image, None
    repository, colon, tag = image.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (image, "latest")


def _caused_by(error: BaseException | None, kind: type[BaseException]) -> bool:
    return any(isinstance(cause, kind) for cause in _causes(error))


def _root_cause(error: BaseException) -> str:
    """The innermost system error of the SDK's nest of exceptions, in words."""
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    return " ".join(str(error).split())


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    queue: list[object] = [error]
    while queue:
        current = queue.pop()
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        queue += [current.__cause__, current.__context__, *current.args]
