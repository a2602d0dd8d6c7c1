"""Text that others wrote (log lines, messages, names) made harmless to show."""

from __future__ import annotations

import re
import unicodedata

MAX_LINE = 4096
"""Characters of one line that are shown; a longer one says how much was left out."""

_ESCAPES = re.compile(
    r"""
    (?:\x1b\[|\x9b) [0-?]* [ -/]* [@-~]                        # CSI: colours, cursor, modes
    | (?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])                  # OSC, DCS, SOS, PM, APC …
      [^\x1b\x07\x9c]* (?:\x07|\x9c|\x1b\\)                    # … with their terminator
    | \x1b [ -/]* [0-~]                                        # two-character and charset escapes
    """,
    re.VERBOSE,
)
"""ECMA-48 control sequences, and xterm's strings ended by BEL."""

_INVISIBLE = frozenset(["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"])
_KEPT = frozenset("\t\u200d\u00ad")
"""A tab; the joiner that emoji need; the soft hyphen."""


def plain(text: str, limit: int = MAX_LINE) -> str:
    """`text` as one line without escape sequences, control characters or direction overrides.

    Sequences vanish; any other character that could move the cursor, break the line or reorder
    what is read becomes U+FFFD. At most `limit` characters are kept.
    """
    if len(text) > 4 * limit:
        text, cut = text[: 4 * limit], len(text) - 4 * limit
    else:
        cut = 0
    if not text.isascii() or not text.isprintable():
        text = _ESCAPES.sub("", text)
        text = "".join(
            character
            if character in _KEPT or unicodedata.category(character) not in _INVISIBLE
            else "\N{REPLACEMENT CHARACTER}"
            for character in text
        )
    if len(text) > limit:
        text, cut = text[:limit], cut + len(text) - limit
    return f"{text} … ({cut} more characters)" if cut else text


_LINE_END = re.compile("\r\n|\n|\r")
"""A carriage return ends a line too: it would hide what is before it."""

_LONGEST_LINE = 1 << 16
"""Characters of a line of output: what somebody's program wrote is shown whole."""


def plain_text(text: str, limit: int = _LONGEST_LINE) -> str:
    """`text` as lines that are each `plain`, with newlines between them."""
    return "\n".join(plain(line, limit) for line in _LINE_END.split(text))


class Flowing:
    """Output that comes in pieces, each made harmless: their sum is the `plain_text` of the whole."""

    def __init__(self) -> None:
        self._after_return = False

    def take(self, piece: str) -> str:
        """The next piece."""
        if self._after_return and piece.startswith("\n"):
            piece = piece[1:]
        elif not piece:
            return ""
        self._after_return = piece.endswith("\r")
        return plain_text(piece)
