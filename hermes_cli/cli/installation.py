"""`hermes gateway install` and `uninstall`: the gateway as a service of this host."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from .context import Context, json_option, pass_context, print_json
from .progress import waiting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hermes_cli.gateway.levels import Level
    from hermes_cli.home import Home
    from hermes_cli.service_manager.installed import Difference
    from hermes_cli.service_manager.types import ServiceManager

system_option = click.option(
    "--system",
    is_flag=True,
    help="Of the whole system, not of this user: starts without a login. Needs root.",
)


@click.command()
@system_option
@click.option("--run-as", metavar="USER", help="Whom a service of the whole system runs as.")
@click.option("--dry-run", is_flag=True, help="Show what would be written, and change nothing.")
@click.option("--force", is_flag=True, help="Replace files that were changed by hand.")
@json_option
@pass_context
def install(
    context: Context, system: bool, run_as: str | None, dry_run: bool, force: bool, as_json: bool
) -> None:
    """Install the gateway as a service, which starts at boot from then on. Never starts it now."""
    from hermes_cli.gateway.levels import manager_here
    from hermes_cli.gateway.service import gateway_spec

    level = _level(system)
    _check_user(level, run_as)
    manager = manager_here(level)
    home = _home(context, run_as, dry_run)
    spec = gateway_spec(home, manager.kind, user=run_as)
    wrong = _differences(manager, spec)
    if dry_run:
        _show(home, spec.name, wrong, as_json)
        return
    manager.install(spec, force=force)
    start = start_command(home, run_as)
    lingering = lingers(ask=not as_json) if manager.kind == "systemd" and level == "user" else None
    if as_json:
        print_json(
            {
                "profile": home.profile,
                "service": spec.name,
                "supervisor": manager.kind,
                "level": level,
                "files": [str(file.path) for file in manager.render(spec)],
                "changed": [str(one.path) for one in wrong],
                "started": False,
                "start": start,
                "lingers": lingering,
            }
        )
        return
    click.echo(f"The gateway of {home.profile} is installed in {manager.kind}{_for_whom(level, run_as)}.")
    for one in wrong:
        click.echo(f"  {one.path}")
    if not manager.status(spec.name).running:
        click.echo(f"It has not been started: '{start}' does that.")
    elif wrong:
        click.echo(f"It goes on as it was started: '{start.removesuffix('start')}restart' brings the change.")


@click.command()
@system_option
@click.option("--dry-run", is_flag=True, help="Show what would be removed, and change nothing.")
@json_option
@pass_context
def uninstall(context: Context, system: bool, dry_run: bool, as_json: bool) -> None:
    """Stop the gateway and remove its service from this host. The profile stays. Missing is fine."""
    from hermes_cli.gateway.levels import manager_here
    from hermes_cli.gateway.lifecycle import Lifecycle, NoSuchHomeError
    from hermes_cli.gateway.service import gateway_spec
    from hermes_cli.service_manager import GatewayNotRegisteredError

    manager = manager_here("system" if system else None)
    home = context.home
    spec = gateway_spec(home, manager.kind)
    was_there = manager.status(spec.name).registered
    files = [str(file.path) for file in manager.render(spec) if os.path.lexists(file.path)]
    if dry_run:
        if as_json:
            print_json({"profile": home.profile, "service": spec.name, "files": files})
        for path in [] if as_json else files:
            click.echo(f"would remove {path}")
        return
    with waiting(f"stopping the gateway of {home.profile}", quiet=as_json):
        if was_there:
            # Nothing is wanted from now on. The profile may be gone, or the service just now.
            with suppress(NoSuchHomeError, GatewayNotRegisteredError):
                Lifecycle(manager).stop(home.profile)
        manager.uninstall(spec.name)
    if as_json:
        print_json({"profile": home.profile, "service": spec.name, "uninstalled": was_there, "files": files})
    elif was_there:
        click.echo(f"The gateway of {home.profile} is stopped and no longer installed; its profile stays.")
    else:
        click.echo(f"The gateway of {home.profile} was not installed.")


def start_command(home: Home, run_as: str | None) -> str:
    """What starts it: for a service of the whole system a command of root's, on the home of its user."""
    from hermes_cli.gateway.naming import command_for

    command = f"{command_for(home.profile)} gateway start"
    return command if run_as is None else f"sudo env HERMES_HOME={home.root} {command}"


