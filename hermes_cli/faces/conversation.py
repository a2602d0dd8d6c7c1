"""A session as turns that are safe to show, and what is said next: a run in that session."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

import msgspec

from hermes_cli.gateway.run_api import RunBody, RunStarted, RunView, SessionView
from hermes_cli.runs.types import TERMINAL

from .printable import plain, plain_text

if TYPE_CHECKING:
    from hermes_cli.gateway.run_client import RunClient

LATEST = 200
"""Turns that are shown."""

_LATEST_RUNS = 100
"""Runs of a session that are looked at for those that have not ended; more than may wait in one."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was said. Texts are safe to show, and may have several lines."""

    kind: Literal["message", "answer", "reset"]
    """`reset`: the conversation began anew here."""
    at: float | None = None
    """Seconds since the epoch; None of an answer that goes on."""
    run_id: str = ""
    text: str = ""
    status: str = ""
    """Of an answer: how its run is, or ended."""
    note: str = ""
    """Of an answer: why it ended so, and what of it is not here."""


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    session: SessionView
    title: str
    """Safe to show."""
    turns: list[Turn]
    """Oldest first; those of runs that have not ended are the last. The answer of an active run is empty: its
    events have it."""
    left_out: int
    """Earlier turns that are not in `turns`."""
    active: RunView | None
    """The run that is executed, or the first that waits."""


def read(client: RunClient, session_id: str, latest: int = LATEST) -> Conversation:
    """The session as it is now.

    Raises what a client raises (`reach.FAILURES`). Takes as long as the gateway: not for an event loop.
    """
    session = client.session(session_id)
    # First the runs, then the log: what ends in between is in the log, and in both it is known by its id.
    runs = client.session_runs(session.session_id, limit=_LATEST_RUNS)
    turns, left_out = turns_of(client.session_log(session.session_id), latest)
    told = {turn.run_id for turn in turns}
    open_runs = [run for run in runs if run.status not in TERMINAL and run.run_id not in told]
    open_runs.sort(key=lambda run: (run.status == "queued", run.created_at))
    return Conversation(
        session=session,
        title=plain(session.title, 200),
        turns=[*turns, *(turn for run in open_runs for turn in _going_on(run))],
        left_out=left_out,
        active=open_runs[0] if open_runs else None,
    )


def turns_of(log: Iterable[bytes], latest: int = LATEST) -> tuple[list[Turn], int]:
    """The last `latest` turns of a session's log (lines of JSON, oldest first), and how many were before.

    A line that is none of ours is left out.
    """
    turns: deque[Turn] = deque(maxlen=latest)
    seen = 0
    for line in log:
        turn = _turn(line)
        if turn is not None:
            turns.append(turn)
            seen += 1
    return list(turns), seen - len(turns)


def send(
    client: RunClient, session_id: str | None, message: str, *, source: str, key: str | None = None
) -> RunStarted:
    """Say `message` in a session, in a new one where `session_id` is None.

    Sent twice with the same `key` it is said once. Raises what a client raises; `GatewayAnswerError` with
    the code `session_busy` where the session's run has not ended.
    """
    return client.start(RunBody(message=message, session_id=session_id, source=source), key=key)


class _Line(msgspec.Struct):
    """What is shown of a line of the log."""

    type: Literal["message", "answer", "reset"]
    at: float | None = None
    run_id: str = ""
    text: str = ""
    status: str = ""
    exit_code: int | None = None
    reason: str = ""
    cut: bool = False


_decode = msgspec.json.Decoder(_Line).decode


def _turn(data: bytes) -> Turn | None:
    try:
        line = _decode(data)
    except msgspec.MsgspecError:
        return None
    notes = []
    if line.exit_code:
        notes.append(f"exit code {line.exit_code}")
    if line.reason:
        notes.append(plain(line.reason, 600))
    if line.cut:
        notes.append("its beginning is left out here")
    return Turn(
        kind=line.type,
        at=line.at,
        run_id=plain(line.run_id, 64),
        text=plain_text(line.text),
        status=plain(line.status, 40),
        note="; ".join(notes),
    )


def _going_on(run: RunView) -> list[Turn]:
    return [
        Turn(kind="message", at=run.created_at, run_id=run.run_id, text=plain_text(run.message)),
        Turn(kind="answer", run_id=run.run_id, status=run.status),
    ]
