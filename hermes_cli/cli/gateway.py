"""`hermes gateway`: run, start, stop, restart, status, list. Its other commands have modules of their own."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NoReturn

import click

from .context import Context, all_homes, json_option, pass_context, print_json, watch_options
from .exits import EXIT_CONFIG
from .installation import install, uninstall
from .logs import all_option, gateway_logs
from .progress import waiting
from .table import screen_width

if TYPE_CHECKING:
    from collections.abc import Callable

    from hermes_cli.gateway.lifecycle import Lifecycle
    from hermes_cli.home import Home
    from hermes_cli.service_manager import ServiceManager
    from hermes_cli.status import GatewayReport, ServiceReport


_DOING = {"start": "starting", "restart": "restarting", "stop": "stopping", "stop_everything": "stopping"}


@click.group()
def gateway() -> None:
    """Start, stop, follow and list gateways."""


for command in (install, gateway_logs, uninstall):
    gateway.add_command(command)


@gateway.command()
@click.option("--no-supervise", is_flag=True, help="Run it here, whatever could keep it up.")
@pass_context
def run(context: Context, no_supervise: bool) -> int:
    """Run the gateway in the foreground; where something can keep it up, start it there and follow it."""
    home = context.existing_home()
    supervisor = None if _in_a_slot() or no_supervise or _not_to_be_supervised() else _s6()
    if supervisor is not None:
        return _start_and_follow(supervisor, home)
    if not home.config.exists() and home.profile == "default":
        from hermes_cli.profiles import seed_home

        seed_home(home)
    return become_gateway(home)


def become_gateway(home: Home) -> NoReturn:
    """Replace this process by the gateway's own program: it stays for long, and needs no command line.

    -P keeps the working directory, which is the home, off the module path.
    """
    sys.stdout.flush()
    arguments = [sys.executable, "-P", "-m", "hermes_cli.gateway", home.profile]
    os.execv(sys.executable, arguments)


@gateway.command()
@all_option
@json_option
@pass_context
def start(context: Context, every: bool, as_json: bool) -> int:
    """Start the gateway, and return when it is ready."""
    return _each(context, every, as_json, "start", _say_started)


@gateway.command()
@all_option
@json_option
@pass_context
def restart(context: Context, every: bool, as_json: bool) -> int:
    """Restart the gateway, and return when the new one is ready."""
    return _each(context, every, as_json, "restart", _say_started)


@gateway.command()
@all_option
@click.option("--processes", is_flag=True, help="End the profile's background processes as well.")
@json_option
@pass_context
def stop(context: Context, every: bool, processes: bool, as_json: bool) -> int:
    """Stop the gateway, and return when it is down. It stays down, also after a reboot.

    Background processes go on, unless --processes ends them.
    """
    return _each(context, every, as_json, "stop_everything" if processes else "stop", _say_stopped)


@gateway.command()
@json_option
@watch_options
@pass_context
def status(context: Context, as_json: bool, watching: bool, interval: float) -> int:
    """Show what is wanted of the gateway, and how it is."""
    from .services import fact_lines
    from .status import lasting

    home = context.existing_home()
    if watching:
        from .live import watch

        return watch(lambda: _report(home), fact_lines, lasting, interval=interval, as_json=as_json)
    report = _report(home)
    if as_json:
        print_json(report)
    else:
        click.echo("\n".join(fact_lines(report, screen_width())))
    return 0


@gateway.command("list")
@json_option
@watch_options
@pass_context
def list_command(context: Context, as_json: bool, watching: bool, interval: float) -> int:
    """List the gateways of all profiles."""
    from hermes_cli.status import GatewayList

    from .services import gateway_lines
    from .status import lasting

    def look() -> GatewayList:
        return GatewayList(gateways=_reports(list(all_homes(context))))

    def lines(found: GatewayList, width: int | None) -> list[str]:
        return gateway_lines(found.gateways, width)

    if watching:
        from .live import watch

        return watch(
            look, lines, lambda found: [*map(lasting, found.gateways)], interval=interval, as_json=as_json
        )
    if as_json:
        print_json(look())
    else:
        click.echo("\n".join(lines(look(), screen_width())))
    return 0


def _start_and_follow(manager: ServiceManager, home: Home) -> int:
    from hermes_cli.gateway.follow import follow_until_parked, leave_on_signal
    from hermes_cli.gateway.lifecycle import Lifecycle
    from hermes_cli.service_manager import ServiceParkedError

    leave_on_signal()
    try:
        with waiting(f"starting {home.profile}"):
            Lifecycle(manager).start(home.profile)
    except ServiceParkedError as error:
        click.echo(f"hermes: {error}", err=True)
        return EXIT_CONFIG
    click.echo(_say_started(_reports([home])[0], home))
    slip = follow_until_parked(manager, home, lambda line: click.echo(_plain(line)))
    if slip is None:
        return _leave(1, f"the profile {home.profile} is gone, and its gateway with it")
    return _leave(EXIT_CONFIG, f"the gateway of {home.profile} is parked: {slip.reason}")


def _leave(code: int, message: str) -> NoReturn:
    """End at once: the thread that prints the log may hold stdout's lock at the interpreter's own end."""
    click.echo(f"hermes: {_plain(message)}", err=True)
    os._exit(code)


def _each(
    context: Context, every: bool, as_json: bool, verb: str, sentence: Callable[[ServiceReport, Home], str]
) -> int:
    """Do `verb` to one gateway or to all at once; say what came of it. 1 if any failed."""
    from hermes_cli.gateway.lifecycle import Lifecycle

    homes = list(all_homes(context)) if every else [context.existing_home()]
    lifecycle = Lifecycle(_manager(needed=not verb.startswith("stop")))
    doing = _DOING[verb]
    with waiting(f"{doing} {homes[0].profile}", quiet=as_json) as progress:
        if every:
            failures = _do_all(lifecycle, verb, homes, lambda left: progress.say(_left(doing, left)))
        else:
            failures = {}
            getattr(lifecycle, verb)(homes[0].profile)
    reports = dict(zip((home.profile for home in homes), _reports(homes), strict=True))
    for home in homes:
        if home.profile in failures:
            click.echo(f"hermes: {_plain(str(failures[home.profile]))}", err=True)
        elif not as_json:
            click.echo(_plain(sentence(reports[home.profile], home)))
    if as_json:
        from hermes_cli.status import GatewayList, GatewayReport

        some = list(reports.values())
        print_json(GatewayList(gateways=some) if every else GatewayReport.of(some[0]))
    return 1 if failures else 0


def _left(doing: str, left: list[str]) -> str:
    """`starting coder and 3 others`."""
    others = len(left) - 1
    return f"{doing} {left[0]}" + (f" and {others} other{'s' * (others > 1)}" if others > 0 else "")


def _do_all(
    lifecycle: Lifecycle, verb: str, homes: list[Home], say: Callable[[list[str]], None]
) -> dict[str, Exception]:
    """Side by side: each spends its time waiting, and four at once keep two cores busy.

    `say` is told which are left, whenever one is done.
    """
    from concurrent.futures import ThreadPoolExecutor

    failures: dict[str, Exception] = {}

    def do(home: Home) -> None:
        try:
            getattr(lifecycle, verb)(home.profile)
        except Exception as error:  # one bad profile does not keep the others from being served
            failures[home.profile] = error
        left.remove(home.profile)
        if rest := left[:]:
            say(rest)

    left = [home.profile for home in homes]
    say(left[:])
    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(do, homes))
    return failures


def _say_started(report: ServiceReport, home: Home) -> str:
    from hermes_cli.gateway.naming import command_for

    command = command_for(home.profile)
    return (
        f"The gateway of {home.profile} is ready at {report.url or 'its control socket'}; its token is in "
        f"{home.env} (HERMES_GATEWAY_TOKEN), its log is shown by '{command} gateway logs -f'."
    )


def _say_stopped(report: ServiceReport, home: Home) -> str:
    from hermes_cli.gateway.naming import command_for

    said = f"The gateway of {home.profile} is down."
    if not report.processes:
        return said
    command = f"'{command_for(home.profile)} gateway stop --processes'"
    if report.processes == 1:
        return f"{said} 1 background process of it goes on; {command} ends it."
    return f"{said} {report.processes} background processes of it go on; {command} ends them."


def _report(home: Home) -> GatewayReport:
    from hermes_cli.status import GatewayReport

    (report,) = _reports([home])
    return GatewayReport.of(report)


def _reports(homes: list[Home]) -> list[ServiceReport]:
    """The rows of these gateways alone: one look at the supervisor, a few small files."""
    from hermes_cli.service_manager.names import service_name
    from hermes_cli.status.exits import logged_exits
    from hermes_cli.status.gateway import gateway_row

    manager = _manager()
    names = [service_name(home.profile) for home in homes]
    observed = manager.status_all(names) if manager is not None else {}
    exits = logged_exits(homes[0].root)
    return [gateway_row(home, manager is not None, observed, exits.get(home.profile), True) for home in homes]


def _manager(*, needed: bool = False) -> ServiceManager | None:
    from hermes_cli.gateway.levels import manager_here, manager_or_none

    return manager_here() if needed else manager_or_none()


def _s6() -> ServiceManager | None:
    from hermes_cli.service_manager import detect_service_manager, get_service_manager

    return get_service_manager("s6") if detect_service_manager() == "s6" else None


def _in_a_slot() -> bool:
    return bool(os.environ.get("HERMES_SUPERVISOR"))


def _not_to_be_supervised() -> bool:
    return os.environ.get("HERMES_GATEWAY_NO_SUPERVISE", "").lower() in ("1", "true", "yes", "on")


def _plain(text: str) -> str:
    from hermes_cli.faces.printable import plain

    return plain(text)
