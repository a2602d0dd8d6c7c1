"""How services ended, in words."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from hermes_cli.service_manager.filelock import BINARY, CLOEXEC, NONBLOCK
from hermes_cli.service_manager.types import ServiceStatus

_TAIL = 1 << 16
"""Bytes of the supervision log that are read: some six hundred events."""


def last_exit(service: ServiceStatus | None) -> str | None:
    if service is None or service.running:
        return None
    return exit_in_words(service.exit_code, service.exit_signal)


def exit_in_words(code: int | None, signal: str | None) -> str | None:
    """`exit 1`, `killed by SIGKILL`; None where neither is known."""
    if signal:
        return f"killed by {signal}"
    if code is None:
        return None
    return {0: "clean exit", 78: "exit 78 (configuration)"}.get(code, f"exit {code}")


def logged_exits(root: Path) -> dict[str, str]:
    """How each profile's gateway last ended, from the end of the supervision log."""
    try:
        # Not waiting: a FIFO in its place would hold up whoever opens it.
        descriptor = os.open(root / "logs" / "supervision.jsonl", os.O_RDONLY | CLOEXEC | NONBLOCK | BINARY)
        with os.fdopen(descriptor, "rb") as log:
            log.seek(max(0, os.fstat(descriptor).st_size - _TAIL))
            lines = (log.read(_TAIL) or b"").split(b"\n")
    except OSError:
        return {}
    exits: dict[str, str] = {}
    for line in lines:
        try:
            event = msgspec.json.decode(line, type=_ExitEvent)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        words = exit_in_words(event.code, event.signal)
        if words and event.event in ("exited", "crashed", "parked"):
            exits[event.profile] = words
    return exits


class _ExitEvent(msgspec.Struct):
    profile: str
    event: str
    code: int | None = None
    signal: str | None = None
