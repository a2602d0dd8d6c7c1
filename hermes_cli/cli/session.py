"""`hermes session`: list, show, export, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .context import print_json, print_table
from .process_context import plain_line, plain_text
from .run_context import session_argument, state_in_words, verb

if TYPE_CHECKING:
    from hermes_cli.gateway.run_client import RunClient


@click.group()
def session() -> None:
    """Show the conversations with the profile's agent. `hermes chat --session ID` goes on with one."""


@session.command("list")
@click.option("-n", "--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="How many.")
@click.option("--before", metavar="ID", help="Those behind this one.")
@verb
def list_command(client: RunClient, as_json: bool, limit: int, before: str | None) -> None:
    """List sessions, the most recently active first."""
    import time

    from .table import duration

    rows = client.sessions(before=before, limit=limit)
    if as_json:
        print_json({"sessions": rows})
        return
    now = time.time()
    print_table(
        ("ID", "RUNS", "ACTIVE", "IDLE", "TITLE"),
        [
            (
                row.session_id,
                str(row.runs),
                row.active_run_id or "-",
                duration(max(0.0, now - row.last_active_at)),
                plain_line(row.title),
            )
            for row in rows
        ],
    )


@session.command()
@session_argument
@click.option("-n", "--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="Runs.")
@verb
def show(client: RunClient, as_json: bool, session_id: str, limit: int) -> None:
    """Show a session and its runs: the active one first, then the latest."""
    found = client.session(session_id)
    runs = client.session_runs(found.session_id, limit=limit)
    if as_json:
        print_json({"session": found, "runs": runs})
        return
    click.echo(f"{found.session_id}  {plain_line(found.title)}")
    for row in runs:
        click.echo(f"{row.run_id}  {state_in_words(row)}")
        click.echo("    " + plain_text(row.message).replace("\n", "\n    "))


@session.command()
@session_argument
@verb
def export(client: RunClient, as_json: bool, session_id: str) -> None:
    """Print what was said, as JSON lines: `message`, `answer`, `reset`."""
    for line in client.session_log(session_id):
        click.echo(line, nl=False)


@session.command()
@session_argument
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@verb
def delete(client: RunClient, as_json: bool, session_id: str, yes: bool) -> None:
    """Remove a session with its runs and its log."""
    found = client.session(session_id)
    if not yes:
        title = plain_line(found.title)
        click.confirm(f"Delete {found.session_id} ({title}) with {found.runs} runs?", abort=True, err=True)
    gone = client.delete_session(found.session_id)
    if as_json:
        print_json(gone)
    else:
        click.echo(f"{gone.session_id} has been deleted, with {gone.runs} runs.")
