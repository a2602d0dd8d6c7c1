"""What a running gateway knows of itself: the one source of its status, its metrics and its readiness."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field

from hermes_cli.home import Home
from hermes_cli.serving.protocol import Connections

from .api import GatewayStatus, Health
from .events import EventJournal
from .metrics import uptime
from .process_service import ProcessService
from .records import State
from .request_metrics import RequestTally
from .run_service import RunService
from .state import StateReporter

_LEAST_FREE = 1 << 20
"""Bytes below which the home counts as full: the small files still fit, and little else."""


@dataclass(slots=True)
class Runtime:
    """The live gateway. Everything the app shows is asked of it at the moment of the request."""

    home: Home
    reporter: StateReporter
    token: str | None
    drain_timeout: float
    url: str
    warnings: list[str]
    processes: ProcessService
    runs: RunService
    connections: Connections = field(default_factory=Connections)
    journal: EventJournal = field(default_factory=EventJournal)
    requests: RequestTally = field(default_factory=RequestTally)
    ready: bool = False
    faults: list[str] = field(default_factory=list)
    """What went wrong at start and lasts."""

    @property
    def draining(self) -> bool:
        return self.journal.draining

    def problems(self) -> list[str]:
        found = list(self.faults)
        if self.reporter.problem:
            found.append(self.reporter.problem)
        if self.processes.problem:
            found.append(self.processes.problem)
        if self.runs.problem:
            found.append(self.runs.problem)
        free = self.free_bytes()
        if free is not None and free < _LEAST_FREE:
            found.append(f"{self.home.path} has {free} bytes left; free some space")
        return found

    def state(self) -> State:
        recorded = self.reporter.record.state
        return "degraded" if recorded == "running" and self.problems() else recorded

    def health(self) -> Health:
        if self.draining:
            return Health(status="draining")
        return Health(status="ok" if self.ready else "starting")

    def free_bytes(self) -> int | None:
        try:
            return shutil.disk_usage(self.home.path).free
        except OSError:
            return None

    def status(self) -> GatewayStatus:
        record = self.reporter.record
        return GatewayStatus(
            profile=self.home.profile,
            state=self.state(),
            ready=self.ready and not self.draining,
            pid=record.pid,
            started_at=record.started_at,
            ready_at=record.ready_at,
            uptime_seconds=round(uptime(record.started_at), 3),
            host=record.host,
            port=record.port,
            url=self.url,
            socket=record.socket,
            hermes_version=record.hermes_version,
            restarts=record.restarts,
            drain_timeout=self.drain_timeout,
            connections=len(self.connections.connections),
            event_streams=self.journal.readers,
            problems=self.problems(),
            warnings=self.warnings,
        )
