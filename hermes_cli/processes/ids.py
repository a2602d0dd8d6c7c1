"""Ids of processes: `proc_` and twelve hexadecimal digits; any unique beginning of four or more finds one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from .errors import AmbiguousIdError, NoSuchProcessError

PREFIX = "proc_"
_DIGITS = 12
_SHORTEST = 4
_ID = re.compile(rf"{PREFIX}[0-9a-f]{{{_DIGITS}}}")
_GIVEN = re.compile(rf"(?:{PREFIX})?([0-9a-f]{{{_SHORTEST},{_DIGITS}}})")


def new_id() -> str:
    return PREFIX + os.urandom(_DIGITS // 2).hex()


def is_id(name: str) -> bool:
    return _ID.fullmatch(name) is not None


def resolve(given: str, known: Iterable[str]) -> str:
    """The id that `given` is or begins; raises `NoSuchProcessError` and `AmbiguousIdError`."""
    match = _GIVEN.fullmatch(given.strip().lower())
    if match is None:
        raise NoSuchProcessError(given)
    wanted = PREFIX + match[1]
    matches = sorted(name for name in known if name.startswith(wanted))
    if not matches:
        raise NoSuchProcessError(given)
    if len(matches) > 1:
        raise AmbiguousIdError(given, matches)
    return matches[0]
