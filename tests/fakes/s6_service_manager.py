"""S6ServiceManager without s6: services in memory, verbs that can be held up or made to fail."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from hermes_cli.service_manager import (
    GatewayNotRegisteredError,
    RenderedFile,
    ServiceError,
    ServiceManagerKind,
    ServiceSpec,
    ServiceStatus,
    ServiceTimeoutError,
)
from hermes_cli.service_manager.names import profile_of, service_name

HOLD_LIMIT = 30.0
"""Seconds after which a verb that was never let go gives up, as a real one would."""


@dataclass
class Call:
    """One verb as it was asked for."""

    verb: str
    service: str


class FakeS6ServiceManager:
    """Keeps the promises of the protocol: verified outcomes, idempotent verbs, typed errors."""

    def __init__(self, *profiles: str) -> None:
        self.calls: list[Call] = []
        self.failures: dict[str, ServiceError] = {}
        """Verb → what it raises instead of doing anything."""
        self._services = {name: ServiceStatus(name, registered=True) for name in map(service_name, profiles)}
        self._pid = 1000
        self._free = threading.Event()
        self._free.set()

    @property
    def kind(self) -> ServiceManagerKind:
        return "s6"

    def hold(self) -> None:
        """Let no verb finish until `release`."""
        self._free.clear()

    def release(self) -> None:
        self._free.set()

    def change(self, profile: str, **fields: object) -> None:
        """Make something happen to a service from outside: a crash, a park."""
        name = service_name(profile)
        self._services[name] = replace(self._services[name], **fields)  # type: ignore[arg-type]

    def start(self, name: str) -> None:
        service = self._begin("start", name)
        if not service.running:
            self._up(name)

    def stop(self, name: str) -> None:
        self._begin("stop", name)
        self._services[name] = ServiceStatus(name, registered=True, exit_code=0)

    def restart(self, name: str) -> None:
        self._begin("restart", name)
        self._up(name)

    def is_running(self, name: str) -> bool:
        return self.status(name).running

    def status(self, name: str) -> ServiceStatus:
        return self._services.get(name, ServiceStatus(name, registered=False))

    def status_all(self, names: Iterable[str] | None = None) -> dict[str, ServiceStatus]:
        return {name: self.status(name) for name in (self._services if names is None else names)}

    def logs(self, name: str, *, lines: int = 100, follow: bool = False) -> Iterator[str]:
        self._registered(name)
        return iter(())

    def install(self, spec: ServiceSpec, *, force: bool = False) -> None:
        self.register_profile_gateway(profile_of(spec.name))

    def uninstall(self, name: str) -> None:
        self._services.pop(name, None)

    def render(self, spec: ServiceSpec) -> list[RenderedFile]:
        return []

    def supports_runtime_registration(self) -> bool:
        return True

    def register_profile_gateway(
        self, profile: str, *, extra_env: dict[str, str] | None = None, start_now: bool = False
    ) -> None:
        name = service_name(profile)
        self._services.setdefault(name, ServiceStatus(name, registered=True))
        if start_now:
            self.start(name)

    def unregister_profile_gateway(self, profile: str) -> None:
        self._services.pop(service_name(profile), None)

    def list_profile_gateways(self) -> list[str]:
        return sorted(map(profile_of, self._services))

    def _begin(self, verb: str, name: str) -> ServiceStatus:
        service = self._registered(name)
        self.calls.append(Call(verb, name))
        if not self._free.wait(HOLD_LIMIT):
            raise ServiceTimeoutError(name, verb, HOLD_LIMIT, service.in_words())
        if verb in self.failures:
            raise self.failures[verb]
        return service

    def _up(self, name: str) -> None:
        self._pid += 1
        self._services[name] = ServiceStatus(
            name, registered=True, running=True, ready=True, wanted=True, pid=self._pid, restarts=0
        )

    def _registered(self, name: str) -> ServiceStatus:
        if name not in self._services:
            raise GatewayNotRegisteredError(profile_of(name), name)
        return self._services[name]
