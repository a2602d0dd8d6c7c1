"""The command `NAME` that means `hermes -p NAME`, where no command of that name exists."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from hermes_cli.home import write_atomic
from hermes_cli.service_manager.types import ServiceManager

RUNTIME_ALIASES = Path("/run/hermes/bin")
"""In the container the registrar makes aliases here, together with the slot."""

_MARK = "# An alias made by 'hermes profile create'."


@dataclass(frozen=True, slots=True)
class Alias:
    """The alias of a profile: `path` is None where there is none, and `note` says what there is to know."""

    path: Path | None
    note: str = ""


def alias_of(root: Path, profile: str, manager: ServiceManager | None) -> Alias:
    """The alias that `profile` has, or why it has none."""
    if manager is not None and manager.supports_runtime_registration():
        path = RUNTIME_ALIASES / profile
        return Alias(path) if os.path.lexists(path) else Alias(None, _why_none(root, profile))
    path = _script(root, profile)
    if not _is_ours(path):
        return Alias(None, _why_none(root, profile))
    if str(path.parent) in os.get_exec_path():
        return Alias(path)
    return Alias(path, f'not on PATH yet: add export PATH="$PATH:{path.parent}" to your shell\'s profile')


def make_alias(root: Path, profile: str, manager: ServiceManager | None) -> None:
    """Write the alias on a host; in the container the registrar has done it. Raises OSError."""
    if manager is not None and manager.supports_runtime_registration():
        return
    path = _script(root, profile)
    if _other_command(root, profile) or (os.path.lexists(path) and not _is_ours(path)):
        return
    hermes = shutil.which("hermes")
    command = [hermes] if hermes else [sys.executable, "-m", "hermes_cli.cli.main"]
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    text = (
        f"#!/bin/sh\n{_MARK}\n"
        f"HERMES_HOME={shlex.quote(str(root))}\nexport HERMES_HOME\n"
        f'exec {shlex.join(command)} -p {profile} "$@"\n'
    )
    write_atomic(path, text.encode(), mode=0o755)


def remove_alias(root: Path, profile: str) -> None:
    """Remove the alias on a host, if it is one that was made here."""
    path = _script(root, profile)
    if _is_ours(path):
        with contextlib.suppress(OSError):
            path.unlink()


def _script(root: Path, profile: str) -> Path:
    return root / "bin" / profile


def _is_ours(path: Path) -> bool:
    try:
        return not path.is_symlink() and _MARK in path.read_text(errors="replace")[:200]
    except OSError:
        return False


def _other_command(root: Path, profile: str) -> str | None:
    """A command of that name that is no alias of a profile."""
    ours = {str(root / "bin"), str(RUNTIME_ALIASES)}
    path = os.pathsep.join(part for part in os.get_exec_path() if part not in ours)
    return shutil.which(profile, path=path)


def _why_none(root: Path, profile: str) -> str:
    other = _other_command(root, profile)
    return f"{other} exists" if other else "none was made"
