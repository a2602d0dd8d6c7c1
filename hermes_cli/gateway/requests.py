"""What a request says: whole numbers, seconds and a body, or which of them is none."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec
from starlette.requests import Request

BodyT = TypeVar("BodyT", bound=msgspec.Struct)

LARGEST = 10**18 - 1
"""Of a whole number, where it counts: offsets and ids of events are smaller."""

_WHOLE = re.compile(r"[0-9]+")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
"""As JSON writes it: `float` would take `1_000`, `nan` and Arabic digits too."""


class MalformedRequestError(Exception):
    """The request is none of this path. The message names what is wrong with it."""


def whole(name: str, text: str) -> int:
    """A number of 0 to `LARGEST`; raises `MalformedRequestError`."""
    digits = text.lstrip("0") or "0" if _WHOLE.fullmatch(text) else ""
    if not digits or len(digits) > len(str(LARGEST)):
        raise MalformedRequestError(f"{name} must be a whole number, 0 to {LARGEST}")
    return int(digits)


def number(request: Request, name: str) -> int | None:
    """The whole number `name` of the query, or None; raises `MalformedRequestError`."""
    text = request.query_params.get(name)
    return None if text is None else whole(name, text)


def limit(request: Request, default: int, most: int) -> int:
    """How many are asked for with `limit`: however large it is, `most` are given at once.

    Raises `MalformedRequestError`.
    """
    text = request.query_params.get("limit")
    if text is None:
        return default
    digits = text.lstrip("0") if _WHOLE.fullmatch(text) else ""
    if not digits:
        raise MalformedRequestError("limit must be a whole number, 1 at least")
    return most if len(digits) > len(str(most)) else min(int(digits), most)


def seconds(request: Request, name: str) -> float | None:
    """The seconds `name` of the query, 0 at least, or None; raises `MalformedRequestError`."""
    text = request.query_params.get(name)
    if text is None:
        return None
    found = float(text) if _NUMBER.fullmatch(text) else -1.0
    if found < 0:
        raise MalformedRequestError(f"{name} must be a number of seconds, 0 at least")
    return found


async def body(request: Request, kind: type[BodyT]) -> BodyT:
    """The body, where there is one, else one without any key. Raises `MalformedRequestError`."""
    data = await request.body()
    try:
        return msgspec.json.decode(data or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise MalformedRequestError(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequestError(f"the body is no JSON: {error}") from error
