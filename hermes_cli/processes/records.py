"""spec.json and status.json of a process: read leniently, written atomically."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

from .types import Identity, Owner, Spec, Status

SPEC = "spec.json"
STATUS = "status.json"
EVENTS = "events.jsonl"
LOCK = "keeper.lock"
OUTPUT = "output"
TAKEN = "events.taken"
"""How many bytes of events.jsonl are in the outbox: the rest must not be removed yet."""

_LARGEST = 8 << 20

_Kind = TypeVar("_Kind")


def read_spec(directory: Path) -> Spec | None:
    """None where there is none, or none that can be read."""
    found = _read(directory / SPEC)
    if not isinstance(found, dict) or not {"id", "command", "argv", "cwd", "created_at"} <= found.keys():
        return None
    found["owner"] = _known(Owner, found.get("owner") or {})
    for name in ("argv", "watch_patterns", "secrets"):
        found[name] = tuple(found.get(name) or ())
    return _known(Spec, found)


def read_status(directory: Path) -> Status | None:
    """None where there is none, or none that can be read."""
    found = _read(directory / STATUS)
    if not isinstance(found, dict) or not {"state", "pid", "started_at"} <= found.keys():
        return None
    keeper = found.get("keeper")
    found["keeper"] = _known(Identity, keeper) if keeper else None
    return _known(Status, found)


def write_record(directory: Path, name: str, record: Spec | Status) -> None:
    """Replace the file in one step; raises OSError."""
    temporary = directory / f".{name}.{os.getpid()}"
    descriptor = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
    )
    try:
        with open(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123
            json.dump(asdict(record), file)
        temporary.rename(directory / name)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def append_event(directory: Path, event: dict[str, Any]) -> None:
    """One more line in events.jsonl, numbered; for a process whose keeper is gone. Raises OSError."""
    path = directory / EVENTS
    lines = read_events(directory)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "r+b") as file:  # noqa: PTH123 - a descriptor, opened without following links
        file.truncate(sum(length for _, length in lines))  # a line that was cut off would spoil the next
        file.seek(0, os.SEEK_END)
        file.write(json.dumps({"seq": len(lines) + 1, **event}).encode() + b"\n")


def read_events(directory: Path) -> list[tuple[dict[str, Any], int]]:
    """The whole lines of events.jsonl and their length in bytes, oldest first; up to the first torn one."""
    try:
        data = _bytes(directory / EVENTS)
    except OSError:
        return []
    found = []
    for line in data.split(b"\n")[:-1]:
        try:
            event = json.loads(line)
        except ValueError:
            break
        if not isinstance(event, dict):
            break
        found.append((event, len(line) + 1))
    return found


def _read(path: Path) -> Any:
    try:
        return json.loads(_bytes(path))
    except (OSError, ValueError):
        return None


def _bytes(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, opened without following links
        return file.read(_LARGEST)


def _known(kind: type[_Kind], found: dict[str, Any]) -> _Kind:
    """What this version knows of a record that another version may have written."""
    names = {item.name for item in fields(kind)}  # type: ignore[arg-type]
    return kind(**{key: value for key, value in found.items() if key in names})
