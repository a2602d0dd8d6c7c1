"""Which profiles there are, what their ports are, and what lies between them that is none."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from hermes_cli.config.reading import inspect_config
from hermes_cli.config.schema import FIRST_PORT
from hermes_cli.home import CorruptFileError, Home, Record, load, not_a_profile, profile_entries, root_home
from hermes_cli.service_manager.names import DEFAULT_PROFILE

from .errors import NotAProfileError, PortTakenError, ProfileError, ProfileNotFoundError

LAST_PORT = 65535


class ProfileRecord(Record, kw_only=True):
    """profile.json: what is known of a profile besides its settings."""

    created_at: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile as it is on disk."""

    name: str
    home: Home
    port: int | None
    """None where config.yaml cannot be understood."""
    created_at: float | None = None
    """Seconds since the epoch; None where nobody wrote it down."""
    config_error: str | None = None
    """What is wrong with its configuration, first thing first."""


@dataclass(slots=True)
class Survey:
    """The profiles, `default` first and then by name, and the strays: (name, what it is instead)."""

    profiles: list[Profile] = field(default_factory=list)
    strays: list[tuple[str, str]] = field(default_factory=list)


def survey(root: Path | None = None) -> Survey:
    """Look at every home once. Raises nothing that a file in one of them can cause."""
    root = root if root is not None else root_home()
    found = Survey(profiles=[look_at(Home.of(DEFAULT_PROFILE, root))])
    for name, objection in profile_entries(root):
        if objection is None:
            found.profiles.append(look_at(Home(name, root)))
        else:
            found.strays.append((name, objection))
    return found


def list_profiles(root: Path | None = None) -> list[Profile]:
    """The profiles, `default` first and then by name."""
    return survey(root).profiles


def get_profile(name: str, root: Path | None = None) -> Profile:
    """The profile `name`; raises `ProfileNotFoundError` or `NotAProfileError`."""
    return look_at(require_profile(name, root))


def require_profile(name: str, root: Path | None = None) -> Home:
    """The home of the profile `name`, which exists; raises `ProfileNotFoundError` or `NotAProfileError`.

    `default` always exists, even before anything was written into the root home.
    """
    home = Home.of(name, root)
    if name == DEFAULT_PROFILE:
        return home
    if not os.path.lexists(home.path):
        known = [other for other, objection in profile_entries(home.root) if objection is None]
        raise ProfileNotFoundError(name, known)
    objection = not_a_profile(home.path)
    if objection is not None:
        raise NotAProfileError(name, home.path, objection)
    return home


def look_at(home: Home) -> Profile:
    """What can be known of a home without asking its gateway."""
    inspection = inspect_config(home)
    try:
        record = load(home.path / "profile.json", ProfileRecord)
    except CorruptFileError:
        record = None
    return Profile(
        name=home.profile,
        home=home,
        port=inspection.port,
        created_at=record.created_at if record else None,
        config_error=str(inspection.errors[0]) if inspection.errors else None,
    )


def port_holder(port: int, *, besides: str, root: Path | None = None) -> str | None:
    """The profile other than `besides` whose config.yaml has `port`."""
    for profile in list_profiles(root):
        if profile.port == port and profile.name != besides:
            return profile.name
    return None


def check_port(profile: str, port: int, root: Path | None = None) -> None:
    """Raise `PortTakenError` where another profile has `port`."""
    holder = port_holder(port, besides=profile, root=root)
    if holder is not None:
        raise PortTakenError(profile, port, holder)


def free_port(root: Path | None = None) -> int:
    """The lowest port from 8642 up that no profile has. Callers hold the lock until it is written."""
    taken = {profile.port for profile in list_profiles(root)}
    for port in range(FIRST_PORT, LAST_PORT + 1):
        if port not in taken:
            return port
    raise ProfileError(DEFAULT_PROFILE, f"every port from {FIRST_PORT} to {LAST_PORT} belongs to a profile")
