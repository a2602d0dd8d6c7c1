"""The bodies of the gateway's answers, for the server that makes them and the clients that read them."""

from __future__ import annotations

from typing import Literal

import msgspec

from .records import State


class GatewayStatus(msgspec.Struct, kw_only=True):
    """The body of /v1/status."""

    version: int = 1
    profile: str
    state: State
    ready: bool
    pid: int
    started_at: float
    """Seconds since the epoch, as all times here."""
    ready_at: float | None
    uptime_seconds: float
    host: str | None
    port: int | None
    url: str | None
    socket: str | None
    hermes_version: str
    restarts: int
    """Unclean ends since the operator last asked for a start."""
    drain_timeout: float
    connections: int
    event_streams: int
    problems: list[str]
    """What keeps it from being well; empty while it is."""
    warnings: list[str]
    """What its configuration should be mended for."""


class Features(msgspec.Struct, kw_only=True):
    events: bool = True
    runs: bool = True
    processes: bool = True
    sessions: bool = True


class Limits(msgspec.Struct, kw_only=True):
    body_bytes: int
    header_bytes: int
    connections: int
    request_seconds: float


class AgentCapabilities(msgspec.Struct, kw_only=True):
    """What executes this profile's runs."""

    name: str
    controls: list[str]
    """Of `cancel`, `approval`, `clarify`, `message` and `goal`: any other answers `unsupported`."""
    inputs: list[str]
    """Of `attachments`, `model`, `provider` and `toolsets`: a run that names another is refused."""


class Capabilities(msgspec.Struct, kw_only=True):
    """The body of /v1/capabilities: what this gateway does, and not what some gateway might."""

    version: int = 1
    hermes_version: str
    profile: str
    features: Features = msgspec.field(default_factory=Features)
    limits: Limits
    agent: AgentCapabilities


class Health(msgspec.Struct, kw_only=True):
    """The body of /healthz and /readyz."""

    status: Literal["ok", "starting", "draining"]
