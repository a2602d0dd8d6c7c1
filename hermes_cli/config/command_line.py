"""The command line of the `command` agent: words in a shell's quotes, and what stands in braces in them.

A value never becomes more than one argument, and never code of a shell: what may hold anything stands in a
word of its own, or is the value of an option (`--prompt={message}`).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

PLAIN = frozenset(
    {"run_id", "session_id", "session_epoch", "session_turn", "profile", "provider", "model", "toolsets"}
)
"""Values of letters, digits and a few signs: they may stand anywhere in a word."""

FREE = frozenset({"message", "workspace", "attachments", "session_log"})
"""Values that may hold anything."""

_BRACED = re.compile(r"\{\{([a-z][a-z0-9_]*)\}\}|\{([a-z][a-z0-9_]*)\}")
_OF_ITS_OWN = re.compile(r"(--?[A-Za-z0-9][A-Za-z0-9_.-]*=)?\{[a-z_]+\}")


def split(line: str, *, stdin: bool = False) -> tuple[str, ...]:
    """The words of `line`. `stdin`: the message goes there.

    Raises ValueError, with a sentence, for quotes that do not end and for what cannot stand in braces.
    """
    words = tuple(shlex.split(line))
    for word in words:
        for name in _names(word):
            if name not in PLAIN | FREE:
                known = ", ".join(sorted(PLAIN | FREE))
                raise ValueError(
                    f"{{{name}}} is not known; there are {known}; {{{{{name}}}}} is the text {{{name}}}"
                )
            if name in FREE and not _OF_ITS_OWN.fullmatch(word):
                raise ValueError(
                    f"{{{name}}} may hold anything: give it a word of its own, or --option={{{name}}}"
                )
            if name == "message" and stdin:
                raise ValueError("{message} is named, and agent.message is stdin: it is one of the two")
    return words


def placeholders(words: tuple[str, ...]) -> frozenset[str]:
    """The names that stand in braces."""
    return frozenset(name for word in words for name in _names(word))


def fill(words: tuple[str, ...], values: Mapping[str, str]) -> tuple[str, ...]:
    """The words with the values in the place of their names: as many words as before."""

    def value(found: re.Match[str]) -> str:
        return f"{{{found[1]}}}" if found[1] else values[found[2]]

    return tuple(_BRACED.sub(value, word) for word in words)


def _names(word: str) -> list[str]:
    return [found[2] for found in _BRACED.finditer(word) if found[2]]
