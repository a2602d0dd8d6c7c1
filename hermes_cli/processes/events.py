"""From a line that a keeper wrote to the event that its owner gets."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from . import records
from .redaction import Redactor
from .types import Event, Spec
from .watching import LINE_KEPT

OUTPUT_KEPT = 4000
"""Characters of output in an event, of a completion the last ones."""

_PIECE = 1 << 20
"""Bytes of one process's events that are read at once."""

_STATES = ("running", "exited", "killed", "lost")


def read_lines(directory: Path, cursor: int) -> tuple[list[dict[str, Any]], int] | None:
    """Whole lines of events.jsonl after the offset `cursor`, and the offset after them; None without a file.

    A torn line, and everything after one that is no event, is left for when it is mended.
    """
    try:
        descriptor = os.open(
            directory / records.EVENTS, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        )
    except OSError:
        return None
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, opened without following links
        try:
            # A file that became shorter was put back: what was told is known by its number.
            offset = cursor if cursor <= os.fstat(descriptor).st_size else 0
            file.seek(offset)
            data = file.read(_PIECE)
        except OSError:
            return None
    found: list[dict[str, Any]] = []
    for line in data.split(b"\n")[:-1]:
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            break
        if not isinstance(event, dict):
            break
        found.append(event)
        offset += len(line) + 1
    return found, offset


def event_from(
    line: dict[str, Any], spec: Spec, command: str, redactor: Redactor, now: float
) -> Event | None:
    """The event without its id, masked and addressed; None for a type that is not known.

    `command`: masked already. `now`: its time where the line has none that could be one.
    """
    kind, at = line.get("type"), line.get("at")
    if kind not in ("completion", "watch_match", "watch_disabled"):
        return None
    completion = kind == "completion"
    state = line.get("state")
    owner = spec.owner
    return Event(
        id=0,
        type=kind,
        session_id=spec.id,
        session_key=owner.session_key,
        created_at=float(at) if isinstance(at, (int, float)) and 0 <= at < 1e11 else now,
        command=command,
        exit_code=_number(line.get("exit_code")) if completion else None,
        signal=_number(line.get("signal")) if completion else None,
        status=state if completion and state in _STATES else None,
        output=_end(line.get("output"), redactor) if completion else _line(line.get("output"), redactor),
        pattern=_text(line.get("pattern"), redactor),
        suppressed=None if completion else _number(line.get("suppressed")),
        message=_text(line.get("message") or line.get("reason"), redactor),
        platform=owner.platform,
        chat_id=owner.chat_id,
        user_id=owner.user_id,
        user_name=owner.user_name,
        thread_id=owner.thread_id,
    )


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _text(value: object, redactor: Redactor) -> str | None:
    return redactor.text(value) if isinstance(value, str) and value else None


def _end(value: object, redactor: Redactor) -> str | None:
    return redactor.text(value)[-OUTPUT_KEPT:] if isinstance(value, str) else None


def _line(value: object, redactor: Redactor) -> str | None:
    from .reading import stripped

    if not isinstance(value, str) or not value:
        return None
    data = value.encode("utf-8", "replace")
    # A line of this length was cut, perhaps inside of a secret.
    return redactor.page("", stripped(data), more=len(data) >= LINE_KEPT)[0][:OUTPUT_KEPT]
