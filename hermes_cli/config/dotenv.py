"""A profile's .env: KEY=VALUE lines, with quotes, `export` and comments. Values never appear in a message."""

from __future__ import annotations

import re
from pathlib import Path

from .errors import ConfigError
from .files import read_text

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_EXPORT = re.compile(r"export[ \t]+")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_SINGLE = re.compile(r"'([^']*)'")
_REST = re.compile(r"[ \t]*(?:#[^\n]*)?(?=\n|\Z)")
_BARE = re.compile(r"[^\n]*")
_COMMENT = re.compile(r"(?:^|[ \t])#")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\n": ""}


def load_env(path: Path) -> dict[str, str]:
    """The variables in the file, in its order; a later line wins over an earlier. A missing file has none.

    Nothing is expanded: `$` is a dollar sign. Double quotes know \\n \\r \\t \\" \\\\ and span lines; single
    quotes are literal. Raises `ConfigError` with the line for anything else.
    """
    text = read_text(path)
    return {} if text is None else parse(text, path)


def parse(text: str, path: Path) -> dict[str, str]:
    """The variables in `text`; `path` is for messages. Raises `ConfigError` with the line."""
    text = text.replace("\r\n", "\n")
    found: dict[str, str] = {}
    position = 0
    while position < len(text):
        blank = _REST.match(text, position)
        if blank:
            position = blank.end() + 1
            continue
        position = _assignment(text, _skip(text, position), path, found) + 1
    return found


def _assignment(text: str, position: int, path: Path, found: dict[str, str]) -> int:
    """Put the assignment at `position` into `found`; return where its line ends."""
    line = text.count("\n", 0, position) + 1
    if export := _EXPORT.match(text, position):
        position = export.end()
    key = _KEY.match(text, position)
    after = _skip(text, key.end()) if key else position
    if not key or text[after : after + 1] != "=":
        message = "expected KEY=VALUE, with a KEY of letters, digits and '_'"
        raise ConfigError(path, message, line=line, expected="KEY=VALUE")
    start = _skip(text, after + 1)
    quote = text[start : start + 1]
    if quote in ('"', "'") and quote:
        match = (_DOUBLE if quote == '"' else _SINGLE).match(text, start)
        if not match:
            raise ConfigError(
                path, f"the {quote} that opens the value is never closed", line=line, key=key[0]
            )
        value = _ESCAPE.sub(_unescape, match[1]) if quote == '"' else match[1]
        end = _REST.match(text, match.end())
        if not end:
            message = "there is text after the closing quote; put a space and '#' before a comment"
            raise ConfigError(path, message, line=text.count("\n", 0, match.end()) + 1, key=key[0])
    else:
        end = _BARE.match(text, start)
        assert end
        value = _COMMENT.split(end[0], maxsplit=1)[0].rstrip(" \t")
    if "\0" in value:
        message = "the value holds a NUL character, which no environment variable can"
        raise ConfigError(path, message, line=line, key=key[0])
    found[key[0]] = value
    return end.end()


def _skip(text: str, position: int) -> int:
    while text[position : position + 1] in (" ", "\t"):
        position += 1
    return position


def _unescape(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[1], match[1] if match[1] in '"\\$`' else match[0])
