"""A tool's arguments as models really send them: numbers as text, lists as one text, JSON in a text.

What is meant beyond doubt is taken; what is not is an `ArgumentError` that says what was expected.
"""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import ArgumentError

_YES = frozenset({"true", "yes", "on", "1", "y"})
_NO = frozenset({"false", "no", "off", "0", "n", ""})
_NOTHING = frozenset({"null", "none", "undefined"})
_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "sec": 1.0, "seconds": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_LONGEST_TEXT = 1 << 20


@dataclass(frozen=True, slots=True)
class Field:
    """One argument: how it is read, and other names that models give it."""

    read: Callable[[str, Any], Any]
    aliases: tuple[str, ...] = ()


def parse(raw: object, known: Mapping[str, Field]) -> tuple[dict[str, Any], list[str]]:
    """The arguments in `raw` by name, absent ones left out, and warnings about what was ignored.

    Raises `ArgumentError`.
    """
    given = _mapping(raw)
    names = {_plain(alias): name for name, one in known.items() for alias in (name, *one.aliases)}
    values: dict[str, Any] = {}
    ignored: list[str] = []
    for key, value in given.items():
        name = names.get(_plain(str(key)))
        if name is None:
            ignored.append(str(key)[:60])
        elif value is not None and (name not in values or _plain(str(key)) == _plain(name)):
            values[name] = known[name].read(name, value)
    warnings = []
    if ignored:
        shown = ", ".join(repr(key) for key in ignored[:10])
        warnings.append(f"there is no argument {shown}; the arguments are {', '.join(known)}")
    return values, warnings


def _mapping(raw: object) -> Mapping[Any, Any]:
    for _ in range(3):
        if raw is None or (isinstance(raw, (str, bytes)) and not raw.strip()):
            return {}
        if isinstance(raw, Mapping):
            inner = raw.get("arguments")
            if len(raw) == 1 and isinstance(inner, (Mapping, str)):
                raw = inner
                continue
            return raw
        if isinstance(raw, list) and len(raw) == 1:
            raw = raw[0]
            continue
        if not isinstance(raw, (str, bytes)):
            break
        try:
            raw = json.loads(raw, strict=False)
        except (ValueError, RecursionError) as error:
            raise ArgumentError(f"the arguments are no JSON object ({str(error)[:120]})") from error
    raise ArgumentError(f"the arguments must be a JSON object, not {kind(raw)}")


def text(name: str, value: Any) -> str:
    """A text; a number is taken as it is written."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ArgumentError(f"{name} must be a text, not {kind(value)}")
    return _usable(name, _digits(name, value))


def command(name: str, value: Any) -> str:
    """A line for the shell; a list of words is quoted for it."""
    if isinstance(value, list) and value and all(isinstance(word, (str, int, float)) for word in value):
        value = shlex.join(str(word) for word in value) if len(value) > 1 else str(value[0])
    line = text(name, value)
    if not line.strip():
        raise ArgumentError(f"{name} is empty; give the line to run")
    if "\x00" in line:
        raise ArgumentError(f"{name} holds a NUL character, which no command can; leave it out")
    return line


def identifier(name: str, value: Any) -> str:
    """The id of a process. Twelve digits arrive as a number, a prefix may be quoted twice; empty is none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return text(name, value).strip().strip("\"'`").strip()[:200]


def word(name: str, value: Any) -> str:
    return text(name, value).strip().lower()


def flag(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    said = str(value).strip().lower() if isinstance(value, (str, int)) else ""
    if said in _YES:
        return True
    if isinstance(value, (str, int)) and said in _NO | _NOTHING:
        return False
    raise ArgumentError(f"{name} must be true or false, not {kind(value)}")


def seconds(name: str, value: Any) -> float:
    """A time in seconds, 0 or more: 30, "30", "30s", "5m"."""
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\+?\d{1,12}(?:\.\d{0,6})?|\.\d{1,6})\s*([a-z]*)\s*", value.lower())
        if match is None or match[2] not in _UNITS:
            raise ArgumentError(f"{name} must be a number of seconds, not the text {value[:40]!r}")
        return float(match[1]) * _UNITS[match[2]]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        raise ArgumentError(f"{name} must be a number of seconds, not {kind(value)}")
    if value < 0:
        raise ArgumentError(f"{name} must be 0 or more seconds, not {value}")
    return float(min(value, 1e9))


def count(name: str, value: Any) -> int:
    """A whole number."""
    if isinstance(value, str) and re.fullmatch(r"\s*[-+]?\d{1,18}(?:\.0*)?\s*", value):
        value = int(value.strip().partition(".")[0])
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e18:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ArgumentError(f"{name} must be a whole number, not {kind(value)}")
    return max(-(1 << 62), min(value, 1 << 62))


def texts(name: str, value: Any) -> tuple[str, ...]:
    """A list of texts; one text is a list of one, unless it is a list written as JSON."""
    if isinstance(value, str):
        stripped = value.strip()
        if stripped.lower() in _NOTHING or not stripped:
            return ()
        if stripped.startswith("[") and stripped.endswith("]"):
            try:
                parsed = json.loads(stripped)
            except (ValueError, RecursionError):
                parsed = None
            if isinstance(parsed, list):
                return texts(name, parsed)
        return (_usable(name, value),)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return (text(name, value),)
    if not isinstance(value, (list, tuple)):
        raise ArgumentError(f"{name} must be a list of texts, not {kind(value)}")
    if len(value) > 100:
        raise ArgumentError(f"{name} has {len(value)} entries; 100 is the most")
    return tuple(text(name, one) for one in value if one not in (None, ""))


def kind(value: object) -> str:
    """What a value is, in words."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"the truth value {str(value).lower()}"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, (str, bytes)):
        return f"the text {value[:40]!r}"
    if isinstance(value, (list, tuple)):
        return "a list"
    return "an object" if isinstance(value, Mapping) else f"a {type(value).__name__}"


def _digits(name: str, value: str | int | float) -> str:
    if isinstance(value, str):
        return value
    try:
        return str(value)
    except ValueError as error:  # sys.get_int_max_str_digits
        raise ArgumentError(f"{name} is an enormous number") from error


def _usable(name: str, value: str) -> str:
    if len(value) > _LONGEST_TEXT:
        raise ArgumentError(
            f"{name} is {len(value)} characters long; {_LONGEST_TEXT} is the most. Use a file"
        )
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ArgumentError(
            f"{name} holds half of a character at {error.start}; send the whole one"
        ) from error
    return value


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").strip()
