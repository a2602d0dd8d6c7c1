"""Where the dashboard listens and who gets in, and the one combination that is refused."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hermes_cli.config import load_config, load_env
from hermes_cli.config.schema import (
    DASHBOARD_TOKEN_VARIABLE,
    READ_PASSWORD_VARIABLE,
    READ_TOKEN_VARIABLE,
)
from hermes_cli.home import Home

from .auth import NOBODY, Credentials

ROOT_PATH_VARIABLE = "HERMES_DASHBOARD_ROOT_PATH"

_ROOT_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")


class RefusedError(Exception):
    """The dashboard must not be served like this: one sentence that says what to set. Exit 78."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to serve the dashboard of the installation below `root`."""

    root: Path
    host: str
    port: int
    credentials: Credentials = NOBODY
    root_path: str = ""
    """The path under which a reverse proxy shows it, without a slash at its end; empty for none."""

    @property
    def guarded(self) -> bool:
        """Whether one must sign in."""
        return self.credentials != NOBODY

    @property
    def url(self) -> str:
        """Where a browser on this machine finds it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}{self.root_path}/"


def load_settings(
    root: Path,
    environ: Mapping[str, str] | None = None,
    *,
    host: str | None = None,
    port: int | None = None,
    root_path: str | None = None,
) -> Settings:
    """The settings of the root home's config.yaml, .env and the environment; arguments win over them.

    Raises `ConfigError` for a broken file, and `RefusedError` for anything that must not be served.
    """
    home = Home.of(root=root)
    config = load_config(home, environ).dashboard
    environment = {**(os.environ if environ is None else environ), **load_env(home.env)}
    path = root_path if root_path is not None else environment.get(ROOT_PATH_VARIABLE, "")
    settings = Settings(
        root=root,
        host=host or config.host,
        port=port or config.port,
        credentials=Credentials(
            password=config.password or None,
            token=environment.get(DASHBOARD_TOKEN_VARIABLE) or None,
            read_password=environment.get(READ_PASSWORD_VARIABLE) or None,
            read_token=environment.get(READ_TOKEN_VARIABLE) or None,
        ),
        root_path=_checked_root_path(path),
    )
    refuse_exposure(settings, home.env)
    refuse_one_secret_for_both(settings.credentials)
    return settings


def refuse_exposure(settings: Settings, env_file: Path) -> None:
    """Raise `RefusedError` if others than this machine could read without a password or token."""
    if settings.guarded or is_loopback(settings.host):
        return
    raise RefusedError(
        f"the dashboard would listen on {settings.host} for everybody: set HERMES_DASHBOARD_PASSWORD or "
        f"{DASHBOARD_TOKEN_VARIABLE} in {env_file} or in the environment, or dashboard.host to 127.0.0.1"
    )


def refuse_one_secret_for_both(credentials: Credentials) -> None:
    """Raise `RefusedError` where what is given to readers is the operator's password or token."""
    for name, secret in (
        (READ_PASSWORD_VARIABLE, credentials.read_password),
        (READ_TOKEN_VARIABLE, credentials.read_token),
    ):
        if secret and credentials.role(secret) == "operator":
            raise RefusedError(
                f"{name} is the operator's password or token as well, so readers could change everything; "
                "set another one"
            )


def is_loopback(host: str) -> bool:
    """Whether every address `host` stands for is reached from this machine alone."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        cause = getattr(error, "strerror", None) or error
        raise RefusedError(f"dashboard.host {host!r} is no address of this machine ({cause})") from error
    addresses = {str(entry[4][0]).partition("%")[0] for entry in found}
    return bool(addresses) and all(ipaddress.ip_address(address).is_loopback for address in addresses)


def _checked_root_path(path: str) -> str:
    path = path.rstrip("/")
    if path and not path.startswith("/"):
        path = f"/{path}"
    if not _ROOT_PATH.fullmatch(path) or "/.." in path or "/." in path:
        raise RefusedError(
            f"{path!r} is no path to serve the dashboard under: "
            f"set {ROOT_PATH_VARIABLE} to something like /hermes"
        )
    return path
