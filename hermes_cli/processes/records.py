"""spec.json, status.json and events.jsonl of a process: read leniently, written atomically.

The directory may belong to another user than its reader, who is root then: only regular files are opened,
links are not followed, and what is no record is none.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

from .types import Identity, Owner, Spec, Status

SPEC = "spec.json"
STATUS = "status.json"
EVENTS = "events.jsonl"
LOCK = "keeper.lock"
OUTPUT = "output"
HELD = "held"
"""Somebody has use for the records yet: they are not removed before it is gone."""
FORGOTTEN = "forgotten"
"""Nobody has use for the records any more: they go with the end of all that it started."""
INPUT = "input"
"""What the command reads on its stdin, where that was known when it was started."""
LAUNCHING = "launching"
"""From here on the command may have run: with neither this nor a status, it never did."""
TAKEN = "events.taken"
"""How many bytes of events.jsonl are in the outbox: the rest must not be removed yet."""

_LARGEST = 8 << 20

_STATES = ("running", "exited", "killed", "lost")

_Kind = TypeVar("_Kind", Spec, Status, Owner, Identity)


def open_regular(path: Path, flags: int) -> int:
    """A descriptor of a regular file, never waiting for a pipe's other end; raises OSError."""
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is no regular file")
    return descriptor


def read_bytes(path: Path, largest: int = _LARGEST) -> bytes:
    """Raises OSError."""
    with open(open_regular(path, os.O_RDONLY), "rb") as file:
        return file.read(largest)


def write_bytes(path: Path, data: bytes) -> None:
    """A new file; raises OSError."""
    with open(open_regular(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
        file.write(data)


def read_spec(directory: Path) -> Spec | None:
    """None where there is none, or none that can be read."""
    found = _read(directory / SPEC)
    if not isinstance(found, dict) or not {"id", "command", "argv", "cwd", "created_at"} <= found.keys():
        return None
    owner = found.get("owner") or {}
    if not isinstance(owner, dict):
        return None
    found["owner"] = _known(Owner, owner)
    for name in ("argv", "watch_patterns", "secrets"):
        values = found.get(name) or ()
        if not isinstance(values, (list, tuple)) or not all(isinstance(value, str) for value in values):
            return None
        found[name] = tuple(values)
    spec = _known(Spec, found)
    return spec if _is(str, spec.id, spec.command, spec.cwd) and _is(int, spec.cap_bytes) else None


def read_status(directory: Path) -> Status | None:
    """None where there is none, or none that can be read."""
    found = _read(directory / STATUS)
    if not isinstance(found, dict) or not {"state", "pid", "started_at"} <= found.keys():
        return None
    keeper = found.get("keeper")
    if isinstance(keeper, dict) and {"pid", "start", "boot_id", "init_start"} <= keeper.keys():
        identity = _known(Identity, keeper)
        numbers = (identity.pid, identity.start, identity.init_start)
        found["keeper"] = identity if _is(int, *numbers) and _is(str, identity.boot_id) else None
    else:
        found["keeper"] = None
    status = _known(Status, found)
    sound = (
        status.state in _STATES
        and _is(str, status.control, status.reason, status.cgroup)
        and _is(int, status.pid, status.descendants)
        and _is((int, float), status.started_at)
        and (_is((int, float), status.ended_at) or (status.ended_at is None and status.state == "running"))
        and all(value is None or _is(int, value) for value in (status.exit_code, status.signal))
        and (status.output_bytes is None or _is(int, status.output_bytes))
        and all(
            value is None or _is((int, float), value)
            for value in (status.started_after_boot, status.duration)
        )
    )
    return status if sound else None


def write_record(directory: Path, name: str, record: Spec | Status) -> None:
    """Replace the file in one step; raises OSError."""
    temporary = directory / f".{name}.{os.getpid()}"
    temporary.unlink(missing_ok=True)
    descriptor = open_regular(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
            json.dump(asdict(record), file)
        temporary.rename(directory / name)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def append_event(directory: Path, event: dict[str, Any]) -> None:
    """One more line in events.jsonl, numbered; for a process whose keeper is gone. Raises OSError."""
    lines = read_events(directory)
    descriptor = open_regular(directory / EVENTS, os.O_RDWR | os.O_CREAT)
    with open(descriptor, "r+b") as file:  # noqa: PTH123 - a descriptor
        if os.fstat(descriptor).st_nlink != 1:
            raise OSError("events.jsonl is somebody else's file, too")
        file.truncate(sum(length for _, length in lines))  # a line that was cut off would spoil the next
        file.seek(0, os.SEEK_END)
        file.write(json.dumps({"seq": len(lines) + 1, **event}).encode() + b"\n")


def read_events(directory: Path) -> list[tuple[dict[str, Any], int]]:
    """The whole lines of events.jsonl and their length in bytes, oldest first; up to the first torn one."""
    try:
        data = read_bytes(directory / EVENTS)
    except OSError:
        return []
    found = []
    for line in data.split(b"\n")[:-1]:
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            break
        if not isinstance(event, dict):
            break
        found.append((event, len(line) + 1))
    return found


def _read(path: Path) -> Any:
    try:
        return json.loads(read_bytes(path))
    except (OSError, ValueError, RecursionError):
        return None


def _is(kind: type | tuple[type, ...], *values: object) -> bool:
    return all(isinstance(value, kind) and not isinstance(value, bool) for value in values)


def _known(kind: type[_Kind], found: dict[str, Any]) -> _Kind:
    """What this version knows of a record that another version may have written."""
    names = {item.name for item in fields(kind)}
    return kind(**{key: value for key, value in found.items() if key in names})
