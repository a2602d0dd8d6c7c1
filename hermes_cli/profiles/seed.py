"""What a new home holds: config.yaml, .env with a fresh token, SOUL.md."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from hermes_cli.config.schema import (
    DEFAULT_DRAIN,
    DEFAULT_HOST,
    FIRST_PORT,
    MAX_DRAIN,
    PASSWORD_VARIABLE,
    TOKEN_VARIABLE,
)
from hermes_cli.home import Home, save, write_atomic
from hermes_cli.service_manager.names import DEFAULT_PROFILE

from .survey import ProfileRecord

_CONFIG = """\
# Settings of this profile. 'hermes config check' says what is wrong in here, with line and column.
gateway:
  # Where the gateway listens. No other profile may have the same port.
  port: {port}

  # The address to listen on: {host} unless HERMES_GATEWAY_HOST says otherwise.
  # host: {host}

  # Seconds that work in progress gets when the gateway is asked to stop, at most {max_drain:g}.
  # drain_timeout: {drain:g}
"""

_ENV_HEAD = """\
# Secrets of this profile: KEY=VALUE, one a line. They count over the environment of container or host.
"""

_ENV_TOKEN = """\
# What clients send as 'Authorization: Bearer ...' to the gateway.
{variable}={token}
"""

_ENV_TOKEN_ELSEWHERE = """\
# The gateway's token came from the environment when this file was made. Set here, it counts over that.
# {variable}=
"""

_ENV_PASSWORD = """\
# What the dashboard asks for; needed to listen beyond this machine.
# {variable}=
"""

_SOUL = """\
# Who this agent is

Write here, in plain words, who the agent of this profile is, what it is for, and how it should speak.
"""


def seed_home(home: Home, port: int = FIRST_PORT, environ: Mapping[str, str] | None = None) -> list[Path]:
    """Make what is missing in `home`, and return that. What exists is left as it is. Raises OSError.

    The token of `default` may come from the environment ($HERMES_GATEWAY_TOKEN); then none is made up.
    """
    environ = os.environ if environ is None else environ
    made = []
    directories = [home.path, home.run_dir]
    if home.profile == DEFAULT_PROFILE:
        directories += [home.root / "profiles", home.logs, home.gateway_log.parent]
    for directory in directories:
        if not directory.is_dir():
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            made.append(directory)
    given = home.profile == DEFAULT_PROFILE and bool(environ.get(TOKEN_VARIABLE))
    return made + _files(home.path, port, given, home.profile == DEFAULT_PROFILE)


def seed_directory(directory: Path, port: int) -> None:
    """Make `directory`, which must not exist, a complete home of a profile. Raises OSError."""
    directory.mkdir(mode=0o700)
    (directory / "run").mkdir(mode=0o700)
    _files(directory, port, token_given=False, dashboard=False)


def _files(directory: Path, port: int, token_given: bool, dashboard: bool) -> list[Path]:
    config = _CONFIG.format(port=port, host=DEFAULT_HOST, drain=DEFAULT_DRAIN, max_drain=MAX_DRAIN)
    contents = {"config.yaml": config, ".env": None, "SOUL.md": _SOUL}
    made = []
    for name, content in contents.items():
        path = directory / name
        if not os.path.lexists(path):
            text = content if content is not None else _env(token_given, dashboard)
            write_atomic(path, text.encode(), mode=0o600)
            made.append(path)
    record = directory / "profile.json"
    if made and not os.path.lexists(record):
        save(record, ProfileRecord(created_at=time.time()))
        made.append(record)
    return made


def _env(token_given: bool, dashboard: bool) -> str:
    if token_given:
        token = _ENV_TOKEN_ELSEWHERE.format(variable=TOKEN_VARIABLE)
    else:
        import secrets

        token = _ENV_TOKEN.format(variable=TOKEN_VARIABLE, token=secrets.token_urlsafe(32))
    password = _ENV_PASSWORD.format(variable=PASSWORD_VARIABLE) if dashboard else ""
    return _ENV_HEAD + token + password
