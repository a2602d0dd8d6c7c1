"""Reading a program's arguments the way most programs do: options, their clusters, and the rest."""

from __future__ import annotations

import re
from collections.abc import Iterable


def names(text: str) -> frozenset[str]:
    """The words of `text`."""
    return frozenset(text.split())


def flags(args: Iterable[str], letters: str) -> bool:
    """Whether a cluster of short options (`-rf`) holds one of `letters`."""
    return any(re.match(r"-[^-]", arg) and set(arg) & set(letters) for arg in _options(args))


def long(args: Iterable[str], *names: str) -> bool:
    """Whether a long option is there, abbreviated or with a value (`--recurs`, `--force=x`)."""
    given = [arg.partition("=")[0] for arg in _options(args) if arg.startswith("--") and len(arg) > 4]
    return any(name.startswith(arg) for arg in given for name in names)


def operands(args: Iterable[str]) -> list[str]:
    """What is no option."""
    found, plain = [], False
    for arg in args:
        if arg == "--" and not plain:
            plain = True
        elif plain or not arg.startswith("-") or arg == "-":
            found.append(arg)
    return found


def _options(args: Iterable[str]) -> list[str]:
    found = []
    for arg in args:
        if arg == "--":
            break
        found.append(arg)
    return found
