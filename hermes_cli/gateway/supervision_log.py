"""The supervision log: one JSON line per event, from gateways, finish scripts and the registrar alike."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from hermes_cli.home import Home
from hermes_cli.service_manager.filelock import BINARY, CLOEXEC, NOFOLLOW, NONBLOCK, try_lock

Event = Literal["exited", "crashed", "parked", "ready", "draining", "registered", "unregistered"]

ROTATE_AT = 1 << 20
"""Bytes after which the file becomes `supervision.jsonl.1`; the older one goes."""
_LONGEST_LINE = 4096
"""Bytes of one line, so that an append stays one write."""


_RELOOK = 5.0
"""Seconds until a follower looks again without having been woken."""


class SupervisionEvent(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One line."""

    ts: str
    """UTC, ISO 8601, whole seconds, `Z`."""
    profile: str
    event: str
    code: int | None = None
    signal: str | None = None
    detail: str | None = None


def record_event(
    root: Path | None,
    profile: str,
    event: Event,
    *,
    code: int | None = None,
    signal: str | None = None,
    detail: str | None = None,
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
    path = Home.of(root=root).supervision_log
    if follow:
        yield from _followed(path)
        return
    for name in (path.with_name(path.name + ".1"), path):
        try:
            descriptor = os.open(name, os.O_RDONLY | NOFOLLOW | CLOEXEC | NONBLOCK | BINARY)
        except OSError:
            continue
        with os.fdopen(descriptor, "rb") as file, contextlib.suppress(OSError):
            yield from _decoded(file)


def _followed(path: Path) -> Iterator[SupervisionEvent]:
    from hermes_cli.service_manager.watch import GROWN, Watch

    from .event_printer import EventLog

    log = EventLog(os.fspath(path))
    with Watch(path.parent, GROWN) as watch:
        try:
            while True:
                watch.arm()
                yield from _decoded(log.read())
                watch.wait(_RELOOK)
        finally:
            log.close()


def _decoded(lines: Iterator[bytes] | list[bytes]) -> Iterator[SupervisionEvent]:
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
            path.replace(path.with_name(path.name + ".1"))
