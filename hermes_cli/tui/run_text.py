"""A run's events as lines of a log."""

from __future__ import annotations

from hermes_cli.faces.printable import plain_text
from hermes_cli.faces.run_words import note_of
from hermes_cli.gateway.run_api import RunEvent

from .widgets.text_log import Line, TextLog


def show_event(log: TextLog, event: RunEvent, *, quiet: bool = False) -> None:
    """Show the event behind those before it. `quiet`: leave out what a conversation need not say."""
    if event.type == "delta":
        log.feed(str(event.payload.get("text", "")))
        return
    if quiet and (event.type == "started" or event.type == "completed"):
        return
    log.add([Line(f"— {note_of(event)}", "bold" if event.terminal else "dim")])
    if event.type == "approval_requested":
        command = plain_text(str(event.payload.get("command", "")))
        log.add([Line(f"    {line}") for line in command.split("\n")[:20]])
