"""`hermes process`: start, list, poll, log, wait, kill, write, submit, close, attach."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .context import print_table
from .exits import EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_TIME_OVER
from .process_attach import attach
from .process_context import (
    ENVIRONMENTS,
    exit_code_of,
    how_it_is,
    id_argument,
    plain_line,
    print_answer,
    print_output,
    verb,
)
from .process_input import close, submit, write
from .process_log import log
from .process_start import start
from .progress import waiting

if TYPE_CHECKING:
    from hermes_cli.processes.environments import Environment
    from hermes_cli.processes.types import Listing

_WIDEST_COMMAND = 60


@click.group(
    epilog="""
    \b
    Exit codes: 0 done; 1 not done, one sentence says why; 2 wrong usage.
      wait    124 where the process still runs when the time is over;
              with --exit-code the command's own code, 125 where it was lost.
      start --wait, attach    the command's own code, 125 where it was lost; 0 when detached.
      130 interrupted; the process goes on.

    An ID may be cut to any beginning of it that is unique, four digits at least.
    """
)
@click.option(
    "--environment",
    type=click.Choice(ENVIRONMENTS),
    help="Where they run; if not said, where terminal.environment of the profile says.",
)
def process(environment: str | None) -> None:
    """Start, follow and end background processes. They outlive the gateway, this command and the terminal."""


@process.command("list")
@click.option("--session", "session_key", metavar="KEY", help="Those of this session.")
@click.option("--task", "task_id", metavar="ID", help="Those of this task.")
@click.option("--running", is_flag=True, help="Those that still run.")
@verb
def list_command(
    environment: Environment, as_json: bool, session_key: str | None, task_id: str | None, running: bool
) -> None:
    """List the processes, oldest first: running ones, and ended ones for half an hour."""
    rows = environment.list(session_key=session_key, task_id=task_id)
    if running:
        rows = [row for row in rows if row.status == "running"]
    if as_json:
        print_answer({"environment": environment.kind, "processes": rows})
        return
    click.echo(f"environment: {environment.kind} ({plain_line(environment.name)})")
    print_table(("ID", "STATUS", "PID", "TIME", "COMMAND"), [_row(row) for row in rows])


@process.command()
@id_argument
@click.option("--cursor", type=click.IntRange(min=0), help="Show the output from this byte on.")
@verb
def poll(environment: Environment, as_json: bool, process_id: str, cursor: int | None) -> None:
    """Show how a process is and the end of its output, or what is new since a cursor."""
    from .table import duration

    found = environment.poll(process_id, cursor)
    if as_json:
        print_answer(found)
        return
    state = how_it_is(found.status, found.exit_code, found.reason)
    click.echo(f"{found.session_id}  {state}  pid {found.pid}  {duration(found.uptime_seconds)}")
    click.echo(f"command: {plain_line(found.command)}")
    click.echo(f"cursor:  {found.cursor}{'  (there is more)' if found.more else ''}")
    if found.dropped_bytes:
        click.echo(f"dropped: {found.dropped_bytes} bytes before this, for the limit")
    print_output(found.output)


@process.command()
@id_argument
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="How long at most.")
@click.option("-x", "--exit-code", "own_code", is_flag=True, help="Exit with the command's own code.")
@verb
def wait(
    environment: Environment, as_json: bool, process_id: str, timeout: float | None, own_code: bool
) -> int | None:
    """Return when a process has ended, with the end of its output.

    The longest wait is 180 seconds, or TERMINAL_TIMEOUT; then it exits with 124, and the process goes on.
    """
    try:
        with waiting(f"{plain_line(process_id)} runs", quiet=as_json):
            found = environment.wait(process_id, timeout)
    except KeyboardInterrupt:
        if as_json:
            print_answer({"session_id": environment.find(process_id), "status": "interrupted"})
        return EXIT_INTERRUPTED
    if as_json:
        print_answer(found)
    else:
        print_output(found.output)
        state = how_it_is(found.status, found.exit_code, found.reason)
        note = f": {found.timeout_note}" if found.timeout_note else ""
        click.echo(f"hermes: {found.session_id} {state}{note}", err=True)
    if found.status in ("timeout", "interrupted"):
        return EXIT_TIME_OVER
    return exit_code_of(found.status, found.exit_code) if own_code else None


@process.command()
@id_argument
@click.option(
    "--grace",
    type=click.FloatRange(0, 600),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Between TERM and KILL.",
)
@verb
def kill(environment: Environment, as_json: bool, process_id: str, grace: float) -> int | None:
    """End a process and everything it started: TERM, after the grace time KILL."""
    with waiting(f"ending {plain_line(process_id)}", quiet=as_json):
        found = environment.kill(process_id, grace)
    if as_json:
        print_answer(found)
    elif found.status == "killed":
        others = f", with {found.ended - 1} others it had started" if found.ended > 1 else ""
        click.echo(f"{found.session_id} has been ended{others}.")
    else:
        click.echo(f"hermes: {found.session_id}: {plain_line(found.message or found.status)}", err=True)
    return EXIT_FAILURE if found.status == "error" else None


for _command in (start, log, write, submit, close, attach):
    process.add_command(_command)


def _row(row: Listing) -> tuple[str, ...]:
    from .table import duration

    command = plain_line(row.command)
    if len(command) > _WIDEST_COMMAND:
        command = command[: _WIDEST_COMMAND - 1] + "…"
    state = how_it_is(row.status, row.exit_code, None)
    return row.session_id, state, str(row.pid or "-"), duration(row.uptime_seconds), command
