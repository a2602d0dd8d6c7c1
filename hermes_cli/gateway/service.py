"""The gateway as a service: its specification for each init, and what to say where it is not installed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hermes_cli.home import Home
from hermes_cli.service_manager.errors import GatewayNotRegisteredError
from hermes_cli.service_manager.names import DEFAULT_PROFILE, service_name

from .naming import command_for

if TYPE_CHECKING:
    from hermes_cli.service_manager.types import ServiceManager, ServiceManagerKind, ServiceSpec

IN_THE_IMAGE = "/opt/hermes/venv/bin/hermes"
"""What a slot runs (docker/gateway)."""

_BEYOND_THE_DRAIN = 30.0
"""Seconds between the longest drain and the kill: a drain that is under way ends by itself."""

_WITH_A_JOURNAL: frozenset[str] = frozenset({"systemd"})
"""Inits that keep a service's output themselves, within bounds."""


def gateway_spec(home: Home, kind: ServiceManagerKind, *, user: str | None = None) -> ServiceSpec:
    """The gateway of `home` as a service of an init; `user` runs it where that is the whole system's.

    Nothing of the caller's environment goes into it, and nothing secret: the gateway itself reads its
    profile's .env. Nothing of config.yaml either: changing that needs a restart, and no new installation.
    """
    from hermes_cli.config.schema import MAX_DRAIN
    from hermes_cli.service_manager.types import ServiceSpec

    name, profile = service_name(home.profile), home.profile
    if kind == "s6":
        chosen = () if profile == DEFAULT_PROFILE else ("-p", profile)
        return ServiceSpec(name, (IN_THE_IMAGE, *chosen, "gateway", "run"))
    return ServiceSpec(
        name=name,
        command=(sys.executable, "-P", "-m", "hermes_cli.gateway", profile),
        description=f"Hermes gateway of {profile}",
        working_directory=home.root,
        environment={"HERMES_HOME": os.fspath(home.root), "HERMES_SUPERVISOR": kind},
        stdout=None if kind in _WITH_A_JOURNAL else home.gateway_log / "current",
        stop_timeout=MAX_DRAIN + _BEYOND_THE_DRAIN,
        keeps_own_ledger=True,
        user=user,
    )


def is_host(manager: ServiceManager) -> bool:
    """Whether gateways are installed one by one here; in the container a profile brings its slot."""
    return not manager.supports_runtime_registration()


def install_command(profile: str) -> str:
    return f"{command_for(profile)} gateway install"


@contextmanager
def telling_how_to_install(manager: ServiceManager, profile: str) -> Iterator[None]:
    """Say of a service that is not there which command makes it: on a host another than in the image."""
    try:
        yield
    except GatewayNotRegisteredError as error:
        if not is_host(manager):
            raise
        remedy = f"'{install_command(profile)}' does that"
        raise GatewayNotRegisteredError(profile, error.service, remedy) from error


def move_installation(manager: ServiceManager, old: str, home: Home) -> None:
    """Install the gateway of `home` where that of the profile `old` is installed, and remove that one.

    Nothing where it is not. Done twice, or cut off and done again, it ends the same. Raises `ServiceError`.
    """
    from .levels import EitherLevel

    name, user = service_name(old), None
    if not manager.status_all([name])[name].registered:
        return
    if isinstance(manager, EitherLevel):
        level = manager.where(name) or "user"
        manager = manager.at(level)
        user = owner_of(home) if level == "system" else None
    manager.install(gateway_spec(home, manager.kind, user=user))
    manager.uninstall(name)


def owner_of(home: Home) -> str | None:
    """Whom a gateway of the whole system has to run as; None for root."""
    import pwd

    uid = home.path.stat().st_uid
    return pwd.getpwuid(uid).pw_name if uid else None


def root_home_of(user: str) -> Path:
    """Where the root home of `user` is by default. Raises KeyError for one who is not there."""
    import pwd

    return Path(pwd.getpwnam(user).pw_dir, ".hermes")
