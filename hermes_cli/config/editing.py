"""Changing one setting of a config.yaml: comments stay, and nothing invalid is written."""

from __future__ import annotations

import io
import stat
from collections.abc import MutableMapping
from pathlib import Path

import msgspec

from hermes_cli.home import Home, write_atomic

from .errors import ConfigError
from .files import read_text
from .reading import Inspection, check_entries, in_words, parse_text
from .schema import KEYS, SECRETS, nearest


class UnknownKeyError(ValueError):
    """There is no such setting. The message names the nearest one."""


def known_key(name: str) -> str:
    """Return `name` if there is such a setting; raise `UnknownKeyError` with a hint otherwise."""
    if name in KEYS:
        return name
    if name in SECRETS:
        raise UnknownKeyError(f"{name!r} is a secret and lives in the profile's .env, as {SECRETS[name]}=...")
    near = nearest(name)
    hint = f"did you mean {near!r}?" if near in KEYS else f"the settings are {', '.join(KEYS)}"
    raise UnknownKeyError(f"there is no setting {name!r}; {hint}")


def parse_value(name: str, text: str, path: Path) -> str | int | float:
    """The value that `text` means for the setting `name`; raises `ConfigError` for one it cannot have."""
    key = KEYS[known_key(name)]
    try:
        value = msgspec.convert(text.strip(), key.kind, strict=False)
    except msgspec.ValidationError as error:
        message = f"expected {key.expected}, got {in_words(text)}"
        raise ConfigError(path, message, key=name, expected=key.expected) from error
    if value != value:
        raise ConfigError(path, f"expected {key.expected}, got not-a-number", key=name, expected=key.expected)
    assert isinstance(value, (str, int, float))
    # Milliseconds are fine enough, and YAML 1.1 takes Python's 1e-05 for text.
    return round(value, 3) if isinstance(value, float) else value


def set_value(home: Home, name: str, value: str | int | float) -> None:
    """Set `name` in the config.yaml of `home`, which must be readable as YAML.

    Callers that compete hold the profiles' lock. A config.yaml that is a link is refused: replacing it
    would cut it off from whoever provides it (a ConfigMap, a dotfiles checkout), silently.
    """
    path = home.config
    known_key(name)
    if path.is_symlink():
        raise ConfigError(path, f"is a link to {path.readlink()}; edit that file instead", key=name)
    text = read_text(path)
    old, problems = _checked(text, path) if text is not None else ({}, set())
    new = _edited(text or "", name, value, path)
    written, remaining = _checked(new, path)
    if written != {**old, name: value} or not remaining <= problems:
        message = "cannot be changed without changing more than that; edit the file by hand"
        raise ConfigError(path, message, key=name)
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        mode = 0o600
    write_atomic(path, new.encode(), mode=mode)


def _checked(text: str, path: Path) -> tuple[dict[str, str | int | float], set[str | None]]:
    """The valid settings in `text`, and the keys that have something wrong with them."""
    found = Inspection()
    values = check_entries(parse_text(text, path), path, found)
    return values, {error.key for error in found.errors}


def _edited(text: str, name: str, value: object, path: Path) -> str:
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap
    from ruamel.yaml.error import YAMLError

    editor = YAML()
    editor.preserve_quotes = True
    editor.width = 1 << 16
    *parents, key = name.split(".")
    try:
        document = editor.load(text)
    except YAMLError as error:
        message = "cannot be changed, because the file is not valid YAML 1.2; edit it by hand"
        raise ConfigError(path, message, key=name) from error
    comment = text if document is None and text.strip() else ""
    if document is None:
        document = CommentedMap()
    place = document
    for depth, section in enumerate(parents, 1):
        if place.get(section) is None:
            place[section] = CommentedMap()
        place = place[section]
        if not isinstance(place, MutableMapping):
            message = f"expected a mapping below {'.'.join(parents[:depth])!r}; mend that first"
            raise ConfigError(path, message, key=name)
    place[key] = value
    out = io.StringIO()
    editor.dump(document, out)
    # A text of nothing but comments is no document to ruamel.yaml, which drops it.
    return (comment.rstrip("\n") + "\n" if comment else "") + out.getvalue()
