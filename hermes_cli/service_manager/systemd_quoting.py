"""systemd's quoting: words of a command line, paths, environment files, and what it cannot carry at all."""

from __future__ import annotations

import os
import re
from pathlib import Path

from .errors import UnsupportedSpecError
from .types import ServiceSpec

_MAX_STRING = 128 * 1024
"""Bytes the kernel takes for one argument or variable with its NUL (execve(2), MAX_ARG_STRLEN)."""

_PLAIN = re.compile(r"[A-Za-z0-9_@+=:,./-]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NO_TEXT = re.compile(r"[\ud800-\udfff]")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "%": "%%", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def command_line(spec: ServiceSpec) -> str:
    """`spec.command` as ExecStart= takes it behind the prefix ":", which turns the expansion of $ off.

    Raises `UnsupportedSpecError` for what cannot be said or run.
    """
    program = spec.command[0] if spec.command else ""
    if not program.startswith("/"):
        raise UnsupportedSpecError(spec.name, "command", f"{program!r} is no absolute path")
    if _CONTROL.search(program) or re.search(r"[\"'\\]", program):
        raise UnsupportedSpecError(
            spec.name,
            "command",
            "systemd takes no quotes, backslashes or control characters in a program's path",
        )
    for word in spec.command:
        _carried(spec, "command", word)
        if "\0" in word:
            raise UnsupportedSpecError(spec.name, "command", "no argument can hold a NUL")
    return " ".join(quoted(word) for word in spec.command)


def quoted(word: str) -> str:
    """One word of a command line (systemd.syntax(7), "Quoting"), specifiers doubled. It holds no NUL."""
    if _PLAIN.fullmatch(word):
        return word
    escaped = (
        _ESCAPES.get(letter) or (f"\\x{ord(letter):02x}" if _CONTROL.match(letter) else letter)
        for letter in word
    )
    return f'"{"".join(escaped)}"'


def environment_file(spec: ServiceSpec) -> str:
    """`spec.environment` as EnvironmentFile= reads it (systemd.exec(5)): in sh's double quotes.

    Raises `UnsupportedSpecError` for a name or a value that systemd would leave out.
    """
    lines = []
    for name, value in spec.environment.items():
        if not _VARIABLE.fullmatch(name):
            raise UnsupportedSpecError(
                spec.name, "environment", f"{name!r} is no variable: letters, digits and _ only"
            )
        _carried(spec, "environment", value, name)
        control = _CONTROL.search(value.replace("\n", "").replace("\t", ""))
        if control:
            raise UnsupportedSpecError(
                spec.name,
                "environment",
                f"systemd leaves out what holds a control character, and {name} holds {control.group()!r}",
            )
        escaped = re.sub(r'([\\"`$])', r"\\\1", value)
        lines.append(f'{name}="{escaped}"\n')
    return "".join(lines)


def absolute(spec: ServiceSpec, field: str, path: Path) -> str:
    text = os.fspath(path)
    if not path.is_absolute():
        raise UnsupportedSpecError(spec.name, field, f"{text!r} is no absolute path")
    if _CONTROL.search(text):
        raise UnsupportedSpecError(
            spec.name, field, f"systemd takes no control characters in a path ({text!r})"
        )
    _carried(spec, field, text)
    return text


def _carried(spec: ServiceSpec, field: str, text: str, what: str = "it") -> None:
    """Raise for what is no UTF-8 to systemd, or too long for the kernel."""
    if _NO_TEXT.search(text) or any(_is_noncharacter(letter) for letter in text):
        raise UnsupportedSpecError(
            spec.name, field, f"systemd takes UTF-8 only, and {what} holds something else"
        )
    if len(text.encode()) + (len(what) if field == "environment" else 0) + 2 > _MAX_STRING:
        raise UnsupportedSpecError(
            spec.name, field, f"the kernel takes 128 KiB at most, and {what} is longer"
        )


def _is_noncharacter(letter: str) -> bool:
    """What Unicode sets apart for internal use; systemd counts it as invalid UTF-8."""
    code = ord(letter)
    return code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF


def specified(text: str) -> str:
    return text.replace("%", "%%")


def pattern(path: Path) -> str:
    """EnvironmentFile= takes a glob pattern."""
    return specified(re.sub(r"([\\*?\[])", r"\\\1", os.fspath(path)))


def description(spec: ServiceSpec) -> str:
    words = _CONTROL.sub(" ", spec.description or spec.name).split()
    text = " ".join(words).encode(errors="replace").decode().rstrip("\\")
    return specified("".join("?" if _is_noncharacter(letter) else letter for letter in text))
