"""The supervision log: one JSON line per event, from gateways, finish scripts and the registrar alike."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from hermes_cli.home import Home
from hermes_cli.service_manager.filelock import BINARY, CLOEXEC, NOFOLLOW, NONBLOCK, try_lock

Event = Literal["exited", "crashed", "parked", "ready", "draining", "registered", "unregistered"]

ROTATE_AT = 1 << 20
"""Bytes after which the file becomes `supervision.jsonl.1`; the older one goes."""
_LARGEST = 4 * ROTATE_AT
"""Bytes of a file that are read: several writers may pass the limit together before one rotates."""
_LONGEST_LINE = 4096
"""Bytes of one line, so that an append stays one write."""
_RELOOK = 5.0
"""Seconds until a follower looks again without having been woken."""
_LOOKS = 5
"""Tries to find both files as one rotation left them. They are a megabyte apart: the second succeeds."""


class SupervisionEvent(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One line."""

    ts: str
    """UTC, ISO 8601, whole seconds, `Z`."""
    profile: str
    event: str
    code: int | None = None
    signal: str | None = None
    detail: str | None = None
    kind: str | None = None
    """Of a parking: `config` or `crash_loop`."""


def record_event(
    root: Path | None,
    profile: str,
    event: Event,
    *,
    code: int | None = None,
    signal: str | None = None,
    detail: str | None = None,
    kind: str | None = None,
) -> bool:
    """Append one event; False where the log cannot be written. Supervision goes on without its log."""
    line = msgspec.json.encode(
        SupervisionEvent(
            ts=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            profile=profile,
            event=event,
            code=code,
            signal=signal,
            detail=detail[: _LONGEST_LINE // 8] if detail else None,
            kind=kind,
        )
    )
    path = Home.of(profile, root).supervision_log
    try:
        path.parent.mkdir(mode=0o755, exist_ok=True)
        _append(path, line + b"\n")
    except OSError:
        return False
    return True


def read_events(root: Path | None = None, follow: bool = False) -> Iterator[SupervisionEvent]:
    """The events on file, oldest first, then with `follow` those to come. Torn lines are left out."""
    if follow:
        with EventFollower(root) as follower:
            yield from follower.past()
            yield from follower.coming()
    for data in both_files(root):
        yield from _decoded(data.split(b"\n"))


def both_files(root: Path | None = None) -> list[bytes]:
    """The rotated file and the one that is written to, as one rotation left them; empty for none."""
    path = Home.of(root=root).supervision_log
    older = newer = b""
    for _ in range(_LOOKS):
        older, inode = _content(_rotated(path))
        newer, _ = _content(path)
        if _inode(_rotated(path)) == inode:
            break  # else the log was rotated in between, and what was the newer is the older now
    return [older, newer]


class EventFollower:
    """The events on file and then those to come: each once, whatever happens to the log meanwhile."""

    def __init__(self, root: Path | None = None) -> None:
        from .event_printer import EventLog

        self._path = Home.of(root=root).supervision_log
        self._log = EventLog(os.fspath(self._path))

    def past(self) -> list[SupervisionEvent]:
        """What is there now, oldest first. To be called once, and before `coming`."""
        from .event_printer import EventLog

        older = b""
        newer: list[bytes] = []
        for _ in range(_LOOKS):
            self._log.close()
            self._log = EventLog(os.fspath(self._path))
            older, inode = _content(_rotated(self._path))
            newer = self._log.read()
            if _inode(_rotated(self._path)) == inode:
                break
        return list(_decoded([*older.split(b"\n"), *newer]))

    def coming(self) -> Iterator[SupervisionEvent]:
        """What is written from then on; waits for it."""
        from hermes_cli.service_manager.watch import GROWN, Watch

        with Watch(self._path.parent, GROWN) as watch:
            while True:
                watch.arm()
                yield from _decoded(self._log.read())
                watch.wait(_RELOOK)

    def close(self) -> None:
        self._log.close()

    def __enter__(self) -> EventFollower:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _content(path: Path) -> tuple[bytes, int]:
    """The bytes of a file and its inode; none and 0 where it cannot be read, or is a link."""
    try:
        descriptor = os.open(path, os.O_RDONLY | NOFOLLOW | CLOEXEC | NONBLOCK | BINARY)
    except OSError:
        return b"", 0
    with os.fdopen(descriptor, "rb") as file, contextlib.suppress(OSError):
        return file.read(_LARGEST), os.fstat(descriptor).st_ino
    return b"", 0


def _rotated(path: Path) -> Path:
    return path.with_name(path.name + ".1")


def _inode(path: Path) -> int:
    try:
        return path.lstat().st_ino
    except OSError:
        return 0


def _decoded(lines: Iterable[bytes]) -> Iterator[SupervisionEvent]:
    decoder = msgspec.json.Decoder(SupervisionEvent)
    for line in lines:
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            yield decoder.decode(line)


def _append(path: Path, line: bytes) -> None:
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | CLOEXEC | NOFOLLOW | NONBLOCK | BINARY
    descriptor = os.open(path, flags, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        # A line torn by a full disk must not swallow this one.
        if size:
            os.lseek(descriptor, size - 1, os.SEEK_SET)
            if os.read(descriptor, 1) != b"\n":
                line = b"\n" + line
        os.write(descriptor, line)
        if size + len(line) > ROTATE_AT:
            _rotate(path, descriptor)
    finally:
        os.close(descriptor)


def _rotate(path: Path, descriptor: int) -> None:
    """Rename the full file away, once: whoever comes second sees another inode and leaves it."""
    try:
        if not try_lock(descriptor):
            return
    except OSError:
        return
    with contextlib.suppress(OSError):
        if path.lstat().st_ino == os.fstat(descriptor).st_ino:
            path.replace(_rotated(path))
