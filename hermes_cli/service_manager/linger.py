"""Linger: whether systemd runs a user's services from boot on, or from login to logout only."""

from __future__ import annotations

from pathlib import Path

from . import spawn
from .errors import HostCommandError, NoBusError, PermissionDeniedError

_LINGERING = Path("/var/lib/systemd/linger")


def linger_enabled(user: str) -> bool:
    """Whether the services of `user` start at boot and outlive the logout. False where nobody can tell."""
    done = spawn.run(["loginctl", "show-user", "--value", "-p", "Linger", user])
    if done.returncode == 0:
        return done.stdout.strip() == "yes"
    # logind does not answer, or knows no session of this user, who would linger if it had been told.
    try:
        return (_LINGERING / user).is_file()
    except OSError:
        return False


def enable_linger(user: str) -> None:
    """Let the services of `user` run from boot on. Done already is fine.

    Raises `PermissionDeniedError` where that takes root, `NoBusError` without logind, `HostCommandError`.
    """
    action = "enable linger for"
    done = spawn.run(["loginctl", "--no-ask-password", "enable-linger", user], environment={"LC_ALL": "C"})
    if done.returncode == 0 or linger_enabled(user):
        return
    if done.returncode == spawn.NOT_FOUND or "connect to" in done.stderr:
        raise NoBusError(user, action, "systemd-logind is not in reach here, and only it can")
    if any(
        words in done.stderr for words in ("authentication required", "Access denied", "ermission denied")
    ):
        raise PermissionDeniedError(user, action, f"ask root for it: sudo loginctl enable-linger {user}")
    raise HostCommandError(user, action, "loginctl", done.returncode, done.stderr)
