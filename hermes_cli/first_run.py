"""The first run: from nothing to a gateway that is up, in steps that each leave everything valid.

Done twice it changes nothing; cut off anywhere, it goes on with the next try.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from hermes_cli.config import ConfigError, inspect_config, load_env
from hermes_cli.config.dotenv import parse
from hermes_cli.config.editing import parse_value, set_value
from hermes_cli.config.files import read_text
from hermes_cli.config.schema import PASSWORD_VARIABLE
from hermes_cli.gateway.service import gateway_spec, is_host
from hermes_cli.home import Home, profile_names, write_atomic
from hermes_cli.profiles import create_profile, recover_half_done, seed_home
from hermes_cli.profiles.half_done import half_done
from hermes_cli.profiles.lock import profiles_lock
from hermes_cli.service_manager.names import DEFAULT_PROFILE, service_name
from hermes_cli.service_manager.types import ServiceManager
from hermes_cli.status import GatewayReport, ServiceReport, StatusReport, collect

AgentKind = Literal["shell", "command"]
Say = Callable[[str], None]
"""Told of each step before it is begun: `starting the gateway of coder`."""


class Answers(msgspec.Struct, kw_only=True):
    """What is wanted. None leaves as it is what is there already."""

    profile: str = DEFAULT_PROFILE
    agent: AgentKind | None = None
    command: str = ""
    """The program of the `command` agent, with its arguments, in a shell's quotes."""
    password: str | None = None
    """The dashboard's, where it has none yet."""
    install: bool = True
    """On a host: keep the gateway up as a service, from boot on."""


class Outcome(msgspec.Struct, kw_only=True):
    """What came of it: `hermes setup --json`, with the promise of docs/status.md for its version."""

    version: int = 1
    profile: str
    home: str
    supervisor: str
    agent: str
    """What the profile's runs execute: `shell` or `command`."""
    changed: list[str]
    """What was done, in words; empty where all was as wanted."""
    gateway: GatewayReport
    dashboard: ServiceReport | None
    """The dashboard's own service; null where this installation has none."""
    password_is_new: bool
    """The dashboard got one just now."""
    dashboard_password: str | None = None
    """Only where it was made up just now: it is told once."""
    problems: list[str]
    """What `hermes doctor` calls an error."""


def program_of(command: str) -> str:
    """The program that a command line starts. Raises ValueError where there is none here."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ValueError(f"{command!r} cannot be read as a command line: {error}") from error
    if not words:
        raise ValueError("a command agent needs a command line")
    if shutil.which(words[0]) is None:
        raise ValueError(f"there is no program {words[0]!r} here; give its whole path")
    return words[0]


def has_password(root: Path) -> bool:
    """Whether the dashboard has a password. Raises `ConfigError` for a broken .env."""
    return bool(load_env(Home.of(root=root).env).get(PASSWORD_VARIABLE) or os.environ.get(PASSWORD_VARIABLE))


def make_password() -> str:
    """One that can be typed: 96 bits."""
    return secrets.token_urlsafe(12)


def apply(root: Path, answers: Answers, manager: ServiceManager | None, say: Say) -> Outcome:
    """Make it so, and start the gateway where something here can keep it up.

    Raises `ServiceError`, `HomeError`, `ProfileError`, `ConfigError`, OSError.
    """
    home = Home.of(answers.profile, root)
    changed = _make_home(home, manager, say)
    configured = _configure(home, answers)
    password_is_new = answers.password is not None and not has_password(root)
    if answers.password is not None and password_is_new:
        add_secret(Home.of(root=root).env, PASSWORD_VARIABLE, answers.password)
        changed.append("the dashboard has a password")
    if manager is not None and (answers.install or not is_host(manager)):
        changed += _bring_up(home, manager, bool(configured), say)
    report = collect(root, manager)
    return Outcome(
        profile=home.profile,
        home=str(home.path),
        supervisor=report.supervisor,
        agent=str(inspect_config(home).values["agent.kind"]),
        changed=[*changed, *configured],
        gateway=GatewayReport.of(_row(report, service_name(home.profile))),
        dashboard=next((one for one in report.services if one.kind == "dashboard"), None),
        password_is_new=password_is_new,
        problems=_problems(root, manager, say),
    )


def add_secret(path: Path, name: str, value: str) -> None:
    """Append NAME=VALUE to a .env, whose other lines stay as they are. Raises `ConfigError`, OSError."""
    if path.is_symlink():
        raise ConfigError(path, f"is a link to {path.readlink()}; add {name}=... to that file by hand")
    text = read_text(path) or ""
    if text and not text.endswith("\n"):
        text += "\n"
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    new = f'{text}{name}="{quoted}"\n'
    if parse(new, path) != {**parse(text, path), name: value}:
        raise ConfigError(path, f"{name} cannot be added; add it by hand")
    write_atomic(path, new.encode(), mode=0o600)


def _make_home(home: Home, manager: ServiceManager | None, say: Say) -> list[str]:
    root = Home.of(root=home.root)
    changed = []
    if half_done(home.root):
        recover_half_done(manager, home.root)
    if not root.config.exists() and seed_home(root):
        changed.append(f"the home {root.path}")
    if home.profile not in profile_names(home.root):
        say(f"creating the profile {home.profile}")
        create_profile(home.profile, root=home.root, manager=manager)
        changed.append(f"the profile {home.profile}")
    return changed


def _configure(home: Home, answers: Answers) -> list[str]:
    """The command before the kind: a profile never has an agent without its program."""
    if answers.agent is None:
        return []
    wanted = {"agent.kind": str(answers.agent)}
    if answers.agent == "command":
        wanted = {"agent.command": answers.command, **wanted}
    changed = []
    with profiles_lock(home.root):
        values = inspect_config(home).values
        for key, text in wanted.items():
            value = parse_value(key, text, home.config)
            if values[key] != value:
                set_value(home, key, value)
                changed.append(f"{key} is {value}")
    return changed


def _bring_up(home: Home, manager: ServiceManager, configured: bool, say: Say) -> list[str]:
    from hermes_cli.gateway.lifecycle import Lifecycle

    name, changed = service_name(home.profile), []
    if is_host(manager) and not manager.status(name).registered:
        say(f"installing the gateway of {home.profile}")
        manager.install(gateway_spec(home, manager.kind))
        changed.append(f"the gateway of {home.profile} is a service of {manager.kind}, from boot on")
    running = manager.status(name).running
    if running and not configured:
        return changed
    say(f"{'restarting' if running else 'starting'} the gateway of {home.profile}")
    lifecycle = Lifecycle(manager, home.root)
    (lifecycle.restart if running else lifecycle.start)(home.profile)
    return [*changed, f"the gateway of {home.profile} is {'restarted' if running else 'started'}"]


def _problems(root: Path, manager: ServiceManager | None, say: Say) -> list[str]:
    from hermes_cli.doctor import diagnose

    say("looking at everything")
    errors = [one for one in diagnose(root, manager).findings if one.status == "error"]
    return [f"{one.message}: {one.remedy}" if one.remedy else one.message for one in errors]


def _row(report: StatusReport, service: str) -> ServiceReport:
    return next(one for one in report.services if one.service == service)
