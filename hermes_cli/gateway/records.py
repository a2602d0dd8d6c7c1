"""Intent, state and the parking slip: the three small files a gateway and its operator speak through."""

from __future__ import annotations

from typing import Literal

import msgspec

from hermes_cli.home import Record

Intent = Literal["running", "stopped"]
State = Literal["starting", "backing_off", "running", "degraded", "draining", "stopped", "failed"]
ParkedKind = Literal["config", "crash_loop"]


class IntentRecord(Record, kw_only=True):
    """What the operator asked for: written by commands, never by the gateway."""

    intent: Intent
    requested_at: float
    """Seconds since the epoch. Unclean starts before it no longer count."""
    requested_by: str = "cli"


class StateRecord(Record, kw_only=True):
    """What the gateway last reported of itself: written by the gateway, never by commands."""

    state: State
    pid: int
    pid_start: int
    """Clock ticks after boot at which `pid` began (proc(5), field 22): a pid alone may be recycled."""
    boot_id: str
    init_start: int = 0
    """When PID 1 began, likewise: where it differs, the whole container ended, and not the gateway alone."""
    started_at: float
    ready_at: float | None = None
    host: str | None = None
    port: int | None = None
    socket: str | None = None
    hermes_version: str = ""
    message: str = ""
    unclean_starts: list[float] = msgspec.field(default_factory=list)
    """When the latest starts after an unclean end happened: seconds since the epoch, oldest first."""
    restarts: int = 0
    """Unclean ends since the operator last asked for a start."""


class ParkedRecord(Record, kw_only=True):
    """Why the gateway is down on purpose. Removed by the next start."""

    kind: ParkedKind
    reason: str
    parked_at: float
    exit_code: int = 78
