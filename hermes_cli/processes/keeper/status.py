"""Writing status.json and events.jsonl from inside the process's directory, also when the disk is full."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _json import encode_basestring_ascii as quoted
else:
    try:
        from _json import encode_basestring_ascii as quoted
    except ImportError:  # an interpreter without the accelerator
        from json.encoder import encode_basestring_ascii as quoted

STATUS = "status.json"
_SPARE = "status.spare"
_SPARE_SIZE = 2048
"""Bytes set aside at the start for the last word: overwriting them needs no room on most file systems."""

EVENTS = "events.jsonl"


def object_text(fields: dict[str, object]) -> str:
    """One line of JSON. Values are strings, numbers, booleans, None and such dictionaries."""
    return "{" + ",".join(f"{quoted(key)}:{_value(value)}" for key, value in fields.items()) + "}"


def _value(value: object) -> str:
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, dict):
        return object_text(value)
    if isinstance(value, (int, float)):
        return repr(value)
    return quoted(str(value))


def set_aside() -> None:
    """Take the room that the last status needs."""
    try:
        _write(_SPARE, b" " * _SPARE_SIZE, os.O_CREAT | os.O_TRUNC)
    except OSError:
        return


def write_status(fields: dict[str, object], *, final: bool) -> bool:
    """Replace status.json; a final one is synced, and goes where room was set aside. False if that failed."""
    data = object_text(fields).encode() + b"\n"
    try:
        if final and len(data) <= _SPARE_SIZE and os.path.exists(_SPARE):
            _write(_SPARE, data.ljust(_SPARE_SIZE), 0, sync=True)
            os.rename(_SPARE, STATUS)
        else:
            _write(".status.new", data, os.O_CREAT | os.O_TRUNC, sync=final)
            os.rename(".status.new", STATUS)
    except OSError:
        return False
    return True


def append_event(fields: dict[str, object]) -> bool:
    """One line more in events.jsonl; a line that was cut off is taken back."""
    data = object_text(fields).encode() + b"\n"
    try:
        descriptor = os.open(EVENTS, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError:
        return False
    try:
        before = os.fstat(descriptor).st_size
        try:
            if os.write(descriptor, data) == len(data):
                return True
        except OSError:
            pass
        os.ftruncate(descriptor, before)
        return False
    finally:
        os.close(descriptor)


def _write(path: str, data: bytes, flags: int, *, sync: bool = False) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | flags, 0o600)
    try:
        if os.write(descriptor, data) != len(data):
            raise OSError("a short write")
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
