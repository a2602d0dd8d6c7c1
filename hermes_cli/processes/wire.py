"""Requests, answers and errors of the process layer as JSON, for both ends of a channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar

from .errors import ProcessError
from .types import Owner

_Kind = TypeVar("_Kind")


def packed(value: Any) -> dict[str, Any]:
    """A dataclass of types.py or news.py as a dictionary."""
    return asdict(value)


def unpacked(kind: type[_Kind], found: Mapping[str, Any]) -> _Kind:
    """The dataclass `kind` out of what `packed` made; keys that this version does not know are left out."""
    values = {}
    for item in fields(kind):  # type: ignore[arg-type]
        if item.name not in found:
            continue
        value = found[item.name]
        if item.type == "Owner":
            value = unpacked(Owner, value)
        elif str(item.type).startswith("tuple") and value is not None:
            value = tuple(value)
        values[item.name] = value
    return kind(**values)


def packed_error(error: ProcessError) -> dict[str, Any]:
    """Its code, its sentence and its attributes."""
    return {"code": error.code, "message": str(error), "attributes": vars(error)}


def unpacked_error(found: Mapping[str, Any]) -> ProcessError:
    """The error as the other end raised it; of a code that this version does not know, a `ProcessError`."""
    kind = next((one for one in _kinds(ProcessError) if one.code == found.get("code")), ProcessError)
    error = kind.__new__(kind)
    Exception.__init__(error, str(found.get("message", "")))
    vars(error).update(found.get("attributes") or {})
    return error


def _kinds(kind: type[ProcessError]) -> list[type[ProcessError]]:
    return [kind, *(below for direct in kind.__subclasses__() for below in _kinds(direct))]
