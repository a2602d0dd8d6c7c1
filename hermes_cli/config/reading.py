"""config.yaml, .env and the environment, as one checked `Config`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from hermes_cli.home import Home
from hermes_cli.service_manager.names import DEFAULT_PROFILE

from . import plain
from .dotenv import load_env
from .errors import ConfigError
from .files import read_text
from .schema import (
    KEYS,
    PASSWORD_VARIABLE,
    SECRETS,
    SECTIONS,
    SUBSECTIONS,
    TOKEN_VARIABLE,
    WEBHOOK_VARIABLE,
    AgentConfig,
    Config,
    DashboardConfig,
    GatewayConfig,
    Key,
    NotificationsConfig,
    RunsConfig,
    TerminalConfig,
    ToolsConfig,
    nearest,
)
from .tree import Entry, Foreign

Source = Literal["config.yaml", "environment", "default"]


@dataclass(slots=True)
class Inspection:
    """All that is to be said of a configuration, good or bad."""

    values: dict[str, str | int | float] = field(default_factory=dict)
    """Dotted name → value in force. What is wrong in the file stands here as its default."""
    sources: dict[str, Source] = field(default_factory=dict)
    errors: list[ConfigError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    token: str | None = None
    password: str | None = None

    @property
    def port(self) -> int | None:
        """The port in force, or None where what config.yaml says of it cannot be understood."""
        doubtful = {None, "gateway", "gateway.port"}
        if any(error.path.name != ".env" and error.key in doubtful for error in self.errors):
            return None
        port = self.values["gateway.port"]
        return port if isinstance(port, int) else None

    def config(self) -> Config:
        """The configuration; raises the first error.

        Those of the notifications are warnings here: that nobody can be told keeps nothing from running.
        """
        grave = [error for error in self.errors if not only_notifies(error)]
        if grave:
            raise grave[0]
        of = _nested(self.values)
        return Config(
            gateway=msgspec.convert({**of["gateway"], "token": self.token}, GatewayConfig),
            dashboard=msgspec.convert({**of["dashboard"], "password": self.password}, DashboardConfig),
            tools=msgspec.convert(of["tools"], ToolsConfig),
            terminal=msgspec.convert(of["terminal"], TerminalConfig),
            agent=msgspec.convert(of["agent"], AgentConfig),
            runs=msgspec.convert(of["runs"], RunsConfig),
            notifications=msgspec.convert(of["notifications"], NotificationsConfig),
            warnings=[*self.warnings, *map(str, self.errors)],
        )


def only_notifies(error: ConfigError) -> bool:
    """Whether it is about what is told, and to whom."""
    key = error.key or ""
    return key.partition(".")[0] == "notifications" or key == WEBHOOK_VARIABLE


def _nested(values: Mapping[str, object]) -> dict[str, dict[str, object]]:
    """Dotted names as mappings in mappings."""
    found: dict[str, dict[str, object]] = {}
    for name, value in values.items():
        parents, _, key = name.rpartition(".")
        place: dict[str, Any] = found
        for parent in parents.split("."):
            place = place.setdefault(parent, {})
        place[key] = value
    return found


def load_config(home: Home, environ: Mapping[str, str] | None = None) -> Config:
    """The configuration of `home`: config.yaml over the environment's defaults over Hermes's own.

    `environ` is the process's own unless given; the profile's .env counts over it. A missing config.yaml
    is an error for every profile but `default`, which may never have been configured. Raises `ConfigError`.
    """
    return inspect_config(home, environ).config()


def inspect_config(
    home: Home, environ: Mapping[str, str] | None = None, *, text: str | None = None
) -> Inspection:
    """Everything right and wrong with the configuration of `home`. Raises nothing that a file can cause.

    `text`: what is to be in config.yaml, to be looked at in the place of what is there.
    """
    found = Inspection()
    environment = dict(os.environ if environ is None else environ)
    try:
        environment |= load_env(home.env)
    except ConfigError as error:
        found.errors.append(error)
    written = _written(home, found, text)
    for name, key in KEYS.items():
        if name in written:
            found.values[name], found.sources[name] = written[name], "config.yaml"
        elif key.variable and environment.get(key.variable):
            _from_environment(home.config, name, key, environment[key.variable], found)
        else:
            found.values[name], found.sources[name] = key.default, "default"
    _check_agent(home.config, found)
    found.token = environment.get(TOKEN_VARIABLE) or None
    found.password = environment.get(PASSWORD_VARIABLE) or None
    return found


def read_entries(path: Path) -> list[Entry] | None:
    """The entries of a config.yaml, None where there is none. Raises `ConfigError`."""
    text = read_text(path)
    return None if text is None else parse_text(text, path)


def parse_text(text: str, path: Path) -> list[Entry]:
    """The entries in the text of a config.yaml; `path` is for messages. Raises `ConfigError`."""
    if not text.strip():
        message = (
            "is empty, as after a torn write; restore it, or put at least a comment into it for all defaults"
        )
        raise ConfigError(path, message, line=1, column=1)
    entries = plain.parse(text)
    if entries is None:
        from . import yaml_tree

        entries = yaml_tree.parse(text, path)
    return entries


def _written(home: Home, found: Inspection, text: str | None) -> dict[str, str | int | float]:
    """The valid settings of config.yaml, or of `text`; everything else goes into `found`."""
    try:
        entries = read_entries(home.config) if text is None else parse_text(text, home.config)
    except ConfigError as error:
        found.errors.append(error)
        return {}
    if entries is None:
        if home.profile != DEFAULT_PROFILE:
            message = "is missing; restore it, or let 'hermes doctor --fix' write a new one"
            found.errors.append(ConfigError(home.config, message))
        return {}
    return check_entries(entries, home.config, found)


def check_entries(entries: list[Entry], path: Path, found: Inspection) -> dict[str, str | int | float]:
    """The valid settings among `entries` by dotted name; errors and warnings go into `found`."""
    values = {}
    for name, entry in _settings(entries, path, found):
        try:
            values[name] = check_value(path, name, entry)
        except ConfigError as error:
            found.errors.append(error)
    return values


def _settings(entries: list[Entry], path: Path, found: Inspection) -> Iterator[tuple[str, Entry]]:
    for section in entries:
        if section.key in SECTIONS:
            yield from _members(section.key, section, path, found)
        else:
            found.warnings.append(_unknown(path, section.key, section))


def _members(name: str, section: Entry, path: Path, found: Inspection) -> Iterator[tuple[str, Entry]]:
    members = section.entries()
    if members is None:
        message = f"expected 'key: value' lines indented below, got {in_words(section.value)}"
        found.errors.append(_at_value(path, name, section, message, "a mapping"))
        return
    for entry in members:
        full = f"{name}.{entry.key}"
        if full in KEYS:
            yield full, entry
        elif full in SUBSECTIONS:
            yield from _members(full, entry, path, found)
        elif full in SECRETS:
            message = f"does not belong here; write {SECRETS[full]}=... into {path.with_name('.env')}"
            found.errors.append(ConfigError(path, message, line=entry.line, column=entry.column, key=full))
        else:
            found.warnings.append(_unknown(path, full, entry))


def check_value(path: Path, name: str, entry: Entry) -> str | int | float:
    """The value of the setting `name`, if it is one it can have; else raises `ConfigError` with the place."""
    key = KEYS[name]
    try:
        value = msgspec.convert(entry.value, key.kind)
    except (msgspec.ValidationError, TypeError) as error:
        message = f"expected {key.expected}, got {in_words(entry.value)}"
        raise _at_value(path, name, entry, message, key.expected) from error
    assert isinstance(value, (str, int, float))
    if value != value:
        raise _at_value(path, name, entry, f"expected {key.expected}, got not-a-number", key.expected)
    return value


def in_words(value: object) -> str:
    """A value of a configuration as a message names it."""
    if value is None:
        return "nothing"
    if isinstance(value, Foreign):
        return value.what
    if isinstance(value, list):
        return "a mapping"
    if isinstance(value, bool):
        return f"the truth value {str(value).lower()}"
    if isinstance(value, (int, float)):
        return f"the number {value}" if abs(value) < 1e15 else "an enormous number"
    if isinstance(value, str):
        return f"the text {value[:40]!r}" + ("…" if len(value) > 40 else "")
    return f"a {type(value).__name__}"


def _check_agent(path: Path, found: Inspection) -> None:
    """The `command` agent needs a command, in quotes that end, with placeholders that there are."""
    wrong = any(error.key == "agent.command" for error in found.errors)
    if wrong or found.values["agent.kind"] != "command":
        return
    from .command_line import split

    command = str(found.values["agent.command"])
    expected = "a program and its arguments in one line"
    try:
        if split(command, stdin=found.values["agent.message"] == "stdin"):
            return
        message = f"is empty, and agent.kind is command: expected {expected}"
    except ValueError as error:
        message = f"expected {expected}, got {in_words(command)}: {str(error).lower()}"
    found.errors.append(ConfigError(path, message, key="agent.command", expected=expected))


def _from_environment(path: Path, name: str, key: Key, text: str, found: Inspection) -> None:
    try:
        found.values[name] = msgspec.convert(text, key.kind, strict=False)
        found.sources[name] = "environment"
    except msgspec.ValidationError:
        message = f"expected {key.expected} in the environment, got the text {text[:40]!r}"
        found.errors.append(ConfigError(path, message, key=str(key.variable), expected=key.expected))
        found.values[name], found.sources[name] = key.default, "default"


def _at_value(path: Path, name: str, entry: Entry, message: str, expected: str) -> ConfigError:
    return ConfigError(
        path, message, line=entry.value_line, column=entry.value_column, key=name, expected=expected
    )


def _unknown(path: Path, name: str, entry: Entry) -> str:
    near = nearest(name)
    hint = f"; did you mean {near!r}?" if near else ""
    return f"{path}:{entry.line}:{entry.column}: unknown key {name!r}, which is ignored{hint}"
