"""Running systemctl at one level, and turning its failures into errors with a type and a remedy."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from . import spawn
from .errors import (
    HostCommandError,
    NoBusError,
    PermissionDeniedError,
    ServiceError,
)

Level = Literal["user", "system"]

_ANSWER_WITHIN = 15.0
"""Seconds for what does not wait for a service: a reload of a host with many units takes one or two."""

_MAX_OUTPUT = 1 << 23
"""Bytes: systemctl says about 700 of each service."""

_ENVIRONMENT = {"LC_ALL": "C", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": "", "SYSTEMD_URLIFY": "0"}

_NO_BUS = re.compile(
    r"Failed to connect to (user scope |system scope )?bus|Failed to get D-Bus connection"
    r"|not been booted with systemd|Transport endpoint is not connected"
)
_DENIED = re.compile(
    r"Interactive authentication required|Access denied|Permission denied|Operation not permitted"
)

_RUNTIME_DIRECTORIES = Path("/run/user")
"""Where pam_systemd makes $XDG_RUNTIME_DIR, one directory for each user id."""


class Systemctl:
    """systemctl, not D-Bus: its commands and properties are promised to stay (systemd.io, "Portability and
    Stability"), it is wherever systemd is, and the standard library has no D-Bus.
    """

    def __init__(self, level: Level) -> None:
        self.level = level

    def run(self, *words: str, timeout: float = _ANSWER_WITHIN) -> spawn.Completed:
        """Run `systemctl --LEVEL WORDS` to its end, or `timeout` seconds. Never raises for what it does."""
        argv = ["systemctl", f"--{self.level}", "--no-pager", "--no-ask-password", *words]
        return spawn.run(argv, timeout=timeout, environment=self.environment(), max_output=_MAX_OUTPUT)

    def do(self, service: str, action: str, *words: str, timeout: float = _ANSWER_WITHIN) -> str:
        """Run it and return its output; raise the error that its failure means."""
        done = self.run(*words, timeout=timeout)
        if done.returncode != 0:
            raise self.why(service, action, done)
        return done.stdout

    def why(self, service: str, action: str, done: spawn.Completed) -> ServiceError:
        """The error for a systemctl that failed to `action` `service`."""
        # The last lines only say where else to look.
        cause = re.sub(r"^See .*\n?", "", done.stderr, flags=re.MULTILINE)
        return self.barred(service, action, done) or HostCommandError(
            service, action, "systemctl", done.returncode, cause
        )

    def barred(self, service: str, action: str, done: spawn.Completed) -> ServiceError | None:
        """The error if it failed because systemd is out of reach or does not obey this user; else None."""
        if done.returncode == spawn.NOT_FOUND:
            return NoBusError(service, action, "systemctl is not installed here")
        if self.level == "user" and os.geteuid() == 0 and _NO_BUS.search(done.stderr):
            return NoBusError(service, action, _ROOT_HAS_NO_USER_MANAGER)
        if _NO_BUS.search(done.stderr):
            return NoBusError(service, action, self._no_bus())
        if _DENIED.search(done.stderr):
            return PermissionDeniedError(service, action, self._remedy())
        return None

    def environment(self) -> dict[str, str]:
        """What systemctl and journalctl need to find this user's manager, in the C locale.

        XDG_RUNTIME_DIR is missing after su, sudo and in cron jobs: it is filled in where the
        directory that it would name is there and this user's.
        """
        runtime = self.runtime_directory() if self.level == "user" else None
        return _ENVIRONMENT | ({"XDG_RUNTIME_DIR": os.fspath(runtime)} if runtime is not None else {})

    def runtime_directory(self) -> Path | None:
        """This user's, from the environment or where pam_systemd makes it; None where it is not there."""
        directory = Path(os.environ.get("XDG_RUNTIME_DIR") or _RUNTIME_DIRECTORIES / str(os.geteuid()))
        try:
            return directory if directory.stat().st_uid == os.geteuid() else None
        except OSError:
            return None

    def version(self) -> int | None:
        """The version of systemd here, as its packages number it; None where that cannot be told."""
        found = re.match(r"systemd (\d+)", spawn.run(["systemctl", "--version"]).stdout)
        return int(found.group(1)) if found else None

    def _no_bus(self) -> str:
        if self.level == "system":
            return "systemd is not what runs this machine; on another init, use that one's backend"
        user = _user_name()
        configured = os.environ.get("XDG_RUNTIME_DIR")
        own = _RUNTIME_DIRECTORIES / str(os.geteuid())
        if configured and Path(configured) != own:
            return (
                f"XDG_RUNTIME_DIR is {configured}, where no systemd of {user} listens: "
                f"unset it, or set it to {own}"
            )
        return (
            f"no systemd runs for {user} ({own} is where it would listen): log in as {user} "
            f"(machinectl shell {user}@ does, su and sudo do not), "
            f"or have it run always: sudo loginctl enable-linger {user}"
        )

    def _remedy(self) -> str:
        if self.level == "system":
            return "a service of the whole system is root's: put sudo before it"
        return f"run it as the user whose service it is, as in: sudo -u {_user_name()} …"


_ROOT_HAS_NO_USER_MANAGER = (
    "root has no systemd of its own here: use sudo -u USER for the services of a user, "
    "or --system for those of the whole system"
)


def _user_name() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
