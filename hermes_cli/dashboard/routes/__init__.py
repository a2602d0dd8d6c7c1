"""What is served at which address: one module for each part of the dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from . import config, doctor, logs, overview, processes, profiles, runs, sessions, sign_in

if TYPE_CHECKING:
    from hermes_cli.dashboard.app import Dashboard

_PARTS = (overview, sign_in, profiles, runs, processes, sessions, logs, config, doctor)


def routes(dashboard: Dashboard) -> list[Route]:
    """Every route; the first that matches an address serves it."""
    return [route for part in _PARTS for route in part.routes(dashboard)]
