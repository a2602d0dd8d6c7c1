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
_SPARE = ("status.spare.1", "status.spare.2", "status.spare.3")
_SPARE_SIZE = 2048
"""Bytes set aside for the command's start, its end and that of all it left: to overwrite them needs no room
on most file systems."""

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
    """Take the room that the statuses need; raises OSError where there is none."""
    for path in _SPARE:
        _write(path, b" " * _SPARE_SIZE, os.O_CREAT | os.O_EXCL)


def write_status(fields: dict[str, object], *, durable: bool = False) -> bool:
    """Replace status.json, with room that was set aside while there is some. False if that failed.

    `durable`: synced afterwards. Whoever waits for it is not to wait for a busy disk.
    """
    data = object_text(fields).encode() + b"\n"
    spare = next((path for path in _SPARE if len(data) <= _SPARE_SIZE and os.path.exists(path)), None)
    try:
        if spare is not None:
            _write(spare, data.ljust(_SPARE_SIZE), 0)
        else:
            _write(".status.new", data, os.O_CREAT | os.O_TRUNC)
        os.rename(spare or ".status.new", STATUS)
    except OSError:
        return False
    if durable:
        _sync(STATUS)
        _sync(".")
    return True


def append_event(fields: dict[str, object], limit: int) -> bool:
    """One line more in events.jsonl, `limit` bytes in all at most; a line that was cut off is taken back."""
    data = object_text(fields).encode() + b"\n"
    try:
        descriptor = os.open(EVENTS, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError:
        return False
    try:
        before = os.fstat(descriptor).st_size
        if before + len(data) > limit:
            return False
        try:
            if os.write(descriptor, data) == len(data):
                return True
        except OSError:
            pass
        os.ftruncate(descriptor, before)
        return False
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _write(path: str, data: bytes, flags: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o600)
    try:
        if os.write(descriptor, data) != len(data):
            raise OSError("a short write")
    finally:
        os.close(descriptor)


def _sync(path: str) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        return
    finally:
        os.close(descriptor)
