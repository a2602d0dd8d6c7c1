"""What the screens ask: the status, the verbs, the gateways, all below one root home."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hermes_cli.faces.verbs import Operator
from hermes_cli.home import Home
from hermes_cli.status import StatusReport, collect

if TYPE_CHECKING:
    from hermes_cli.gateway.client import GatewayClient
    from hermes_cli.service_manager import ServiceManager

PATIENCE = 5.0
"""Seconds without an answer until a gateway is called slow."""


@dataclass(frozen=True)
class Installation:
    """Ways to ask, each from a thread: any may take its time."""

    root: Path
    look: Callable[[], StatusReport]
    operator: Callable[[], Operator]
    manager: Callable[[], ServiceManager | None]
    clock: Callable[[], float] = field(default=time.time)
    """Seconds since the epoch."""

    def home(self, profile: str) -> Home:
        return Home.of(profile, self.root)

    def client(self, profile: str) -> GatewayClient:
        from hermes_cli.gateway.client import GatewayClient

        return GatewayClient(self.home(profile), timeout=PATIENCE)


def installation(root: Path) -> Installation:
    """What is below `root` on this machine."""
    return Installation(
        root=root,
        look=lambda: collect(root),
        operator=lambda: _lifecycle(root),
        manager=_manager,
    )


def _manager() -> ServiceManager | None:
    from hermes_cli.gateway.levels import manager_or_none

    return manager_or_none()


def _lifecycle(root: Path) -> Operator:
    from hermes_cli.gateway.lifecycle import Lifecycle

    return Lifecycle(_manager(), root)
