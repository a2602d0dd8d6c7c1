"""Waiting until the container's services do what is wanted of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from .errors import NotHealthyError

if TYPE_CHECKING:
    from docker.models.containers import Container

    from .engine import Engine

Progress = Callable[[str], None]

DEADLINE = 120.0
"""Seconds a container may take to get healthy: fifty gateways on a slow disk fit."""
_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.0)
"""Seconds between two looks; the last repeats. The engine has no event for what is inside a container, and
its own HEALTHCHECK looks only every few seconds."""
_STATUS = ["hermes", "status", "--json"]


class _Service(msgspec.Struct):
    service: str
    kind: str = "gateway"
    actual: str = ""
    url: str | None = None
    wanted: str = "down"
    problem: str | None = None


class Report(msgspec.Struct):
    """The part of `hermes status --json` that the host needs."""

    healthy: bool
    problems: list[str] = []
    supervisor: str = "none"
    volume_held: str | None = None
    services: list[_Service] = []

    @property
    def final(self) -> bool:
        """Whether what is wrong stays wrong, however long one waits."""
        troubled = [service for service in self.services if service.problem]
        parked = bool(troubled) and all(service.actual == "parked" for service in troubled)
        return self.booted and (self.volume_held is not None or parked)

    @property
    def booted(self) -> bool:
        """Whether the container's own services are up, so that commands in it find what they need.

        main-hermes is the last that the boot starts, after the slots and the registrar.
        """
        last = [service for service in self.services if service.kind == "main"]
        return self.supervisor == "s6" and any(
            service.actual in ("ready", "starting", "unknown") for service in last
        )

    @property
    def urls(self) -> dict[str, str]:
        """Where the wanted services are reached, by name."""
        wanted = [service for service in self.services if service.wanted == "up"]
        return {service.service: service.url for service in wanted if service.url}


def look(engine: Engine, container: Container) -> tuple[Report | None, str]:
    """What the container says of itself now, and else why it says nothing."""
    code, output = engine.run(container, _STATUS)
    if code in (126, 127):
        return None, "there is no hermes command in it"
    if code == -1:
        return None, output
    try:
        return msgspec.json.decode(output, type=Report), ""
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None, f"'hermes status' in it answered with exit code {code}"


def wait_healthy(
    engine: Engine,
    container: Container,
    progress: Progress,
    *,
    accepted: frozenset[str] = frozenset(),
    deadline: float = DEADLINE,
) -> Report:
    """Return the report of the healthy container.

    `accepted` are problems it may have: those that were there before an upgrade are not the upgrade's.
    Raises `NotHealthyError` with the container's last words once it ended, or after `deadline` seconds.
    """
    begin = time.monotonic()
    restarts = _restarts(container)
    said, said_at, attempt = "", begin, 0
    while True:
        engine.reload(container)
        if container.status in ("exited", "dead", "restarting") or _restarts(container) > restarts:
            code = engine.last_exit_code(container)
            how = "" if code is None else f" with exit code {code}"
            raise _failure(engine, container, f"it ended{how}")
        report, cause = look(engine, container)
        if report is not None:
            if report.booted and (report.healthy or accepted.issuperset(report.problems)):
                return report
            cause = "; ".join(report.problems) or "it is booting"
            if report.final:
                raise _failure(engine, container, cause)
        now = time.monotonic()
        if now - begin > deadline:
            raise _failure(engine, container, f"{cause}, after {deadline:g} s")
        if cause != said or now - said_at >= 5:
            progress(f"waiting until it is healthy ({now - begin:.0f} s): {cause}")
            said, said_at = cause, now
        time.sleep(_PAUSES[min(attempt, len(_PAUSES) - 1)])
        attempt += 1


def _restarts(container: Container) -> int:
    return int(container.attrs.get("RestartCount", 0))


def _failure(engine: Engine, container: Container, cause: str) -> NotHealthyError:
    return NotHealthyError(str(container.name), cause, engine.log(container))