def _level(system: bool) -> Level | None:
    from hermes_cli.gateway.levels import WITH_LEVELS
    from hermes_cli.service_manager import detect_service_manager

    if detect_service_manager() not in WITH_LEVELS:
        return "system" if system else None
    return "system" if system or os.geteuid() == 0 else "user"


def _check_user(level: Level | None, run_as: str | None) -> None:
    if run_as is not None and level != "system":
        raise click.UsageError("--run-as is for a service of the whole system: add --system")
    sudo_user = os.environ.get("SUDO_USER")
    if level == "system" and run_as is None and sudo_user and sudo_user != "root":
        raise click.UsageError(
            f"a gateway of the whole system needs --run-as USER: --run-as {sudo_user}, or --run-as root"
        )


def _home(context: Context, run_as: str | None, dry_run: bool) -> Home:
    """The profile's home: of the user it is to run as, unless $HERMES_HOME names another."""
    from hermes_cli.gateway.service import root_home_of
    from hermes_cli.home import HomeError, root_home
    from hermes_cli.profiles import require_profile, seed_home
    from hermes_cli.service_manager import ServiceError

    try:
        root = root_home() if run_as is None or os.environ.get("HERMES_HOME") else root_home_of(run_as)
    except KeyError:
        raise ServiceError(f"there is no user {run_as} here") from None
    home = require_profile(context.profile, root)
    if home.config.exists():
        return home
    if run_as is not None:
        raise HomeError(f"there is no {home.config} yet: 'sudo -u {run_as} hermes profile list' makes a home")
    if home.profile == "default" and not dry_run:
        seed_home(home)
    return home


def _differences(manager: ServiceManager, spec: Any) -> Sequence[Difference]:
    from hermes_cli.service_manager.installed import differences

    return differences(manager.render(spec))


def _show(home: Home, service: str, wrong: Sequence[Difference], as_json: bool) -> None:
    if as_json:
        found = [{"path": str(one.path), "state": one.state, "diff": one.diff} for one in wrong]
        print_json({"profile": home.profile, "service": service, "differences": found})
        return
    if not wrong:
        click.echo(f"Nothing would change: the gateway of {home.profile} is installed as it should be.")
    for one in wrong:
        if one.state == "edited":
            click.echo(f"{one.path} was changed by hand; only --force replaces it:")
        click.echo(one.diff, nl=False)


def _for_whom(level: Level | None, run_as: str | None) -> str:
    if level is None:
        return ""
    return " for this user" if level == "user" else f", for the whole system, as {run_as or 'root'}"


def lingers(*, ask: bool) -> bool:
    """Whether the user's services start at boot. A terminal is asked, a script told, what would make them."""
    import pwd

    from hermes_cli.service_manager import ServiceError
    from hermes_cli.service_manager.linger import enable_linger, linger_enabled

    user = pwd.getpwuid(os.getuid()).pw_name
    if linger_enabled(user):
        return True
    why = f"{user} does not linger: without a login its services do not run"
    if ask and sys.stdin.isatty() and sys.stdout.isatty():
        if click.confirm(f"{why}. Let them run from boot on?", default=True, err=True):
            try:
                enable_linger(user)
                return True
            except ServiceError as error:
                click.echo(f"hermes: warning: {error}", err=True)
        return False
    click.echo(
        f"hermes: warning: {why}; 'loginctl enable-linger {user}' lets them run from boot on", err=True
    )
    return False
