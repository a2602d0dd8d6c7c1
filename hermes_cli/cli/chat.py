"""`hermes chat`: one question and its answer, or a conversation."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .run_context import complete_session, verb
from .run_options import RunOptions, run_options

if TYPE_CHECKING:
    from hermes_cli.gateway.run_client import RunClient

_HISTORY = 1000
"""Lines of what was typed that are kept."""

_HISTORY_FILE = ".chat_history"

_SHOWN_LINES = 10
"""Lines of a session's log that are shown when it is gone on with."""


@click.command(
    epilog="""
    \b
    Exit codes of -q: 0 completed; the run's own code, else 1, where it failed; 124 its deadline was over;
      125 nobody knows how it ended; 130 cancelled, or left to itself by ^C twice.
    """
)
@click.option("-q", "--query", metavar="TEXT", help="What to ask; one question, one answer. - reads stdin.")
@click.option(
    "--session", "session_id", metavar="ID", shell_complete=complete_session, help="Go on with this session."
)
@run_options
@verb
def chat(
    client: RunClient,
    as_json: bool,
    query: str | None,
    session_id: str | None,
    options: RunOptions,
) -> int:
    """Ask the profile's agent: once with -q, else as long as you like.

    ^C asks what goes on to end; once more leaves it to itself and says how to come back.
    """
    from .run import typed
    from .run_follow import Follower, is_person

    if query is None and (as_json or not (sys.stdin.isatty() and sys.stdout.isatty())):
        raise click.UsageError("a conversation needs a terminal; ask one question with -q TEXT, or -q -")
    if session_id is not None:
        session_id = client.session(session_id).session_id
    if query is None:
        return _converse(client, session_id, options)
    started = client.start(options.body(typed(query), session_id, queue=session_id is not None))
    if not as_json:
        click.echo(f"hermes: {started.run_id} in {started.session_id}", err=True)
    follower = Follower(client, started.run_id, as_json=as_json, asks=is_person())
    return follower.follow(started.cursor)


def _converse(client: RunClient, session_id: str | None, options: RunOptions) -> int:
    from hermes_cli.gateway.client import GatewayAnswerError

    from .process_context import plain_line
    from .run_follow import Follower

    if session_id is None:
        client.sessions(limit=1)  # whether there is a gateway is known before the first question
    else:
        _show_before(client, session_id)
    click.echo("hermes: ^D ends the conversation; ^C ends an answer", err=True)
    with _history(client.home.path / _HISTORY_FILE):
        while True:
            try:
                message = input("> ")
            except KeyboardInterrupt:
                click.echo()
                continue
            except EOFError:
                break
            if not message.strip():
                continue
            try:
                started = client.start(options.body(message, session_id, queue=True))
            except GatewayAnswerError as error:
                click.echo(f"hermes: {plain_line(error.detail)}", err=True)
                continue
            session_id = started.session_id
            Follower(client, started.run_id, as_json=False, asks=True).follow(started.cursor)
    click.echo()
    if session_id is not None:
        click.echo(f"hermes: 'hermes chat --session {session_id}' goes on with this", err=True)
    return 0


def _show_before(client: RunClient, session_id: str) -> None:
    """The end of what was said before."""
    from collections import deque

    import msgspec

    from .process_context import plain_text

    for line in deque(client.session_log(session_id), maxlen=_SHOWN_LINES):
        said = msgspec.json.decode(line)
        if said.get("type") == "message":
            click.echo(f"> {plain_text(said['text'])}")
        elif said.get("type") == "answer":
            click.echo(plain_text(said["text"].removesuffix("\n")))


@contextlib.contextmanager
def _history(path: Path) -> Iterator[None]:
    """Lines typed before are there for the arrow keys, and those typed now the next time."""
    try:
        import readline
    except ImportError:
        yield
        return
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        readline.read_history_file(path)
    readline.set_history_length(_HISTORY)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            readline.write_history_file(path)
