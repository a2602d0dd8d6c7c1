"""Secrets in what a process is called with and prints: found by value and by shape, and masked.

Standard library only. Every search is linear in the text, whatever the text is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

MASK = "[redacted]"

MIN_VALUE = 4
"""Characters of a known value. Shorter ones would mask half of every text, and hide nothing."""

CONTEXT = 16 << 10
"""Characters before a page that `page` needs to recognise a secret which the page's beginning cuts, and the
most that it holds back."""

Span = tuple[int, int]

# Values of secret variables that are none, and would mask ordinary words.
_ORDINARY = frozenset({"true", "false", "none", "null", "nil", "undefined", "string", "changeme", "redacted"})

_RUN = re.compile(r"[^\s\"'&]*")
_CAREFUL_RUN = re.compile(r"[^\s\"'`,;&|<>(){}\[\]]*")
_CALL = re.compile(r"[\w.]{1,64}[(\[]")
_SMALL_NUMBER = re.compile(r"\d{1,7}(?![^\s,;)&])")
_OPENING = re.compile(r"\\?[\"']")
_IN_QUOTES = {'"': re.compile(r'(?:[^"\\\n]|\\.)*'), "'": re.compile(r"(?:[^'\\\n]|\\.)*")}
_DECIDED = 128
"""Characters by which a value is judged: judging whole ones again and again would not be linear."""


def _mixed(value: str) -> bool:
    head = value[:_DECIDED]
    return any(letter.isdigit() for letter in head) and any(letter.isalpha() for letter in head)


class _Shape(NamedTuple):
    """A token known by its beginning. Group 1, or all, of `whole` is the secret; `begun` matches to the end
    of the text what may become one."""

    anchors: tuple[str, ...]
    whole: re.Pattern[str]
    begun: re.Pattern[str]
    judge: Callable[[str], bool] | None = None


def _token(
    anchors: str,
    letters: str,
    least: int,
    *,
    before: str = r"\w-",
    judge: Callable[[str], bool] | None = None,
) -> _Shape:
    names = tuple(anchors.split())
    head = rf"(?<![{before}])(?:{'|'.join(map(re.escape, names))})"
    return _Shape(
        names,
        re.compile(rf"{head}{letters}{{{least},}}"),
        re.compile(rf"{head}{letters}{{0,{least}}}\Z"),
        judge,
    )


_HEX_OR_CASE = r"[A-Za-z0-9]"
_URL_SAFE = r"[A-Za-z0-9_-]"
_BASE64 = r"A-Za-z0-9+/=_-"

_SHAPES = (
    # A digit: there are style sheets full of sk-fading-circle.
    _token("sk-", _URL_SAFE, 16, judge=_mixed),
    _token("sk_live_ sk_test_ rk_live_ rk_test_ whsec_", _HEX_OR_CASE, 16),
    _token("ghp_ gho_ ghu_ ghs_ ghr_", _HEX_OR_CASE, 20, before="A-Za-z0-9"),
    _token("github_pat_", r"\w", 20, before="A-Za-z0-9"),
    _token("glpat- gldt- glrt-", _URL_SAFE, 20),
    _token("xoxa- xoxb- xoxe- xoxp- xoxr- xoxs- xapp-", r"[A-Za-z0-9-]", 10),
    _token("AKIA ASIA", r"[A-Z0-9]{16}(?![A-Za-z0-9+/])", 1, before=_BASE64)._replace(
        begun=re.compile(rf"(?<![{_BASE64}])A[KS]IA[A-Z0-9]{{0,16}}\Z")
    ),
    _token("AIza", _URL_SAFE, 35, before=_BASE64),
    _token("ya29.", _URL_SAFE, 20),
    _token("npm_ hf_ dop_v1_ shpat_", _HEX_OR_CASE, 30),
    _token("pypi-AgEI", _URL_SAFE, 50),
    _token("SG.", r"[\w-]{16,32}\.[\w-]{32,64}", 1)._replace(
        begun=re.compile(r"(?<![\w-])SG\.[\w-]{0,32}\.?[\w-]{0,64}\Z")
    ),
    _Shape(
        ("eyJ",),
        re.compile(rf"(?<![{_BASE64}])eyJ[\w-]{{8,}}\.[\w-]{{8,}}\.[\w.-]*"),
        re.compile(rf"(?<![{_BASE64}])eyJ[\w.-]*\Z"),
    ),
    # A bot's token: its number, then 35 characters that begin with AA.
    _Shape(
        (":AA",),
        re.compile(r":(AA[\w-]{33})(?![\w-])"),
        re.compile(r":(AA[\w-]{0,33})\Z"),
    ),
    _Shape(
        ("://",),
        # A port is none: http://host:80?to=a@b
        re.compile(r"://[^\s/:@\"'<>]{0,128}:(?!\d{1,5}[?#,;)\]])([^\s/\"'<>]{1,512})@"),
        re.compile(r"://[^\s/:@\"'<>]{0,128}:(?!\d{1,5}(?:[?#,;)\]]|\Z))([^\s/\"'<>]{1,512})\Z"),
    ),
)

# Looked for in the text in small letters.
_BEARER = _Shape(
    ("bearer",),
    re.compile(r"(?<![a-z0-9])bearer[ \t]{1,3}([a-z0-9._~+/=-]{16,})"),
    re.compile(r"(?<![a-z0-9])bearer[ \t]{1,3}([a-z0-9._~+/=-]{1,16})\Z"),
    _mixed,
)
_HEADER = r"authorization\\?[\"']?[ \t]{0,3}[:=][ \t]{0,3}\\?[\"']?"
_SCHEME = r"(?:bearer|basic|token|digest|negotiate|apikey|bot)[ \t]{1,3}"
_AUTHORIZATION = _Shape(
    ("authorization",),
    re.compile(rf"{_HEADER}{_SCHEME}([^\s\"',;\\<$\[][^\s\"',;\\]{{3,}})"),
    re.compile(rf"{_HEADER}{_SCHEME}([^\s\"',;\\<$\[][^\s\"',;\\]*)\Z"),
)

_NAME_ENDS = ("token", "secret", "password", "passwd", "passphrase", "credential", "_pass", "_pwd", "key")
_KEYS = ("api", "access", "private", "secret", "signing", "encryption", "master", "account", "auth")
_SEPARATOR = re.compile(r"s?\\?[\"']?(?:[ \t]{0,3}(?:=>|:=|=(?!=)|:(?![:/]))[ \t]{0,3}|[ \t]{1,3})")
_OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z-]*\Z")

_PEM_BEGIN = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,16} ){0,4}PRIVATE KEY(?: BLOCK)?-----")
_PEM_END = re.compile(r"-----END (?:[A-Z0-9]{1,16} ){0,4}PRIVATE KEY(?: BLOCK)?-----")
_PEM_BODY = re.compile(r"(?:(?:\s|\\[rn])*[A-Za-z0-9+/=]{32,})*(?:(?:\s|\\[rn])*[A-Za-z0-9+/=]+(?==|\Z))?=*")
_PEM_REST = re.compile(r"(?:[A-Za-z0-9+/=]+(?:\r?\n|\\n))+\Z")


class Redactor:
    """Masks known values, and what has the shape of a secret."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """`secrets`: values; those with several lines are known line by line too, as a terminal has them."""
        values: set[str] = set()
        for secret in secrets:
            values.add(secret)
            if "\n" in secret:
                values.add(re.sub(r"\r?\n", "\r\n", secret))
                values.update(line.strip() for line in secret.splitlines() if len(line.strip()) >= 16)
        self._values = sorted(
            value for value in values if len(value) >= MIN_VALUE and value.lower() not in _ORDINARY
        )

    def text(self, text: str) -> str:
        """The text with every secret masked."""
        return self._masked(text, self.spans(text), 0, len(text))

    def spans(self, text: str) -> list[Span]:
        """Where the secrets are, first and past last character, in order and without overlaps."""
        return self._scan(text)[0]

    def holdback(self, text: str) -> int:
        """How many characters at the end may be the beginning of a secret: while more can come they are not
        to be shown. CONTEXT at most."""
        return len(text) - self._scan(text)[1]

    def page(self, before: str, text: str, *, more: bool) -> tuple[str, int]:
        """The part of `text` that can be shown, masked, and how many characters of `text` that is.

        `before`: what precedes it, CONTEXT characters are enough. `more`: more text may follow, so that a
        secret which has only begun waits for the next page.
        """
        joined = before + text
        spans, held = self._scan(joined)
        end = max(held, len(before)) if more else len(joined)
        return self._masked(joined, spans, len(before), end), end - len(before)

    @staticmethod
    def _masked(text: str, spans: list[Span], start: int, end: int) -> str:
        parts: list[str] = []
        for first, past in spans:
            if past <= start or first >= end:
                continue
            parts += (text[start:first], MASK)
            start = past
        parts.append(text[start:end])
        return "".join(parts)

    def _scan(self, text: str) -> tuple[list[Span], int]:
        """The spans, and from where on the end has to wait."""
        # ASCII only, so that every character keeps its place.
        lower = text.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")
        found: list[Span] = []
        begun = [len(text)]
        for value in self._values:
            found += _occurrences(text, value)
            begun.append(_begun_value(text, value))
        for shape in _SHAPES:
            _tokens(text, text, shape, found, begun)
        for shape in (_BEARER, _AUTHORIZATION):
            _tokens(text, lower, shape, found, begun)
        _assignments(text, lower, found, begun)
        _private_keys(text, found, begun)

        spans: list[Span] = []
        for first, past in sorted(found):
            if spans and first < spans[-1][1]:
                spans[-1] = (spans[-1][0], max(past, spans[-1][1]))
            elif first < past:
                spans.append((first, past))
        held = min(begun)
        for first, past in reversed(spans):
            # One that reaches the end may go on; one that is begun again inside waits as a whole.
            if past == len(text) or first < held < past:
                held = min(held, first)
        return spans, max(held, len(text) - CONTEXT)


def _occurrences(text: str, value: str) -> Iterator[Span]:
    place = text.find(value)
    while place >= 0:
        yield place, place + len(value)
        place = text.find(value, place + len(value))


def _begun_value(text: str, value: str) -> int:
    """Where at the end the value begins without being complete."""
    place = text.find(value[0], max(0, len(text) - len(value) + 1))
    while place >= 0 and not value.startswith(text[place:]):
        place = text.find(value[0], place + 1)
    return place if place >= 0 else len(text)


def _tokens(text: str, searched: str, shape: _Shape, found: list[Span], begun: list[int]) -> None:
    for anchor in shape.anchors:
        place = searched.find(anchor)
        while place >= 0:
            following = place + len(anchor)
            match = shape.whole.match(searched, place)
            if match and (shape.judge is None or shape.judge(text[slice(*match.span(match.lastindex or 0))])):
                found.append(match.span(match.lastindex or 0))
                following = match.end()
            if (match := shape.begun.match(searched, place)) or (
                match := shape.whole.match(searched, place) if following == len(text) else None
            ):
                begun.append(match.start(match.lastindex or 0))
            place = searched.find(anchor, following)
