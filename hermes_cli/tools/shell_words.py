"""What a shell makes of the letters of a word: escapes, braces; and words where there is no grammar."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator


def ansi_c(text: str) -> str:
    """`text` with the escapes of `$'…'` resolved."""
    simple = {
        "n": "\n",
        "t": "\t",
        "r": "\r",
        "a": "\a",
        "b": "\b",
        "e": "\x1b",
        "E": "\x1b",
        "f": "\f",
        "v": "\v",
    }

    def one(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] in "xuU" and len(code) > 1:
            value = int(code[1:], 16)
            return chr(value) if value < 0x110000 and not 0xD800 <= value < 0xE000 else "?"
        if code[0] in "01234567":
            return chr(int(code, 8) & 0xFF)
        return simple.get(code, code)

    return re.sub(
        r"\\(x[0-9A-Fa-f]{1,2}|u[0-9A-Fa-f]{1,4}|U[0-9A-Fa-f]{1,8}|[0-7]{1,4}|.)", one, text, flags=re.DOTALL
    )


def unescaped(text: str) -> str:
    """`text` without the backslashes of an unquoted word."""
    return re.sub(r"\\(.)", lambda match: "" if match[1] == "\n" else match[1], text, flags=re.DOTALL)


def in_quotes(text: str) -> str:
    """`text` without the backslashes that count between double quotes."""
    return re.sub(r'\\([$`"\\\n])', lambda match: "" if match[1] == "\n" else match[1], text)


def braces(text: str) -> list[str]:
    """`a{b,c}` as `ab`, `ac`: the lists of brace expansion, not its ranges. At most 64 words."""
    found, done = [text], 0
    while done < len(found) < 64:
        if match := re.fullmatch(r"([^{}]*)\{([^{}]*,[^{}]*)\}(.*)", found[done], re.DOTALL):
            found[done : done + 1] = [match[1] + part + match[3] for part in match[2].split(",")]
        else:
            done += 1
    return [word for word in found if word]


def coarsely(text: str) -> Iterator[list[str]]:
    """The simple commands of a text that is no good shell, roughly; line by line too."""
    for piece in (text, *text.splitlines()):
        lexer = shlex.shlex(piece, posix=True, punctuation_chars="();<>|&\n`{}")
        lexer.whitespace = " \t\r"
        lexer.whitespace_split = True
        lexer.commenters = ""
        words: list[str] = []
        try:
            for token in lexer:
                if token and not set(token) - set("();<>|&\n`{}"):
                    yield words
                    words = []
                else:
                    words.append(token)
        except ValueError:
            pass
        yield words
    for match in re.finditer(r"\{([^{}\s]*,[^{}\s]*)\}", text):
        yield match[1].split(",")
