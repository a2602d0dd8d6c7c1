"""Each session's conversation as a file of JSON lines that a person can read, written from the store.

The store is what counts: a line that a crash has left out is written with the next look at the session.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from .store import Store
from .types import Event, Run

_LONGEST_TEXT = 256 << 10
"""Characters of an answer that are kept in the log, its last ones."""

_LOOKED_AT = 20_000
"""Events of a run that are looked at for its answer, from the last one back."""

_LAST_LINES = 2 << 20
"""Bytes at the end of a log in which its last whole line is: more than the longest line."""

_MOST_RUNS = 50
"""Runs of which lines are written at a time."""


class _Line(msgspec.Struct):
    """What is read back of a line."""

    type: str
    at: float
    run_id: str = ""


class SessionLogs:
    """The logs below one directory. One writer at a time, which is the caller's to see to."""

    def __init__(self, directory: Path, masked: Callable[[str], str]) -> None:
        """`masked` takes the secrets out of a text."""
        self._directory = directory
        self._masked = masked

    def path(self, session_id: str) -> Path:
        return self._directory / f"{session_id}.jsonl"

    def position(self, session_id: str) -> tuple[int, float]:
        """Bytes of the log up to the last run that is whole in it, and when that ended; (0, 0) for none."""
        try:
            with self.path(session_id).open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                begin = max(0, size - _LAST_LINES)
                file.seek(begin)
                data = file.read(_LAST_LINES)
        except FileNotFoundError:
            return 0, 0.0
        end = data.rfind(b"\n") + 1
        while end > 0:
            start = data.rfind(b"\n", 0, end - 1) + 1
            line = _line(data[start:end])
            if line is not None and line.type in ("answer", "reset"):
                return begin + end, line.at
            end = start
        return 0, 0.0

    def missing(self, store: Store, session_id: str, since: float) -> tuple[list[bytes], bool]:
        """The lines of what ended after `since`, oldest first, and whether there are more.

        Raises `NoSuchSessionError`.
        """
        session = store.session(session_id)
        rows = list(
            store.connection.execute(
                "SELECT id, ended_at FROM runs WHERE session = ? AND ended_at > ? "
                "ORDER BY ended_at, n LIMIT ?",
                (session_id, since, _MOST_RUNS + 1),
            )
        )
        lines: list[bytes] = []
        reset = session.reset_at if session.reset_at is not None and session.reset_at > since else None
        for run_id, ended_at in rows[:_MOST_RUNS]:
            if reset is not None and reset < float(ended_at):
                lines.append(_reset(session_id, reset))
                reset = None
            lines += self._of_run(store, store.run(str(run_id)))
        more = len(rows) > _MOST_RUNS
        if reset is not None and not more:
            lines.append(_reset(session_id, reset))
        return lines, more

    def append(self, session_id: str, position: int, lines: list[bytes]) -> None:
        """Write the lines behind `position`, in the place of what may stand there half-written.

        Raises OSError.
        """
        with os.fdopen(self._open(session_id), "wb") as file:
            file.truncate(position)
            file.seek(position)
            file.writelines(lines)

    def make(self, session_id: str) -> None:
        """An empty log where there is none: whoever is told of it finds a file. Raises OSError."""
        os.close(self._open(session_id))

    def sessions(self) -> list[str]:
        """Those that have a log."""
        try:
            return [path.stem for path in self._directory.glob("ses_*.jsonl")]
        except OSError:
            return []

    def remove(self, session_id: str) -> None:
        self.path(session_id).unlink(missing_ok=True)

    def _open(self, session_id: str) -> int:
        self._directory.mkdir(mode=0o700, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
        return os.open(self.path(session_id), flags, 0o600)

    def _of_run(self, store: Store, run: Run) -> list[bytes]:
        text, cut = _answer(store, run)
        head: dict[str, Any] = {"session_id": run.session_id, "run_id": run.run_id}
        asked = {"type": "message", "at": run.created_at, **head, "text": self._masked(run.request.message)}
        answered = {
            "type": "answer",
            "at": run.ended_at,
            **head,
            "status": run.status,
            "exit_code": run.exit_code,
            "reason": run.reason,
            "text": text,
            **({"cut": True} if cut else {}),
        }
        return [msgspec.json.encode(line) + b"\n" for line in (asked, answered)]


def _answer(store: Store, run: Run) -> tuple[str, bool]:
    """The text that a run came to, and whether its beginning was left out."""
    snapshot = store.snapshot(run.run_id)
    if snapshot is not None:
        return snapshot, True
    pieces: list[str] = []
    size = looked_at = 0
    rows = store.connection.execute(
        "SELECT body FROM events WHERE run = (SELECT n FROM runs WHERE id = ?) ORDER BY seq DESC LIMIT ?",
        (run.run_id, _LOOKED_AT),
    )
    for row in rows:
        event = msgspec.json.decode(row[0], type=Event)
        looked_at += 1
        if event.type == "delta":
            pieces.append(str(event.payload.get("text", "")))
            size += len(pieces[-1])
        if size > _LONGEST_TEXT:
            break
    text = "".join(reversed(pieces))
    return text[-_LONGEST_TEXT:], looked_at < run.last_seq or len(text) > _LONGEST_TEXT


def _reset(session_id: str, at: float) -> bytes:
    line = {"type": "reset", "at": at, "session_id": session_id}
    return msgspec.json.encode(line) + b"\n"


def _line(data: bytes) -> _Line | None:
    try:
        return msgspec.json.decode(data, type=_Line)
    except msgspec.MsgspecError:
        return None
