"""A run's events: asked for from a cursor on, and as lines of a log."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from hermes_cli.faces.printable import plain_text
from hermes_cli.faces.run_words import note_of
from hermes_cli.gateway.client import GatewayAnswerError
from hermes_cli.gateway.run_api import EventPage, RunEvent

from .widgets.text_log import Line, TextLog

if TYPE_CHECKING:
    from hermes_cli.gateway.run_client import RunClient


def ask_for_page(client: RunClient, run_id: str, cursor: str, wait: float) -> tuple[str | None, EventPage]:
    """The events behind `cursor`, within `wait` seconds; and the text that is kept in the place of those
    before them, where they are not kept any more. Raises `reach.FAILURES`."""
    try:
        return None, client.page(run_id, cursor, wait=wait)
    except GatewayAnswerError as error:
        if "snapshot" not in error.problem:
            raise
        return str(error.problem["snapshot"]), client.page(run_id, str(error.problem["cursor"]))


def show_page(log: TextLog, snapshot: str | None, page: EventPage, *, quiet: bool = False) -> None:
    """Show both. `quiet`: leave out what a conversation need not say."""
    if snapshot is not None:
        log.add([Line("(of the earlier events, the text alone is kept)", "dim")])
        log.feed(snapshot)
    for is_text, events in groupby(page.events, lambda event: event.type == "delta"):
        if is_text:
            log.feed("".join(str(event.payload.get("text", "")) for event in events))
        else:
            for event in events:
                _show(log, event, quiet)


def _show(log: TextLog, event: RunEvent, quiet: bool) -> None:
    if quiet and (event.type == "started" or event.type == "completed"):
        return
    log.add([Line(f"— {note_of(event)}", "bold" if event.terminal else "dim")])
    if event.type == "approval_requested":
        command = plain_text(str(event.payload.get("command", "")))
        log.add([Line(f"    {line}") for line in command.split("\n")[:20]])
