"""`hermes setup`: asks little, and ends with a gateway that is up and the next three things to type."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from hermes_cli.service_manager.errors import InvalidNameError
from hermes_cli.service_manager.names import validate_profile_name

from .context import Context, json_option, pass_context, print_json
from .installation import lingers
from .progress import waiting

if TYPE_CHECKING:
    from hermes_cli.first_run import Answers, Outcome
    from hermes_cli.service_manager import ServiceManager


@click.command()
@click.option("-y", "--yes", is_flag=True, help="Ask nothing: defaults, and the options given.")
@click.option("--agent", type=click.Choice(["shell", "command"]), help="What the profile's runs execute.")
@click.option("--command", metavar="LINE", help="The program of --agent command, with its arguments.")
@click.option("--dashboard/--no-dashboard", default=None, help="Give the web page a password, made up here.")
@click.option("--install/--no-install", default=None, help="On a host: keep the gateway up from boot on.")
@json_option
@pass_context
def setup(
    context: Context,
    yes: bool,
    agent: str | None,
    command: str | None,
    dashboard: bool | None,
    install: bool | None,
    as_json: bool,
) -> int:
    """Set Hermes up, and start a gateway: the first thing to do. Twice is harmless.

    Asks for the profile (unless -p names it), for what its runs execute, and for the dashboard. --json
    asks nothing, like --yes.
    """
    from hermes_cli.first_run import apply
    from hermes_cli.gateway.levels import manager_or_none

    asking = not (yes or as_json)
    if asking and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("there is no terminal to ask on; --yes takes the defaults, and the options")
    _refuse_sudo()
    manager = manager_or_none()
    if asking:
        _greet(context, manager)
    answers, made_up = _answers(context, manager, asking, agent, command, dashboard, install)
    with waiting("setting up", quiet=as_json) as progress:
        outcome = apply(context.root, answers, manager, progress.say)
    outcome.dashboard_password = answers.password if made_up else None
    if manager is not None and manager.kind == "systemd" and answers.install and os.geteuid() != 0:
        lingers(ask=asking)
    if as_json:
        print_json(outcome)
    else:
        _tell(outcome)
    if asking and manager is None:
        return _run_here(context, outcome)
    return 0


def _refuse_sudo() -> None:
    user = os.environ.get("SUDO_USER")
    if user and user != "root" and os.geteuid() == 0:
        raise click.UsageError(f"run it as {user}, without sudo: the gateway is to be {user}'s")


def _greet(context: Context, manager: ServiceManager | None) -> None:
    from hermes_cli import __version__

    keeper = f"kept up by {manager.kind}" if manager is not None else "with nothing here to keep gateways up"
    click.echo(f"Hermes {__version__}, {keeper}; home {context.root}")
    click.echo("Enter takes what is in brackets; ^C ends it, and nothing half-done stays.\n")


def _answers(
    context: Context,
    manager: ServiceManager | None,
    asking: bool,
    agent: str | None,
    command: str | None,
    dashboard: bool | None,
    install: bool | None,
) -> tuple[Answers, bool]:
    """What is wanted, and whether the password in it was made up here."""
    from hermes_cli.first_run import Answers, has_password, make_password
    from hermes_cli.gateway.service import is_host

    if command is not None and agent is None:
        agent = "command"
    if command is not None and agent == "shell":
        raise click.UsageError("--command is for --agent command")
    profile = context.profile
    if asking and not context.chosen:
        profile = click.prompt("Profile", default=profile, value_proc=_profile_name)
    kind, line = _agent(context, profile, agent, command, asking)
    password, made_up = None, False
    if not has_password(context.root):
        if dashboard is None and asking:
            dashboard = click.confirm("Use the dashboard, a web page that shows everything?", default=False)
        if dashboard:
            typed = asking and click.prompt(
                "Its password (Enter makes one up)", default="", hide_input=True, show_default=False
            )
            password, made_up = typed or make_password(), not typed
    if install is None:
        install = not asking or manager is None or not is_host(manager) or _install(profile, manager)
    answers = Answers(profile=profile, command=line, password=password, install=install)
    answers.agent = "command" if kind == "command" else "shell" if kind == "shell" else None
    return answers, made_up


def _agent(
    context: Context, profile: str, agent: str | None, command: str | None, asking: bool
) -> tuple[str | None, str]:
    """The kind of agent, and its command line; None leaves both as they are."""
    from hermes_cli.config import inspect_config
    from hermes_cli.home import Home

    values = inspect_config(Home.of(profile, context.root)).values
    if agent is None and asking:
        click.echo("Its runs execute: 'shell', each message is a command line; or 'command', a program of")
        click.echo("yours that gets the message.")
        agent = click.prompt(
            "Agent", default=str(values["agent.kind"]), type=click.Choice(["shell", "command"])
        )
    if agent != "command":
        return agent, ""
    known = str(values["agent.command"])
    if command is None and asking:
        command = click.prompt("Its command line", default=known or None, value_proc=_command_line)
    try:
        return agent, _command_line(command or known)
    except click.UsageError as error:
        raise click.UsageError(f"{error.message} (--command)") from error


def _install(profile: str, manager: ServiceManager) -> bool:
    from hermes_cli.service_manager.names import service_name

    if manager.status(service_name(profile)).registered:
        return True
    return click.confirm(f"Keep its gateway up as a service of {manager.kind}, from boot on?", default=True)


def _profile_name(text: str) -> str:
    try:
        return validate_profile_name(text.strip())
    except InvalidNameError as error:
        raise click.UsageError(str(error)) from error


def _command_line(text: str) -> str:
    from hermes_cli.first_run import program_of

    try:
        program_of(text)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return text.strip()


def _tell(outcome: Outcome) -> None:
    from hermes_cli.faces.printable import plain
    from hermes_cli.gateway.naming import command_for

    click.echo()
    for change in outcome.changed or ["everything is as it was wanted already"]:
        click.echo(f"  {plain(change)}")
    gateway, command = outcome.gateway, command_for(outcome.profile)
    click.echo()
    click.echo(f"Gateway    {gateway.actual}{f' at {gateway.url}' if gateway.url else ''}")
    click.echo(f"Token      HERMES_GATEWAY_TOKEN in {outcome.home}/.env")
    click.echo(f"Dashboard  {_dashboard(outcome)}")
    if outcome.dashboard_password:
        click.echo(f"Password   {outcome.dashboard_password}   (shown once; it is in the root home's .env)")
    if outcome.problems:
        click.echo("\n'hermes doctor' has found:")
        for problem in outcome.problems:
            click.echo(f"  {plain(problem)}")
    click.echo("\nNext:")
    question = "hello" if outcome.agent == "command" else "echo hello"
    first = f"{command} chat -q '{question}'" if gateway.ready else f"{command} gateway run"
    for words in (first, "hermes status", "hermes"):
        click.echo(f"  {words}")


def _dashboard(outcome: Outcome) -> str:
    service = outcome.dashboard
    if service is None:
        return "'hermes dashboard' serves it"
    if service.wanted == "up":
        note = "; its password counts when the container restarts" if outcome.password_is_new else ""
        return f"{service.actual} at {service.url}{note}"
    return "off; the container switches it on: 'hermes up --env HERMES_DASHBOARD=1 --recreate' on its host"


def _run_here(context: Context, outcome: Outcome) -> int:
    """Where nothing keeps gateways up, the one way to have something running is to run it."""
    from hermes_cli.home import Home

    from .gateway import become_gateway

    if outcome.gateway.ready or not click.confirm("\nRun the gateway here now, until ^C?", default=True):
        return 0
    return become_gateway(Home.of(outcome.profile, context.root))
