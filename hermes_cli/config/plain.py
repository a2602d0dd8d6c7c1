"""The shape nearly every config.yaml has, read without a YAML parser.

Importing PyYAML and parsing in Python costs more than everything else that `profile list` or the
boot planner does. A text is read here only when each of its lines has one of three shapes whose meaning
is beyond doubt; for any other text `parse` answers None and PyYAML decides. That both agree is a test.
"""

from __future__ import annotations

import re

from .tree import Entry

_BLANK = re.compile(r" *(?:#.*)?")
_SECTION = re.compile(r"([a-z][a-z0-9_]*):(?: *| +#.*)")
_LEAF = re.compile(
    r"( +)([a-z][a-z0-9_]*): +("
    r"[A-Za-z0-9][A-Za-z0-9._-]*|https?://[A-Za-z0-9._/:-]*[A-Za-z0-9_/]"
    r'|"[^"\\]*"|\'[^\']*\')(?: *| +#.*)'
)
_INTEGER = re.compile(r"0|[1-9][0-9]{0,8}")
_FLOAT = re.compile(r"(?:0|[1-9][0-9]{0,8})\.[0-9]{1,9}")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9._-]*|[0-9]{1,3}(?:\.[0-9]{1,3}){3}|https?://[A-Za-z0-9._/:-]+")
_NOT_WORDS = frozenset({"yes", "no", "on", "off", "true", "false", "null"})
"""YAML 1.1 reads them as something other than text, in several spellings."""


def parse(text: str) -> list[Entry] | None:
    """The sections of `text`, or None where only a YAML parser can say what it means."""
    if not text.isascii() or not text.replace("\n", "").isprintable():
        return None
    sections: dict[str, Entry] = {}
    leaves: dict[str, Entry] = {}
    indent = ""
    for number, line in enumerate(text.split("\n"), 1):
        if _BLANK.fullmatch(line):
            continue
        if match := _SECTION.fullmatch(line):
            if match[1] in sections:
                return None
            leaves, indent = {}, ""
            sections[match[1]] = Entry(match[1], number, 1, leaves, number, 1)
        elif (match := _LEAF.fullmatch(line)) and sections:
            indent = indent or match[1]
            value = _scalar(match[3])
            if value is None or match[1] != indent or match[2] in leaves:
                return None
            leaves[match[2]] = Entry(match[2], number, match.start(2) + 1, value, number, match.start(3) + 1)
        else:
            return None
    return [_closed(section) for section in sections.values()]


def _closed(section: Entry) -> Entry:
    assert isinstance(section.value, dict)
    return section._replace(value=list(section.value.values()) or None)


def _scalar(text: str) -> str | int | float | None:
    if text[0] in "\"'":
        return text[1:-1]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _WORD.fullmatch(text) and text.lower() not in _NOT_WORDS:
        return text
    return None
