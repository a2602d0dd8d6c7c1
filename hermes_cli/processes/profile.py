"""The registry of a profile: its directory, and what its commands must not see or show."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TypeVar

from hermes_cli.home import Home

from .redaction import secret_names
from .registry import Registry

_Registry = TypeVar("_Registry", bound=Registry)


@dataclass(frozen=True)
class Secrets:
    """What commands must not see, and nobody is to read."""

    values: tuple[str, ...]
    withheld: frozenset[str]
    """Names of variables that no command inherits."""


def secrets_of(home: Home) -> Secrets:
    """The profile's, from its .env and our environment. Raises `ConfigError` for a broken .env.

    No variable of the .env is passed on to a command unless the request names it; the values of those
    that are secrets by their name are redacted.
    """
    from hermes_cli.config import load_env

    env = load_env(home.env)
    names = {*secret_names(env), *secret_names(os.environ)}
    values = {env.get(name) or os.environ.get(name, "") for name in names} - {""}
    return Secrets(tuple(sorted(values)), frozenset(env))


def registry_of(home: Home, kind: type[_Registry] = Registry) -> _Registry:  # type: ignore[assignment]
    """The background processes of the profile whose home this is. Raises `ConfigError` for a broken .env."""
    secrets = secrets_of(home)
    return kind(
        home.processes,
        default_cwd=os.fspath(home.path),
        secrets=secrets.values,
        withheld=secrets.withheld,
    )
