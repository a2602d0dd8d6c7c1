"""How far the supervision log has been told to the webhook: durable, and true over rotations of the log."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from hermes_cli.home import CorruptFileError, Home, Record, load, save
from hermes_cli.service_manager.filelock import open_lock_file, try_lock

from .supervision_log import both_files

FIRST_PAUSE = 5.0
LONGEST_PAUSE = 600.0
"""Seconds between two tries; each is twice the one before."""

_HEAD = 200
"""Characters of a file's first line that tell it from every other: they begin with a time and a profile."""


class Position(NamedTuple):
    """A place in the log. An inode would not do: a new file may get that of one that was removed."""

    head: str
    """The beginning of the file's first line; empty where there was no file."""
    offset: int


class CursorRecord(Record, kw_only=True):
    """`logs/webhook.json`, written by whoever holds the lock."""

    head: str = ""
    offset: int = 0
    attempts: int = 0
    """Tries of the next event that have failed."""
    next_try_at: float = 0.0
    problem: str = ""
    """Why the last try failed; empty once one has succeeded."""
    delivered_at: float | None = None
    """When the endpoint last took an event, seconds since the epoch."""
    given_up: int = 0
    """Events that were too old before the endpoint took them."""

    @property
    def position(self) -> Position:
        return Position(self.head, self.offset)


class Line(NamedTuple):
    """One event in the log."""

    text: bytes
    event: dict[str, Any]
    at: Position
    behind: Position


def cursor_path(root: Path) -> Path:
    return Home.of(root=root).logs / "webhook.json"


def load_cursor(root: Path) -> CursorRecord | None:
    """None where nothing was ever to be told. One that is damaged begins anew, at the oldest line."""
    try:
        return load(cursor_path(root), CursorRecord)
    except CorruptFileError:
        return CursorRecord()


def save_cursor(root: Path, record: CursorRecord) -> None:
    """Raises OSError."""
    save(cursor_path(root), record)


@contextlib.contextmanager
def delivering(root: Path) -> Iterator[int | None]:
    """The lock of the one who delivers, as a descriptor; None where another has it. Raises OSError."""
    descriptor = open_lock_file(Home.of(root=root).logs / "webhook.lock")
    try:
        yield descriptor if try_lock(descriptor) else None
    finally:
        os.close(descriptor)


def ensure_cursor(root: Path) -> None:
    """Begin here, unless there is a cursor already: what was before is no news. Raises OSError."""
    if cursor_path(root).exists():
        return
    Home.of(root=root).logs.mkdir(mode=0o755, exist_ok=True)
    with delivering(root) as lock:
        if lock is not None and not cursor_path(root).exists():
            end = end_of(both_files(root))
            save_cursor(root, CursorRecord(head=end.head, offset=end.offset))


def waiting(root: Path, position: Position, kinds: Collection[str]) -> list[Line]:
    """The events of these kinds behind `position`, oldest first."""
    return list(_behind(both_files(root), position, kinds))


def end_of(files: list[bytes]) -> Position:
    """The place behind the last whole line."""
    for data in reversed(files):
        if data:
            return Position(_head(data), data.rfind(b"\n") + 1)
    return Position("", 0)


def _behind(files: list[bytes], position: Position, kinds: Collection[str]) -> Iterator[Line]:
    known = [number for number, data in enumerate(files) if data and _head(data) == position.head]
    words = [f'"{kind}"'.encode() for kind in kinds]
    for number, data in enumerate(files):
        if known and number < known[-1]:
            continue
        start = position.offset if known and number == known[-1] else 0
        if start > len(data):
            start = 0
        if not any(data.find(word, start) >= 0 for word in words):
            continue
        head = _head(data)
        while (end := data.find(b"\n", start)) >= 0:
            text, at = data[start:end], Position(head, start)
            start = end + 1
            event = _event(text)
            if event is not None and event["event"] in kinds:
                yield Line(text, event, at, Position(head, start))


def _event(text: bytes) -> dict[str, Any] | None:
    try:
        event = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    members = (event.get("event"), event.get("ts"), event.get("profile"))
    return event if all(isinstance(member, str) for member in members) else None


def _head(data: bytes) -> str:
    return data[: data.find(b"\n") + 1][:_HEAD].decode("latin-1")
