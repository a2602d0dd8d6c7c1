"""`hermes profile`: create, delete, list, show, rename."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from .completion import complete_profile
from .context import Context, json_option, pass_context, print_json, print_table
from .progress import waiting

if TYPE_CHECKING:
    from hermes_cli.home import Home
    from hermes_cli.profiles import Profile
    from hermes_cli.service_manager import ServiceManager


@click.group()
def profile() -> None:
    """Create, delete, list, show and rename profiles."""


@profile.command("list")
@json_option
@pass_context
def list_command(context: Context, as_json: bool) -> None:
    """List the profiles: name, port, what was asked of the gateway, home."""
    from hermes_cli.profiles import survey

    _recover(context)
    found = survey(context.root)
    if as_json:
        print_json(
            {
                "profiles": [_as_json(profile) for profile in found.profiles],
                "strays": [{"name": name, "what": what} for name, what in found.strays],
            }
        )
        return
    print_table(
        ("NAME", "PORT", "INTENT", "HOME"),
        [(one.name, str(one.port or "?"), _asked(one.home), str(one.home.path)) for one in found.profiles],
    )
    for one in found.profiles:
        if one.config_error:
            click.echo(f"hermes: warning: {one.config_error}", err=True)
    for name, what in found.strays:
        click.echo(
            f"hermes: warning: {name!a} in {context.root / 'profiles'} is {what}; it is left alone", err=True
        )


@profile.command()
@click.argument("name")
@click.option("--start", is_flag=True, help="Start its gateway at once.")
@json_option
@pass_context
def create(context: Context, name: str, start: bool, as_json: bool) -> None:
    """Make the profile NAME, with a port and a token of its own and a gateway that is down."""
    from hermes_cli.profiles import create_profile
    from hermes_cli.profiles.alias import alias_of

    manager = _manager()
    with waiting(f"creating {name}", quiet=as_json) as progress:
        made = create_profile(name, manager=manager)
        alias = alias_of(context.root, name, manager)
        if start:
            progress.say(f"starting {name}")
            _start(name, manager)
    if as_json:
        print_json(
            {**_as_json(made), "alias": str(alias.path) if alias.path else None, "alias_note": alias.note}
        )
        return
    click.echo(f"Profile {name} has been created at {made.home.path}, with port {made.port}.")
    usable = alias.path is not None and not alias.note
    if alias.path is None:
        click.echo(f"There is no command {name!r} for it, because {alias.note}.")
    elif alias.note:
        click.echo(f"The command {alias.path} means 'hermes -p {name}' ({alias.note}).")
    words = name if usable else f"hermes -p {name}"
    verb = "run" if manager is None else "status" if start else "start"
    click.echo(f"Next: {words} gateway {verb}")


@profile.command()
@click.argument("name", shell_complete=complete_profile)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@json_option
@pass_context
def delete(context: Context, name: str, yes: bool, as_json: bool) -> None:
    """Stop the gateway of NAME and its processes, and remove all of it: registration, alias, log, home."""
    from hermes_cli.profiles import ReservedProfileError, delete_profile, require_profile
    from hermes_cli.service_manager.names import DEFAULT_PROFILE, validate_profile_name
    from hermes_cli.status.processes import running_processes

    if validate_profile_name(name) == DEFAULT_PROFILE:
        raise ReservedProfileError(name, "deleted")
    _recover(context)
    home = require_profile(name)
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError(f"deleting {name!r} removes {home.path} for good; confirm it with --yes")
        running = running_processes(home.processes)
        ending = f", end its {running} background processes" if running else ""
        click.confirm(
            f"Delete profile {name}{ending}, with everything in {home.path}?", abort=True, err=as_json
        )
    with waiting(f"stopping and deleting {name}", quiet=as_json):
        delete_profile(name, manager=_manager())
    if as_json:
        print_json({"name": name, "deleted": True})
    else:
        click.echo(f"Profile {name} is gone.")


@profile.command()
@click.argument("old", shell_complete=complete_profile)
@click.argument("new")
@json_option
@pass_context
def rename(_context: Context, old: str, new: str, as_json: bool) -> None:
    """Call the profile OLD by the name NEW. A running gateway is restarted for it."""
    from hermes_cli.profiles import rename_profile

    with waiting(f"renaming {old}", quiet=as_json):
        renamed = rename_profile(old, new, manager=_manager())
    if as_json:
        print_json(_as_json(renamed))
    else:
        click.echo(f"Profile {old} is called {new} now, at {renamed.home.path}.")


@profile.command()
@click.argument("name", required=False, shell_complete=complete_profile)
@json_option
@pass_context
def show(context: Context, name: str | None, as_json: bool) -> None:
    """Show what is known of the profile NAME (default: the one chosen with -p)."""
    from hermes_cli.profiles import get_profile
    from hermes_cli.profiles.alias import alias_of

    _recover(context)
    one = get_profile(name or context.profile)
    alias = alias_of(context.root, one.name, _manager())
    details = _details(one)
    details["alias"] = str(alias.path) if alias.path else None
    if as_json:
        print_json(details)
        return
    if one.name != "default" and alias.path is None:
        details["alias"] = f"none ({alias.note})"
    width = max(map(len, details)) + 2
    for key, value in details.items():
        if value is not None and value is not False:
            click.echo(f"{key.replace('_', ' '):<{width}}{_in_words(value)}")


def _details(one: Profile) -> dict[str, Any]:
    from hermes_cli.config import inspect_config

    found = inspect_config(one.home)
    return {
        **_as_json(one),
        "created_at": one.created_at and _time(one.created_at),
        "host": found.values["gateway.host"],
        "token": "set" if found.token else "missing",
        "config": str(one.home.config),
        "log": str(one.home.gateway_log / "current"),
        "warnings": found.warnings or None,
    }


def _as_json(one: Profile) -> dict[str, Any]:
    return {
        "name": one.name,
        "port": one.port,
        "intent": _intent(one.home),
        "parked": _parked(one.home),
        "home": str(one.home.path),
        "created_at": one.created_at and _time(one.created_at),
        "config_error": one.config_error,
    }


def _intent(home: Home) -> str:
    from hermes_cli.gateway.records import IntentRecord
    from hermes_cli.home import CorruptFileError, load

    try:
        record = load(home.intent, IntentRecord)
    except CorruptFileError:
        return "unreadable"
    return record.intent if record else "none"


def _parked(home: Home) -> bool:
    return os.path.lexists(home.parked)


def _asked(home: Home) -> str:
    return f"{_intent(home)}, parked" if _parked(home) else _intent(home)


def _in_words(value: object) -> str:
    if value is True:
        return "yes"
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value)


def _time(seconds: float) -> str:
    import time

    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _recover(context: Context) -> None:
    """Settle what an interrupted command left, and say so; reading goes on where it cannot be settled."""
    from hermes_cli.profiles.half_done import half_done

    if not half_done(context.root):
        return
    from hermes_cli.profiles import ProfileError, recover_half_done

    try:
        for sentence in recover_half_done(_manager(), context.root):
            click.echo(f"hermes: {sentence}", err=True)
    except (OSError, ProfileError) as error:
        click.echo(f"hermes: warning: a half-done change could not be settled: {error}", err=True)


def _manager() -> ServiceManager | None:
    """What keeps gateways up here, if anything does."""
    from hermes_cli.gateway.levels import manager_or_none

    return manager_or_none()


def _start(name: str, manager: ServiceManager | None) -> None:
    from hermes_cli.service_manager import NoServiceManagerError, detect_service_manager

    if manager is None:
        raise NoServiceManagerError(detect_service_manager())
    from hermes_cli.gateway.lifecycle import Lifecycle

    Lifecycle(manager).start(name)
