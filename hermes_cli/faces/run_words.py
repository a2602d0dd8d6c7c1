"""How a run stands and what its events say, in the same words on every face."""

from __future__ import annotations

import msgspec

from hermes_cli.gateway.run_api import RunEvent, RunView

from .overview import MARKS, Tone
from .printable import plain

_TONES: dict[str, Tone] = {
    "queued": "idle",
    "running": "busy",
    "awaiting_approval": "busy",
    "awaiting_clarify": "busy",
    "cancelling": "busy",
    "completed": "good",
    "failed": "bad",
    "cancelled": "idle",
    "interrupted": "bad",
    "expired": "bad",
}

_WORDS = {
    "awaiting_approval": "waits to be allowed",
    "awaiting_clarify": "waits for an answer",
    "cancelling": "is asked to end",
}

_NOTES = {
    "approval_granted": "allowed",
    "approval_denied": "denied",
    "cancelling": "asked to end",
    "resumed": "the gateway came back and goes on with it",
    "stalled": "has said nothing for long; it goes on",
}

_MAX_PAYLOAD = 4096


class RunLook(msgspec.Struct, frozen=True):
    """A run's state as it is shown. The texts are safe."""

    tone: Tone
    mark: str
    words: str
    note: str
    """Why, where there is something to say; else empty."""


def run_look(run: RunView) -> RunLook:
    tone = _TONES.get(run.status, "idle")
    words = _WORDS.get(run.status, run.status)
    notes = []
    if run.exit_code:
        notes.append(f"exit code {run.exit_code}")
    if run.reason:
        notes.append(plain(run.reason, 600))
    if run.stalled and run.terminal_state is None:
        words += ", stalled"
        notes.append("it has said nothing for long")
    return RunLook(tone, MARKS[tone], words, "; ".join(notes))


def note_of(event: RunEvent) -> str:
    """What an event that is no text says, as one line that is safe to show."""
    told = event.payload
    if event.type == "started":
        return f"started ({plain(str(told.get('agent', '')), 60)})"
    if event.type == "approval_requested":
        return f"asks to be allowed: {plain(str(told.get('description', '')), 600)}"
    if event.type == "output_dropped":
        return f"{plain(str(told.get('dropped_bytes')), 20)} bytes were dropped for the limit"
    if event.terminal:
        code, reason = told.get("exit_code"), plain(str(told.get("reason") or ""), 600)
        ended = f"{event.type} with exit code {code}" if isinstance(code, int) and code else event.type
        return plain(f"{ended}: {reason}" if reason else ended)
    return _NOTES.get(event.type) or plain(f"{event.type} {payload_of(event)}")


def payload_of(event: RunEvent) -> str:
    """The payload as one line of JSON that is safe to show."""
    return plain(msgspec.json.encode(event.payload).decode(), _MAX_PAYLOAD) if event.payload else ""
