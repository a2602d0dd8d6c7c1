"""What the verbs answer, and why they refuse, as JSON that can always be encoded."""

from __future__ import annotations

import re
from typing import Any

from .errors import ProcessError
from .types import to_json

_SURROGATES = re.compile("[\ud800-\udfff]")
"""Bytes of a command or a path that are no UTF-8, as Python keeps them."""

STATUS_OF_A_REFUSAL = {"not_found": "not_found"}
"""Codes that are a status of their own in a verb's answer; any other refusal has the status `error`."""


def answer(value: Any) -> Any:
    """A verb's answer as dictionaries, lists and strings that are UTF-8.

    A command or a path may hold bytes that are not; they become U+FFFD.
    """
    return _encodable(to_json(value))


def refusal(error: ProcessError, given: str | None = None) -> dict[str, Any]:
    """`status`, the stable `code` and a sentence; `session_id` as it was given."""
    found = {
        "session_id": given,
        "status": STATUS_OF_A_REFUSAL.get(error.code, "error"),
        "code": error.code,
        "message": str(error),
    }
    return {key: _encodable(value) for key, value in found.items() if value is not None}


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, list):
        return [_encodable(part) for part in value]
    if isinstance(value, dict):
        return {key: _encodable(part) for key, part in value.items()}
    return value
