"""What can go wrong with the container on a host, each in one sentence with the next step."""

from __future__ import annotations

from hermes_cli.service_manager.errors import ServiceError


class HostError(ServiceError):
    """Anything `hermes up`, `down` and `upgrade` could not do."""


class SdkMissingError(HostError):
    def __init__(self) -> None:
        super().__init__("the Docker SDK for Python is missing: pip install 'hermes-cli[docker]'")


class NoEngineError(HostError):
    def __init__(self, cause: str) -> None:
        super().__init__(
            f"no Docker engine answers ({cause}); start it, or see https://docs.docker.com/engine/install/"
        )


class EngineAccessError(HostError):
    def __init__(self) -> None:
        super().__init__(
            "this user may not talk to the Docker engine: join the docker group "
            "('sudo usermod -aG docker $USER', then log in again), or use sudo"
        )


class EngineError(HostError):
    def __init__(self, action: str, cause: str) -> None:
        super().__init__(f"could not {action}: the Docker engine answered: {cause}")


class ImageMissingError(HostError):
    def __init__(self, image: str, cause: str) -> None:
        super().__init__(
            f"the image {image} is not here and cannot be pulled ({cause}): "
            "'make image' builds hermes:dev, or name another with --image"
        )


class NameTakenError(HostError):
    def __init__(self, name: str, image: str) -> None:
        super().__init__(
            f"a container named {name} exists that is not one of ours (image {image}); "
            "choose another name with --name, or remove it"
        )


class PortTakenError(HostError):
    def __init__(self, port: str) -> None:
        super().__init__(
            f"port {port} is taken on this machine; end what listens there, or publish others with --ports"
        )


class DifferentSettingsError(HostError):
    def __init__(self, name: str, differences: list[str]) -> None:
        super().__init__(
            f"the container {name} exists with other settings ({'; '.join(differences)}); "
            "--recreate replaces it and keeps its volume"
        )
        self.differences = differences


class NotHealthyError(HostError):
    """`log` holds the last lines of the container's output."""

    def __init__(self, name: str, cause: str, log: list[str], *, then: str = "") -> None:
        super().__init__(f"the container {name} did not get healthy: {cause}{then}")
        self.name = name
        self.cause = cause
        self.log = log


class NoContainerError(HostError):
    def __init__(self, name: str) -> None:
        super().__init__(f"there is no container {name}; 'hermes up' makes one")
