"""A supervisor that keeps its slots as files, so that it survives the commands that talk to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from hermes_cli.service_manager import (
    GatewayNotRegisteredError,
    RenderedFile,
    ServiceManagerKind,
    ServiceSpec,
    ServiceStatus,
)
from hermes_cli.service_manager.installed import signed, write_files
from hermes_cli.service_manager.names import profile_of, service_name


class FileSupervisor:
    """Stands for s6 as far as profiles see it: a slot is a file whose text is `up` or `down`."""

    kind: ServiceManagerKind = "s6"

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def slots(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in sorted(self.directory.iterdir())}

    def start(self, name: str) -> None:
        self._slot(name).write_text("up")

    def stop(self, name: str) -> None:
        self._slot(name).write_text("down")

    def restart(self, name: str) -> None:
        self.start(name)

    def is_running(self, name: str) -> bool:
        return self._slot(name).read_text() == "up"

    def status(self, name: str) -> ServiceStatus:
        path = self.directory / profile_of(name)
        up = path.exists() and path.read_text() == "up"
        return ServiceStatus(name, registered=path.exists(), running=up, ready=up, wanted=up)

    def status_all(self, names: Iterable[str] | None = None) -> dict[str, ServiceStatus]:
        if names is None:
            names = map(service_name, self.list_profile_gateways())
        return {name: self.status(name) for name in names}

    def logs(self, name: str, *, lines: int = 100, follow: bool = False) -> Iterator[str]:
        self._slot(name)
        return iter(())

    def install(self, spec: ServiceSpec, *, force: bool = False) -> None:
        self.register_profile_gateway(profile_of(spec.name))

    def uninstall(self, name: str) -> None:
        self.unregister_profile_gateway(profile_of(name))

    def render(self, spec: ServiceSpec) -> list[RenderedFile]:
        return []

    def supports_runtime_registration(self) -> bool:
        return True

    def register_profile_gateway(
        self, profile: str, *, extra_env: dict[str, str] | None = None, start_now: bool = False
    ) -> None:
        path = self.directory / profile
        if not path.exists():
            path.write_text("up" if start_now else "down")

    def unregister_profile_gateway(self, profile: str) -> None:
        (self.directory / profile).unlink(missing_ok=True)

    def list_profile_gateways(self) -> list[str]:
        return sorted(self.slots())

    def _slot(self, name: str) -> Path:
        path = self.directory / profile_of(name)
        if not path.exists():
            raise GatewayNotRegisteredError(profile_of(name), name)
        return path


class FileHost(FileSupervisor):
    """Stands for an init of a host: gateways are installed one by one, and none is registered at runtime."""

    kind: ServiceManagerKind = "systemd"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.units = directory.with_name(f"{directory.name}-units")
        self.specs: dict[str, ServiceSpec] = {}

    def install(self, spec: ServiceSpec, *, force: bool = False) -> None:
        write_files(spec.name, self.render(spec), force=force)
        super().register_profile_gateway(profile_of(spec.name))
        self.specs[spec.name] = spec

    def uninstall(self, name: str) -> None:
        super().unregister_profile_gateway(profile_of(name))
        (self.units / f"{name}.unit").unlink(missing_ok=True)
        self.specs.pop(name, None)

    def render(self, spec: ServiceSpec) -> list[RenderedFile]:
        body = f"{' '.join(spec.command)}\n"
        return [RenderedFile(self.units / f"{spec.name}.unit", signed(body))]

    def supports_runtime_registration(self) -> bool:
        return False

    def register_profile_gateway(
        self, profile: str, *, extra_env: dict[str, str] | None = None, start_now: bool = False
    ) -> None:
        raise NotImplementedError("gateways are installed here")

    def unregister_profile_gateway(self, profile: str) -> None:
        raise NotImplementedError("gateways are installed here")

    def list_profile_gateways(self) -> list[str]:
        return []
