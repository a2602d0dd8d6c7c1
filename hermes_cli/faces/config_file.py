"""A profile's config.yaml as a whole: what is in it, what is wrong with it, and another text in its place."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from pathlib import Path

import msgspec

from hermes_cli.config import ConfigError, Inspection, inspect_config, load_env
from hermes_cli.config.files import MAX_BYTES, read_text
from hermes_cli.home import Home, write_atomic

_ABSENT = "absent"

_SETTING = re.compile(r"(?m)^(?P<before>[ \t-]*(?P<key>[\w.-]+)[ \t]*:[ \t]*)(?P<value>[^\s#].*)$")
"""A line of YAML that gives a key a value."""


class ConfigText(msgspec.Struct, frozen=True):
    """What is in the file."""

    text: str
    version: str
    """Another one for any other content: what `replace` is told to have been looked at."""


class ChangedError(Exception):
    """The file is not what it was when it was looked at."""


class WrongTextError(Exception):
    """The text is no configuration that could be used. `found` says why, where, and what else is odd."""

    def __init__(self, found: Inspection) -> None:
        super().__init__(str(found.errors[0]))
        self.found = found


def check_file(home: Home, text: str | None = None) -> Inspection:
    """What is wrong or odd in config.yaml and .env, as `hermes config check` says it.

    `text`: what is to be in config.yaml, in the place of what is there. Reads every profile's port.
    """
    from hermes_cli.profiles import port_holder

    found = inspect_config(home, text=text)
    port = found.port
    holder = port_holder(port, besides=home.profile, root=home.root) if port is not None else None
    if holder:
        message = f"{port} belongs to profile {holder!r} too"
        found.errors.append(ConfigError(home.config, message, key="gateway.port"))
    found.warnings += _about_secrets(home, found)
    return found


def read_whole(home: Home) -> ConfigText:
    """The file as it is; raises `ConfigError` for one that cannot be read."""
    text = read_text(home.config)
    if text is None:
        return ConfigText("", _ABSENT)
    return ConfigText(text, hashlib.sha256(text.encode()).hexdigest())


def replace(home: Home, text: str, version: str) -> Inspection:
    """Put `text` there in one step, if the file is still `version` and the text is right.

    Returns what is odd about it all the same. Lines end as they did in the file. Raises `ChangedError`,
    `WrongTextError`; `ConfigError` for a file that is a link (replacing it would cut it off from whoever
    provides it) or cannot be read or written; `ProfileError` while others change profiles.
    """
    from hermes_cli.profiles.lock import profiles_lock

    path = home.config
    with profiles_lock(home.root):
        if path.is_symlink():
            raise ConfigError(path, f"is a link to {path.readlink()}; edit that file instead")
        before = read_whole(home)
        if before.version != version:
            raise ChangedError(f"{path} has been changed meanwhile")
        if not text.endswith("\n"):
            text += "\n"
        if len(text.encode()) > MAX_BYTES:
            raise ConfigError(path, f"would be larger than {MAX_BYTES // 1024} KiB")
        found = check_file(home, text)
        wrong = [error for error in found.errors if error.path == path]
        if wrong:
            found.errors = wrong
            raise WrongTextError(found)
        ends = text.replace("\n", "\r\n") if "\r\n" in before.text else text
        try:
            write_atomic(path, ends.encode(), mode=_mode(path))
        except OSError as error:
            raise ConfigError(path, f"cannot be written: {error.strerror}") from error
        return found


def masked(home: Home, text: str) -> str:
    """`text` for those who may only read: without what .env holds, and what looks like a secret."""
    from hermes_cli.processes.redaction import MASK, Redactor, secret_names

    try:
        own = load_env(home.env)
    except ConfigError:
        own = {}
    known = {**os.environ, **own}
    redactor = Redactor([*own.values(), *(known[name] for name in secret_names(known))])

    def setting(match: re.Match[str]) -> str:
        is_secret = secret_names({match["key"].upper(): match["value"]})
        return f"{match['before']}{MASK}" if is_secret else match[0]

    return _SETTING.sub(setting, redactor.text(text))


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return 0o600


def _about_secrets(home: Home, found: Inspection) -> list[str]:
    said = []
    if found.token is None:
        said.append(f"{home.env}: there is no HERMES_GATEWAY_TOKEN, so the gateway will refuse to start")
    try:
        mode = stat.S_IMODE(home.env.stat().st_mode)
    except OSError:
        return said
    if mode & 0o077:
        said.append(
            f"{home.env}: others may read it (mode {mode:04o}); 'chmod 600 {home.env}' keeps its secrets"
        )
    return said
