"""What the commands on processes share: the registry, ids and their completion, refusals, exit codes."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .context import Context, json_option, pass_context, print_json

if TYPE_CHECKING:
    from hermes_cli.processes.registry import Registry

EXIT_REFUSED = 1
EXIT_STILL_RUNNING = 124
"""As timeout(1) has it."""
EXIT_UNKNOWN_END = 125
"""In the place of the command's exit code, where nobody knows it: its keeper was lost."""
EXIT_INTERRUPTED = 130

_LONGEST_LINE = 1 << 20

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


def registry_of(context: Context) -> Registry:
    """The processes of the chosen profile, whether its gateway runs or not."""
    from hermes_cli.processes.profile import registry_of as of_home

    return of_home(context.existing_home())


def verb(command: Callable[..., int | None]) -> Callable[..., Any]:
    """Make a command of `command(registry, as_json=…, …)`: with `--json`, and refusals as typed answers."""

    @json_option
    @pass_context
    @functools.wraps(command)
    def run(context: Context, /, as_json: bool, **given: Any) -> int:
        from hermes_cli.processes.errors import ProcessError

        try:
            return command(registry_of(context), as_json=as_json, **given) or 0
        except ProcessError as error:
            return refused(error, as_json, given.get("process_id"))

    return run


def refused(error: Exception, as_json: bool, process_id: str | None) -> int:
    """Say why not, as JSON or as a sentence; the exit code."""
    from hermes_cli.processes.answers import refusal
    from hermes_cli.processes.errors import ProcessError

    assert isinstance(error, ProcessError)
    if as_json:
        print_json(refusal(error, process_id))
    else:
        click.echo(f"hermes: {plain_line(str(error))}", err=True)
    return EXIT_REFUSED


def id_argument(command: CommandT) -> CommandT:
    """Add the argument ID, passed as `process_id: str`."""
    return click.argument("process_id", metavar="ID", shell_complete=complete_id)(command)


def print_answer(value: Any) -> None:
    """A verb's answer, as JSON."""
    from hermes_cli.processes.answers import answer

    print_json(answer(value))


def complete_id(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The processes of the profile that begin with `incomplete`, the prefix `proc_` left out or not."""
    import os

    from hermes_cli.home import Home
    from hermes_cli.processes.ids import PREFIX, is_id

    profile = ctx.find_root().params.get("profile")
    try:
        home = Home.of(profile) if profile else Home.of()
        names = sorted(filter(is_id, os.listdir(home.processes)))  # noqa: PTH208 - names are all it takes
    except OSError:
        return []
    if incomplete and not PREFIX.startswith(incomplete[: len(PREFIX)]):
        names = [name.removeprefix(PREFIX) for name in names]
    return [name for name in names if name.startswith(incomplete)]


def plain_line(text: str) -> str:
    """One line that can do nothing to the terminal."""
    from hermes_cli.faces.printable import plain

    return plain(text, _LONGEST_LINE)


def plain_text(text: str) -> str:
    """Several lines that can do nothing to the terminal. A carriage return ends a line too: it would hide
    what is before it."""
    return "\n".join(map(plain_line, re.split("\r\n|\n|\r", text)))


def print_output(text: str) -> None:
    """Output of a process, on lines of its own."""
    if text:
        click.echo(plain_text(text.removesuffix("\n")))


def how_it_is(status: str, exit_code: int | None, reason: str | None) -> str:
    """`running`, `exited 3`, `killed (asked to)`, `lost (the container restarted)`."""
    words = f"{status} {exit_code}" if status == "exited" and exit_code is not None else status
    return f"{words} ({reason})" if reason else words


def exit_code_of(status: str, exit_code: int | None) -> int:
    """The code to exit with for a command that has ended so."""
    return EXIT_UNKNOWN_END if status == "lost" or exit_code is None else exit_code
