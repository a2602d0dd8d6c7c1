"""Waiting for what nobody announces to a test, with a deadline that says what was seen last."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_LOOKS = 0.02
"""Seconds between two looks."""


def until(condition: Callable[[], T], what: str, timeout: float = 10.0) -> T:
    """The first true answer of `condition`."""
    deadline = time.monotonic() + timeout
    while not (seen := condition()):
        assert time.monotonic() < deadline, f"not within {timeout:g} s: {what}; last seen: {seen!r}"
        time.sleep(_LOOKS)
    return seen


def throughout(seconds: float, condition: Callable[[], object], what: str) -> None:
    """Fail at the first false answer within that time: for what must not happen."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), f"no longer: {what}"
        time.sleep(_LOOKS)
