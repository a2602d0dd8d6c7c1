"""The service manager in charge here, over both its levels: this user's services and the whole system's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal

from hermes_cli import service_manager
from hermes_cli.service_manager.errors import NoServiceManagerError, ServiceError

if TYPE_CHECKING:
    from hermes_cli.service_manager.logs import LogReader
    from hermes_cli.service_manager.types import (
        RenderedFile,
        ServiceManager,
        ServiceManagerKind,
        ServiceSpec,
        ServiceStatus,
    )

Level = Literal["user", "system"]

LEVELS: tuple[Level, ...] = ("user", "system")
WITH_LEVELS: frozenset[ServiceManagerKind] = frozenset({"systemd", "launchd"})


def manager_here(level: Level | None = None) -> ServiceManager:
    """The manager in charge; without a `level`, one that finds a gateway at either.

    Raises `NoServiceManagerError` where there is none, `ServiceError` for a level that it does not have.
    """
    kind = service_manager.detect_service_manager()
    if kind not in WITH_LEVELS:
        if level == "system":
            raise ServiceError(
                f"{kind} has no services of the whole system that Hermes can make; leave it out"
            )
        return service_manager.get_service_manager(kind)
    if level is not None:
        return service_manager.get_service_manager(kind, level=level)
    return EitherLevel(kind)


def manager_or_none() -> ServiceManager | None:
    """Likewise, or None where there is nothing that could keep a gateway up."""
    try:
        return manager_here()
    except NoServiceManagerError:
        return None


class EitherLevel:
    """Each verb goes to the level that has the service; to the caller's own where none has it.

    The backends themselves refuse to act on a service that is installed at both.
    """

    def __init__(self, kind: ServiceManagerKind) -> None:
        self._kind = kind
        self._levels = LEVELS[::-1] if _is_root() else LEVELS
        self._managers = {
            level: service_manager.get_service_manager(kind, level=level) for level in self._levels
        }
        self._own, self._other = (self._managers[level] for level in self._levels)

    @property
    def kind(self) -> ServiceManagerKind:
        return self._kind

    def start(self, name: str) -> None:
        self._of(name).start(name)

    def stop(self, name: str) -> None:
        self._of(name).stop(name)

    def restart(self, name: str) -> None:
        self._of(name).restart(name)

    def is_running(self, name: str) -> bool:
        return self.status(name).running

    def status(self, name: str) -> ServiceStatus:
        return self._of(name).status(name)

    def status_all(self, names: Iterable[str] | None = None) -> dict[str, ServiceStatus]:
        if names is None:
            return self._other.status_all() | self._own.status_all()
        found = self._own.status_all(names)
        missing = [name for name, status in found.items() if not status.registered]
        return found | (self._other.status_all(missing) if missing else {})

    def logs(self, name: str, *, lines: int = 100, follow: bool = False) -> Iterator[str]:
        return self._of(name).logs(name, lines=lines, follow=follow)

    def open_log(
        self, name: str, *, lines: int | None = 100, since: float = 0.0, cursor: str | None = None
    ) -> LogReader:
        from hermes_cli.service_manager.logs import KeepsLogs

        manager = self._of(name)
        assert isinstance(manager, KeepsLogs)  # as every backend of the library does
        return manager.open_log(name, lines=lines, since=since, cursor=cursor)

    def install(self, spec: ServiceSpec, *, force: bool = False) -> None:
        self._of(spec.name).install(spec, force=force)

    def uninstall(self, name: str) -> None:
        self._of(name).uninstall(name)

    def render(self, spec: ServiceSpec) -> list[RenderedFile]:
        return self._of(spec.name).render(spec)

    def supports_runtime_registration(self) -> bool:
        return False

    def register_profile_gateway(
        self, profile: str, *, extra_env: dict[str, str] | None = None, start_now: bool = False
    ) -> None:
        self._own.register_profile_gateway(profile, extra_env=extra_env, start_now=start_now)

    def unregister_profile_gateway(self, profile: str) -> None:
        self._own.unregister_profile_gateway(profile)

    def list_profile_gateways(self) -> list[str]:
        return []

    def where(self, name: str) -> Level | None:
        """The level that has service `name`, the caller's own first; None where neither has it."""
        return next((level for level in self._levels if _has(self._managers[level], name)), None)

    def at(self, level: Level) -> ServiceManager:
        return self._managers[level]

    def _of(self, name: str) -> ServiceManager:
        return self._managers[self.where(name) or self._levels[0]]


def levels_of(name: str) -> list[Level]:
    """All levels of this host at which service `name` is installed."""
    kind = service_manager.detect_service_manager()
    if kind not in WITH_LEVELS:
        return []
    either = EitherLevel(kind)
    return [level for level in LEVELS if _has(either.at(level), name)]


def _has(manager: ServiceManager, name: str) -> bool:
    return manager.status_all([name])[name].registered


def _is_root() -> bool:
    import os

    return hasattr(os, "geteuid") and os.geteuid() == 0
