"""What the commands on processes share: the environment, ids and their completion, refusals, exit codes."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .completion import Known, complete_ids
from .context import Context, json_option, pass_context, print_json
from .exits import EXIT_FAILURE, EXIT_UNKNOWN_END

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from hermes_cli.processes.environments import Environment

_LONGEST_LINE = 1 << 20

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


ENVIRONMENTS = ("local", "docker", "ssh")


def open_environment(context: Context) -> Environment:
    """Where the processes of the chosen profile are, whether its gateway runs or not.

    Raises `ConfigError`, and `EnvironmentUnusableError` where it is not configured.
    """
    from hermes_cli.processes.environments import open_environment as of_home

    return of_home(context.existing_home(), _chosen(click.get_current_context()))


def verb(command: Callable[..., int | None]) -> Callable[..., Any]:
    """Make a command of `command(environment, as_json=…, …)`: with `--json`; refusals are typed answers."""

    @json_option
    @pass_context
    @functools.wraps(command)
    def run(context: Context, /, as_json: bool, **given: Any) -> int:
        from hermes_cli.processes.errors import ProcessError

        environment = None
        try:
            environment = open_environment(context)
            return command(environment, as_json=as_json, **given) or 0
        except ProcessError as error:
            return refused(error, as_json, given.get("process_id"))
        finally:
            if environment is not None:
                environment.disconnect()

    return run


def _chosen(ctx: click.Context | None) -> Any:
    """What `hermes process --environment` says."""
    while ctx is not None and "environment" not in ctx.params:
        ctx = ctx.parent
    return ctx.params["environment"] if ctx is not None else None


def refused(error: Exception, as_json: bool, process_id: str | None) -> int:
    """Say why not, as JSON or as a sentence; the exit code."""
    from hermes_cli.processes.answers import refusal
    from hermes_cli.processes.errors import ProcessError

    assert isinstance(error, ProcessError)
    if as_json:
        print_json(refusal(error, process_id))
    else:
        click.echo(f"hermes: {plain_line(str(error))}", err=True)
    return EXIT_FAILURE


def id_argument(command: CommandT) -> CommandT:
    """Add the argument ID, passed as `process_id: str`."""
    return click.argument("process_id", metavar="ID", shell_complete=complete_id)(command)


def print_answer(value: Any) -> None:
    """A verb's answer, as JSON."""
    from hermes_cli.processes.answers import answer

    print_json(answer(value))


def complete_id(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The processes of the profile that begin with `incomplete`, the prefix `proc_` left out or not.

    Those of this machine: a key pressed for a completion opens no channel to a sandbox.
    """
    import os

    from hermes_cli.config import ConfigError, load_config
    from hermes_cli.home import Home
    from hermes_cli.processes.ids import PREFIX, is_id

    profile = ctx.find_root().params.get("profile")
    try:
        home = Home.of(profile) if profile else Home.of()
        if (_chosen(ctx) or load_config(home).terminal.environment) != "local":
            return []
        names = sorted(filter(is_id, os.listdir(home.processes)))  # noqa: PTH208 - names are all it takes
    except (OSError, ConfigError):
        return []
    return complete_ids(map(Known, names), PREFIX, incomplete)


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
