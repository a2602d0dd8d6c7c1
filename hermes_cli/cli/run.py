"""`hermes run`: start, list, show, events, cancel, approve, deny, retry."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from .context import print_json, print_table
from .process_context import plain_line, plain_text
from .run_context import complete_session, controlled, run_argument, state_in_words, verb
from .run_options import RunOptions, run_options

if TYPE_CHECKING:
    from hermes_cli.gateway.run_api import RunStarted, RunView
    from hermes_cli.gateway.run_client import RunClient

_WIDEST_MESSAGE = 60
_PAGE = 1000


@click.group(
    epilog="""
    \b
    Exit codes: 0 done; 1 not done, one sentence says why; 2 wrong usage.
      start -f, retry -f, events -f    how the run ended: 0 completed; its own code, else 1, failed;
              124 its deadline was over; 125 nobody knows; 130 cancelled, or left to itself by ^C.

    An ID may be cut to any beginning of it that is unique, four digits at least.
    """
)
def run() -> None:
    """Start and follow runs of the profile's agent. The gateway executes them, whatever becomes of you."""


@run.command()
@click.argument("message")
@click.option(
    "--session", "session_id", metavar="ID", shell_complete=complete_session, help="Go on with this session."
)
@run_options
@click.option("--queue", is_flag=True, help="Wait in line where the session is busy.")
@click.option("--key", metavar="TEXT", help="Idempotency key: the same key is the same run.")
@click.option("-f", "--follow", is_flag=True, help="Show what it says, to its end.")
@verb
def start(
    client: RunClient,
    as_json: bool,
    message: str,
    session_id: str | None,
    options: RunOptions,
    queue: bool,
    key: str | None,
    follow: bool,
) -> int:
    """Start a run with MESSAGE (- reads it from stdin): a command line, or whatever the agent takes."""
    session_id = None if session_id is None else client.session(session_id).session_id
    started = client.start(options.body(typed(message), session_id, queue=queue), key=key)
    return _started(client, started, as_json, follow)


@run.command("list")
@click.option("--session", "session_id", metavar="ID", shell_complete=complete_session, help="Of a session.")
@click.option("--status", "statuses", multiple=True, metavar="STATUS", help="In this state.")
@click.option("-n", "--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="How many.")
@click.option("--before", metavar="ID", help="Those behind this one.")
@verb
def list_command(
    client: RunClient,
    as_json: bool,
    session_id: str | None,
    statuses: tuple[str, ...],
    limit: int,
    before: str | None,
) -> None:
    """List runs, the latest first."""
    rows = client.recent(session_id=session_id, statuses=statuses, before=before, limit=limit)
    if as_json:
        print_json({"runs": rows})
        return
    print_table(("ID", "STATUS", "SESSION", "TIME", "MESSAGE"), [_row(row) for row in rows])


@run.command()
@run_argument
@verb
def show(client: RunClient, as_json: bool, run_id: str) -> None:
    """Show how a run is."""
    found = client.get(run_id)
    if as_json:
        print_json(found)
        return
    click.echo(f"{found.run_id}  {state_in_words(found)}")
    lines: list[tuple[str, Any]] = [
        ("session", found.session_id),
        ("message", plain_text(found.message)),
        ("agent", found.agent),
        ("workspace", found.workspace),
        ("began", _time(found.started_at)),
        ("ended", _time(found.ended_at)),
        ("last event", found.last_event_id),
        ("approval", found.pending_approval_id),
        ("retry of", found.retry_of),
        ("can be asked", ", ".join(found.active_controls)),
    ]
    for name, value in lines:
        if value:
            click.echo(f"{name + ':':14}{plain_text(str(value))}")


@run.command()
@run_argument
@click.option("-f", "--follow", is_flag=True, help="Go on to its end; ^C leaves it be.")
@click.option("--cursor", default="0", metavar="CURSOR", help="Begin behind this event.")
@verb
def events(client: RunClient, as_json: bool, run_id: str, follow: bool, cursor: str) -> int:
    """Show a run's events so far, or as they come. With --json, one object a line."""
    import msgspec

    found = client.get(run_id)
    if follow:
        from .run_follow import Follower

        follower = Follower(client, found.run_id, as_json=as_json, asks=False, cancels=False)
        return follower.follow(cursor)
    while True:
        page = client.page(found.run_id, cursor, limit=_PAGE)
        for event in page.events:
            if as_json:
                click.echo(msgspec.json.encode(event))
                continue
            told = msgspec.json.encode(event.payload).decode() if event.payload else ""
            click.echo(
                f"{event.seq:>6}  {_time(event.created_at)}  {plain_line(event.type)}  {plain_line(told)}"
            )
        if not page.events:
            return 0
        cursor = page.cursor


@run.command()
@run_argument
@verb
def cancel(client: RunClient, as_json: bool, run_id: str) -> int:
    """Ask a run to end, with everything it started."""
    return controlled(client.cancel(run_id), run_id, as_json)


@run.command()
@run_argument
@click.option("--approval", metavar="ID", help="The one that is meant; else whichever it waits for.")
@verb
def approve(client: RunClient, as_json: bool, run_id: str, approval: str | None) -> int:
    """Allow what a run waits for."""
    return controlled(client.decide(run_id, True, approval), run_id, as_json)


@run.command()
@run_argument
@click.option("--approval", metavar="ID", help="The one that is meant; else whichever it waits for.")
@verb
def deny(client: RunClient, as_json: bool, run_id: str, approval: str | None) -> int:
    """Refuse what a run waits for: it ends."""
    return controlled(client.decide(run_id, False, approval), run_id, as_json)


@run.command()
@run_argument
@click.option("--key", metavar="TEXT", help="Idempotency key: the same key is the same run.")
@click.option("-f", "--follow", is_flag=True, help="Show what it says, to its end.")
@verb
def retry(client: RunClient, as_json: bool, run_id: str, key: str | None, follow: bool) -> int:
    """Start a new run of an ended one's message, in its session."""
    return _started(client, client.retry(run_id, key=key), as_json, follow)


def typed(message: str) -> str:
    """What was given as a message: `-` is all of stdin. Bytes that are no UTF-8 become U+FFFD."""
    if message == "-":
        return sys.stdin.buffer.read().decode("utf-8", "replace")
    return message.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _started(client: RunClient, started: RunStarted, as_json: bool, follow: bool) -> int:
    if follow:
        from .run_follow import Follower, is_person

        if not as_json:
            click.echo(f"hermes: {started.run_id} in {started.session_id}", err=True)
        follower = Follower(client, started.run_id, as_json=as_json, asks=is_person(), cancels=False)
        return follower.follow()
    if as_json:
        print_json(started)
    else:
        click.echo(f"{started.run_id} is {started.status} in {started.session_id}.")
    return 0


def _row(row: RunView) -> tuple[str, ...]:
    import time

    from .table import duration

    message = plain_line(" ".join(row.message.split()))
    if len(message) > _WIDEST_MESSAGE:
        message = message[: _WIDEST_MESSAGE - 1] + "…"
    until = row.ended_at or time.time()
    took = duration(max(0.0, until - row.started_at)) if row.started_at else "-"
    state = f"failed {row.exit_code}" if row.status == "failed" and row.exit_code else row.status
    return row.run_id, f"{state}, stalled" if row.stalled else state, row.session_id, took, message


def _time(seconds: float | None) -> str:
    import time

    return "" if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
