"""Checks of what the operator configured: config.yaml, ports, tokens."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

from hermes_cli.config import inspect_config
from hermes_cli.gateway.lock import holder_of
from hermes_cli.gateway.port_holder import describe_holder, pid_listening_on
from hermes_cli.home import Home

from .model import Check, Result, Scene, problem

SHORTEST_TOKEN = 16
"""Characters. 'hermes profile create' makes longer ones; shorter ones can be tried out."""


def configuration(scene: Scene) -> Iterator[Result]:
    for home in scene.homes:
        inspection = inspect_config(home)
        missing = home.profile != "default" and not home.config.exists()
        for number, error in enumerate(inspection.errors):
            yield problem(
                f"config {home.profile} {number}",
                str(error),
                "write a new one with a free port"
                if missing
                else "edit the file; 'hermes config check' looks again",
                mend=_write_config(home) if missing and error.path == home.config else None,
            )
        for number, warning in enumerate(inspection.warnings):
            yield problem(
                f"config {home.profile} warning {number}", warning, "edit the file", status="warning"
            )


def ports(scene: Scene) -> Iterator[Result]:
    """No two profiles with one port, and none that another program has."""
    owners: dict[int, list[Home]] = defaultdict(list)
    for home in scene.homes:
        port = inspect_config(home).values.get("gateway.port")
        if isinstance(port, int):
            owners[port].append(home)
    dashboard = inspect_config(scene.homes[0]).values.get("dashboard.port")
    for port, homes in sorted(owners.items()):
        names = ", ".join(home.profile for home in homes)
        if len(homes) > 1:
            yield problem(
                f"ports {port}",
                f"port {port} is configured for several profiles: {names}",
                f"hermes -p {homes[-1].profile} config set gateway.port PORT",
            )
        elif port == dashboard:
            yield problem(
                f"ports {port}",
                f"port {port} of the profile {names} is the dashboard's as well",
                f"hermes -p {names} config set gateway.port PORT",
                status="warning",
            )
        elif not any(holder_of(home) for home in homes) and pid_listening_on(port) is not None:
            yield problem(
                f"ports {port}",
                f"port {port} of the profile {names} is taken by {describe_holder(homes[0], port)}",
                "end that program, or choose another port for the profile",
                status="error" if _wanted(scene, homes[0]) else "warning",
            )


def tokens(scene: Scene) -> Iterator[Result]:
    owners: dict[str, list[str]] = defaultdict(list)
    for home in scene.homes:
        if home.profile == "default" and not home.config.exists() and not home.env.exists():
            continue  # never configured: the first command makes both
        token = inspect_config(home).token
        if not token:
            yield problem(
                f"tokens {home.profile}",
                f"the profile {home.profile} has no HERMES_GATEWAY_TOKEN: its gateway refuses every request",
                f"write a long random HERMES_GATEWAY_TOKEN=... into {home.env}",
                mend=_write_token(home) if home.path.is_dir() else None,
            )
        elif len(token) < SHORTEST_TOKEN:
            yield problem(
                f"tokens {home.profile}",
                f"the token of the profile {home.profile} has {len(token)} characters and can be guessed",
                f"write a longer HERMES_GATEWAY_TOKEN=... into {home.env}",
                status="warning",
            )
        if token:
            owners[token].append(home.profile)
    for names in owners.values():
        if len(names) > 1:
            yield problem(
                f"tokens {names[-1]} shared",
                f"the profiles {', '.join(names)} have the same token: whoever may use one may use all",
                "give each its own HERMES_GATEWAY_TOKEN in its .env",
                status="warning",
            )


def _wanted(scene: Scene, home: Home) -> bool:
    return any(row.profile == home.profile and row.wanted == "up" for row in scene.status.services)


def _write_config(home: Home) -> Callable[[], object]:
    def mend() -> None:
        from hermes_cli.profiles import seed_home
        from hermes_cli.profiles.survey import free_port

        seed_home(home, free_port(home.root))

    return mend


def _write_token(home: Home) -> Callable[[], object]:
    def mend() -> None:
        import os
        import secrets

        # Appended through a descriptor: what else stands in the file is the operator's.
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(home.env, flags, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            start = "\n" if size and os.pread(descriptor, 1, size - 1) != b"\n" else ""
            os.write(descriptor, f"{start}HERMES_GATEWAY_TOKEN={secrets.token_urlsafe(32)}\n".encode())
        finally:
            os.close(descriptor)

    return mend


CHECKS = (
    Check("config", "every config.yaml can be read", configuration),
    Check("ports", "every profile has a port of its own", ports),
    Check("tokens", "every profile has a token", tokens),
)
