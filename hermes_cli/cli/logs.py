"""`hermes logs`, and `hermes gateway logs`: the end of one log or of all, and what comes."""

from __future__ import annotations

import contextlib
import re
import sys
import time
from typing import TYPE_CHECKING

import click

from .completion import complete_profile
from .context import Context, json_option, pass_context
from .exits import EXIT_FAILURE

if TYPE_CHECKING:
    from hermes_cli.faces.merged_logs import Line, MergedLogs

all_option = click.option("--all", "every", is_flag=True, help="The gateways of all profiles.")
follow_option = click.option("-f", "--follow", is_flag=True, help="Go on with new lines, until ^C.")

_COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "bright_cyan", "bright_green", "bright_magenta")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DEFAULT_LINES = 100


class _Time(click.ParamType[float]):
    """`10m`, `2h`, `1d`: so long ago. `13:30`: today. Else a date, or a date and a time, of this place."""

    name = "time"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        from datetime import datetime

        ago = re.fullmatch(r"(\d{1,9})([smhdw])", value)
        if ago:
            return time.time() - int(ago[1]) * _UNITS[ago[2]]
        text = f"{time.strftime('%Y-%m-%d')} {value}" if re.match(r"\d\d?:", value) else value
        try:
            return datetime.fromisoformat(text).timestamp()
        except (ValueError, OverflowError, OSError):
            self.fail(f"{value!r} is no time: give one like 10m, 2h, 13:30, or 2026-11-21 13:30", param, ctx)


def _pattern(ctx: click.Context, param: click.Parameter, value: str | None) -> re.Pattern[str] | None:
    try:
        return None if value is None else re.compile(value)
    except re.error as error:
        raise click.BadParameter(f"{value!r} is no regular expression: {error}", ctx, param) from error


@click.command()
@click.argument("profiles", metavar="[PROFILE]...", nargs=-1, shell_complete=complete_profile)
@follow_option
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0),
    metavar="N",
    help=f"The last N of all together. [default: {_DEFAULT_LINES}; with --since or --grep: all]",
)
@click.option("--since", type=_Time(), metavar="TIME", help="10m, 2h, 13:30, 2026-11-21, …")
@click.option("--grep", metavar="REGEX", callback=_pattern, help="Only lines with that in them.")
@json_option
@pass_context
def logs(
    context: Context,
    profiles: tuple[str, ...],
    follow: bool,
    lines: int | None,
    since: float | None,
    grep: re.Pattern[str] | None,
    as_json: bool,
) -> int:
    """Print the logs of all gateways as one, or those of the profiles named.

    With --json, one object a line: profile, time (null where the log keeps none) and line.
    """
    from hermes_cli.faces.merged_logs import MergedLogs
    from hermes_cli.gateway.levels import manager_or_none
    from hermes_cli.profiles import require_profile

    named = profiles or ((context.profile,) if context.chosen else ())
    for name in named:
        require_profile(name)
    if lines is None and since is None and grep is None:
        lines = _DEFAULT_LINES
    merged = MergedLogs(
        context.root,
        manager_or_none(),
        list(dict.fromkeys(named)) or None,
        lines=lines,
        since=since or 0.0,
        wanted=None if grep is None else lambda text: grep.search(text) is not None,
    )
    with merged:
        return show(merged, follow=follow, as_json=as_json)


def show(merged: MergedLogs, *, follow: bool, as_json: bool) -> int:
    """Print what there is and, if `follow`, what comes; the exit code."""
    printer = _Printer(merged, as_json)
    for line in merged.past():
        printer.print(line)
    printer.complain()
    sys.stdout.flush()
    if follow and len(merged.failures) < len(merged.profiles):
        for line in merged.follow():
            printer.print(line)
            printer.complain()
    return EXIT_FAILURE if merged.failures else 0


class _Printer:
    """Lines with the names of their profiles before them, aligned."""

    def __init__(self, merged: MergedLogs, as_json: bool) -> None:
        self._merged = merged
        self._as_json = as_json
        self._told: set[str] = set()
        self._colours: dict[str, str] = {}
        self._width = max(map(len, merged.profiles), default=0)
        for profile in merged.profiles:
            self._colour(profile)

    def print(self, line: Line) -> None:
        if self._as_json:
            import json

            told = {"profile": line.profile, "time": _iso(line.stamp), "line": line.text}
            click.echo(json.dumps(told, ensure_ascii=False))
            return
        from hermes_cli.faces.printable import plain

        self._width = max(self._width, len(line.profile))
        name = click.style(line.profile.ljust(self._width), fg=self._colour(line.profile))
        at = f"{line.stamp[:23]}  " if line.stamp else ""
        click.echo(f"{name} | {at}{plain(line.text)}")

    def complain(self) -> None:
        """Say of each log that cannot be read why, once."""
        for profile, why in self._merged.failures.items():
            if profile not in self._told:
                self._told.add(profile)
                click.echo(f"hermes: warning: {why}", err=True)

    def _colour(self, profile: str) -> str:
        return self._colours.setdefault(profile, _COLOURS[len(self._colours) % len(_COLOURS)])


def _iso(stamp: str) -> str | None:
    """`2026-11-21T13:00:00.123456+01:00`; None for none."""
    if not stamp:
        return None
    from datetime import datetime

    with contextlib.suppress(ValueError, OverflowError):
        return datetime.fromisoformat(stamp[:26]).astimezone().isoformat(timespec="microseconds")
    return None


@click.command("logs")
@follow_option
@click.option(
    "-n", "--lines", type=click.IntRange(0, 1_000_000), default=_DEFAULT_LINES, show_default=True, metavar="N"
)
@all_option
@json_option
@pass_context
def gateway_logs(context: Context, follow: bool, lines: int, every: bool, as_json: bool) -> int:
    """Print the end of the gateway's log as it is. --all is 'hermes logs', which knows more.

    With --json, one object a line: profile and line.
    """
    from hermes_cli.gateway.levels import manager_here
    from hermes_cli.gateway.service import telling_how_to_install
    from hermes_cli.service_manager.names import service_name

    manager = manager_here()
    if every:
        from hermes_cli.faces.merged_logs import MergedLogs

        with MergedLogs(context.root, manager, lines=lines) as merged:
            return show(merged, follow=follow, as_json=as_json)
    from hermes_cli.faces.printable import plain

    home = context.existing_home()
    with telling_how_to_install(manager, home.profile):
        found = manager.logs(service_name(home.profile), lines=lines, follow=follow)
    for line in found:
        if as_json:
            import json

            click.echo(json.dumps({"profile": home.profile, "line": line}))
        else:
            click.echo(plain(line))
    return 0
