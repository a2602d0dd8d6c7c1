"""What every command shares: the chosen profile, `--json`, and plain tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hermes_cli.service_manager.names import DEFAULT_PROFILE

if TYPE_CHECKING:
    from rich.console import Console

    from hermes_cli.home import Home

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Context:
    """The global options, as `ctx.obj`."""

    profile: str = DEFAULT_PROFILE
    chosen: bool = False
    """Whether `-p` named the profile, or it is `default` for want of one."""

    @property
    def root(self) -> Path:
        """The root home; nothing is looked at."""
        from hermes_cli.home import root_home

        return root_home()

    @property
    def home(self) -> Home:
        """The profile's home, whether it exists or not."""
        from hermes_cli.home import Home

        return Home.of(self.profile)

    def existing_home(self) -> Home:
        """The profile's home; raises `ProfileNotFoundError`, naming the nearest one, where there is none."""
        from hermes_cli.profiles import require_profile

        return require_profile(self.profile)


def all_homes(context: Context) -> Iterator[Home]:
    """The homes of all profiles, `default` first."""
    from hermes_cli.home import Home, profile_names

    for name in profile_names(context.root):
        yield Home.of(name, context.root)


pass_context = click.make_pass_decorator(Context, ensure=True)
"""Gives a command the `Context` as its first argument."""


def json_option(command: CommandT) -> CommandT:
    """Add `--json` to a command, passed as `as_json: bool`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")(command)


def watch_options(command: CommandT) -> CommandT:
    """Add `--watch` and `--interval`, passed as `watching: bool` and `interval: float`."""
    command = click.option(
        "--interval",
        type=click.FloatRange(0.1, 3600),
        default=1.0,
        show_default=True,
        metavar="SECONDS",
        help="Between two looks of --watch.",
    )(command)
    return click.option(
        "--watch",
        "watching",
        is_flag=True,
        help="Show it until q or ^C; not on a terminal, and with --json: whenever it changes.",
    )(command)


def print_json(value: object) -> None:
    """Print anything msgspec can encode, indented, with a line end."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode())


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print left-aligned columns as wide as their contents; needs no import, so fast commands can use it."""
    table = [tuple(headers), *(tuple(row) for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(headers))]
    for number, row in enumerate(table):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        click.echo(click.style(line, bold=True) if number == 0 else line)


def console(*, stderr: bool = False) -> Console:
    """A rich console for commands that can afford it (36 ms to import). It honours NO_COLOR and pipes."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)
