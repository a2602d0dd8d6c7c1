"""What the browser looks at: homes, gateways that run, and a dashboard, all real processes."""

from __future__ import annotations

from pathlib import Path

from hermes_cli.home import Home
from tests.integration.dashboard.browser import Dashboard, running
from tests.integration.gateway.harness import Yard

__all__ = ["Dashboard", "Yard", "running", "write_log"]


def write_log(root: Path, profile: str, text: str) -> None:
    """Append to what the gateway of `profile` has said, as s6-log would."""
    directory = Home.of(profile, root).gateway_log
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "current").open("a", encoding="utf-8") as file:
        file.write(text)
