"""How a message tells a person to name a profile."""

from __future__ import annotations

from hermes_cli.service_manager.names import DEFAULT_PROFILE


def command_for(profile: str) -> str:
    """`hermes`, or `hermes -p NAME`: what a command on this profile begins with."""
    return "hermes" if profile == DEFAULT_PROFILE else f"hermes -p {profile}"
