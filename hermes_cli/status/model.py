"""The shape of the report: what `hermes status --json` prints."""

from __future__ import annotations

from typing import Literal

import msgspec

from hermes_cli import __version__

Kind = Literal["gateway", "dashboard", "registrar", "lease", "main"]
Wanted = Literal["up", "down"]
Actual = Literal[
    "ready",
    "starting",
    "backing off",
    "degraded",
    "draining",
    "stopping",
    "parked",
    "down",
    "not registered",
    "not answering",
    "unknown",
]
"""`not answering`: its supervisor. `unknown`: a service of the image that this user may not look at."""

VERSION = 1
"""Of all that is printed as JSON from here: raised when a field changes its meaning or goes away."""


class ServiceReport(msgspec.Struct, kw_only=True):
    """One service. Times are seconds; None means unknown or not applicable."""

    service: str
    """`gateway-<profile>`, or the name of a static service."""
    kind: Kind = "gateway"
    profile: str | None = None
    wanted: Wanted = "down"
    """What the operator asked for; a parked gateway stays wanted."""
    actual: Actual = "down"
    ready: bool = False
    pid: int | None = None
    uptime_seconds: float | None = None
    restarts: int | None = None
    """Unclean ends since the operator last asked for a start."""
    last_exit: str | None = None
    """How the last run ended, in words."""
    parked_reason: str | None = None
    parked_kind: Literal["config", "crash_loop"] | None = None
    """Which kind of reason that is; None also where only the supervisor says that it is parked."""
    port: int | None = None
    url: str | None = None
    memory_bytes: int | None = None
    """Resident memory of the process, without its children."""
    cpu_seconds: float | None = None
    """Processor time of the process since it began, without its children."""
    active_runs: int | None = None
    """Runs that a running gateway has in hand, those that wait to be allowed included."""
    processes: int | None = None
    """Background processes of a gateway's profile that run, with or without it."""
    message: str = ""
    """What else there is to know: unreadable files, an error of the gateway. May hold several sentences."""
    problem: str | None = None
    """Why this service makes the installation unhealthy, or None. Holds no figure that changes by itself."""


class StatusReport(msgspec.Struct, kw_only=True):
    """Everything `hermes status` knows. `version` is raised when a field changes its meaning or goes away."""

    version: int = VERSION
    healthy: bool
    """Every wanted gateway is ready and none is parked, and the volume is ours.

    A gateway that is still starting is not ready, so it counts: whoever asks wants to know whether work can
    be sent. A HEALTHCHECK bridges the time of a start by its start period and its retries.
    """
    problems: list[str]
    hermes_version: str = __version__
    flavour: str | None = None
    """`overlay` or `debian` in the image, None elsewhere."""
    supervisor: str = "none"
    """Kind of the service manager."""
    home: str = ""
    volume_held: str | None = None
    """Which other container has the volume, if one has."""
    services: list[ServiceReport]


class GatewayList(msgspec.Struct, kw_only=True):
    """What `hermes gateway list --json` prints."""

    version: int = VERSION
    gateways: list[ServiceReport]
    """`default` first, then by name."""


class GatewayReport(ServiceReport, kw_only=True):
    """What `hermes gateway status --json` prints: one gateway."""

    version: int = VERSION

    @classmethod
    def of(cls, report: ServiceReport) -> GatewayReport:
        return cls(**msgspec.structs.asdict(report))
