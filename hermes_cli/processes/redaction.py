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

_RUN = re.compile(r"[^\s\"']*")
_CAREFUL_RUN = re.compile(r"[^\s\"'`,;&|<>(){}\[\]]*")
_CALL = re.compile(r"[\w.]{1,64}[(\[]")
_SMALL_NUMBER = re.compile(r"\d{1,7}(?![^\s,;)&])")
_OPENING = re.compile(r"\\?[\"']")
_IN_QUOTES = {'"': re.compile(r'(?:[^"\\\n]|\\.)*'), "'": re.compile(r"(?:[^'\\\n]|\\.)*")}
_DIGIT = re.compile(r"\d")
_LETTER = re.compile(r"[^\W\d_]")
_DECIDED = 128
"""Characters by which a value is judged: judging whole ones again and again would not be linear."""


def _mixed(value: str) -> bool:
    return bool(_DIGIT.search(value, 0, _DECIDED) and _LETTER.search(value, 0, _DECIDED))


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
    _Shape(
        ("AKIA", "ASIA"),
        re.compile(rf"(?<![{_BASE64}])A[KS]IA[A-Z0-9]{{16}}(?![{_BASE64}])"),
        re.compile(rf"(?<![{_BASE64}])A[KS]IA[A-Z0-9]{{0,16}}\Z"),
    ),
    _token("AIza", _URL_SAFE, 35, before=_BASE64),
    _token("ya29.", _URL_SAFE, 20),
    _token("npm_ hf_ dop_v1_ shpat_", _HEX_OR_CASE, 30),
    _token("pypi-AgEI", _URL_SAFE, 50),
    _Shape(
        ("SG.",),
        re.compile(r"(?<![\w-])SG\.[\w-]{16,32}\.[\w-]{32,64}"),
        re.compile(r"(?<![\w-])SG\.[\w-]{0,32}(?:\.[\w-]{0,64})?\Z"),
    ),
    _Shape(
        ("eyJ",),
        re.compile(rf"(?<![.{_BASE64}])eyJ[\w-]{{8,}}\.[\w-]{{8,}}\.[\w.-]*"),
        re.compile(rf"(?<![.{_BASE64}])eyJ[\w.-]*\Z"),
    ),
    # A bot's token: its number, then 35 characters that begin with AA.
    _Shape(
        (":AA",),
        re.compile(r"(?<=\d):(AA[\w-]{33})(?![\w-])"),
        re.compile(r"(?<=\d):(AA[\w-]{0,33})\Z"),
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

_NAME_ENDS = (
    *("password", "passwd", "passphrase", "_pass", "_pwd"),
    *("token", "secret", "credential", "credentials", "key"),
)
_KEYS = ("api", "access", "private", "secret", "signing", "encryption", "master", "account", "auth")
_SEPARATOR = re.compile(r"\\?[\"']?(?:[ \t]{0,3}(?:=>|:=|=(?!=)|:(?![:/]))[ \t]{0,3}|[ \t]{1,3})")
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
            if match := shape.whole.match(searched, place):
                first, past = match.span(match.lastindex or 0)
                if shape.judge is None or shape.judge(text[first:past]):
                    found.append((first, past))
                    following = match.end()
                elif match.end() == len(text):
                    begun.append(first)
            # Besides a whole one too: of a password with an @ in it only the last @ is the end.
            if match := shape.begun.match(searched, place):
                begun.append(match.start(match.lastindex or 0))
            place = searched.find(anchor, following)


def _assignments(text: str, lower: str, found: list[Span], begun: list[int]) -> None:
    """NAME=value, "name": "value", name: value, --name value, for names that end like a secret's."""
    for word in _NAME_ENDS:
        place = lower.find(word)
        while place >= 0:
            past = place + len(word)
            if word != "key" or _is_secret_key(lower, place):
                past = _value(text, lower, place, past, found, begun)
            place = lower.find(word, past)


def _is_secret_key(lower: str, place: int) -> bool:
    before = lower[max(0, place - 12) : place]
    return before.removesuffix("_").removesuffix("-").endswith(_KEYS)


def _value(text: str, lower: str, place: int, past: int, found: list[Span], begun: list[int]) -> int:
    """Look at what may be the value of the name that ends with text[place:past]; from where to go on."""
    separator = _SEPARATOR.match(text, past)
    if separator is None or separator.end() == len(text):
        return past
    kind = separator[0].strip(" \t\\\"'")
    if not kind and not _OPTION.search(lower, max(0, place - 40), past):
        return past
    # "=" without spaces is an assignment; the rest may be a sentence about tokens.
    sure = kind == "=" and len(separator[0].lstrip("\\\"'")) == 1
    start = separator.end()
    run = _CAREFUL_RUN
    if opening := _OPENING.match(text, start):
        start = opening.end()
        past_value = _quoted_end(text, start, opening[0])
        quoted_name = separator[0][0] in "\\\"'"
        sure = sure or quoted_name or text[place:past].lower() not in ("token", "key")
        undecided = past_value >= len(text) or (past_value == len(text) - 1 and text[-1] == "\\")
        value = text[start : min(past_value, start + _DECIDED)]
        accepted = len(value) >= MIN_VALUE and value[0] not in "$<*{[%"
    else:
        if text[start] in "$<*{[(%":
            return past
        upper = text[place:past].isupper() and sure
        if upper:
            run = _RUN
        value = run.match(text, start, start + _DECIDED)[0]  # type: ignore[index]
        undecided = start + len(value) == len(text)
        accepted = (
            len(value) >= (1 if upper else MIN_VALUE)
            and (upper or not _CALL.match(text, start))
            and not _SMALL_NUMBER.match(text, start)
        )
        past_value = -1
    if undecided:
        begun.append(start)
    if not accepted or value.lower() in _ORDINARY or not (sure or (len(value) >= 6 and _mixed(value))):
        return past
    if past_value < 0:
        past_value = run.match(text, start).end()  # type: ignore[union-attr]
    found.append((start, past_value))
    return past_value


def _quoted_end(text: str, start: int, quote: str) -> int:
    """Where the quotes close, at the latest at the end of the line."""
    if len(quote) == 1:
        return _IN_QUOTES[quote].match(text, start).end()  # type: ignore[union-attr]
    # The quote first: the next value like this one ends the search, as no distant end of the line would.
    close = text.find(quote, start)
    close = len(text) if close < 0 else close
    line = text.find("\n", start, close)
    return close if line < 0 else line


def _private_keys(text: str, found: list[Span], begun: list[int]) -> None:
    ends = list(_PEM_END.finditer(text))
    if ends and ends[0].start() <= CONTEXT and (rest := _PEM_REST.match(text, 0, ends[0].start())):
        # The text begins inside of a key.
        found.append(rest.span())
    which = 0
    place = text.find("-----BEGIN ")
    while place >= 0:
        place += 1
        if match := _PEM_BEGIN.match(text, place - 1):
            start = match.end()
            while which < len(ends) and ends[which].start() < start:
                which += 1
            if which < len(ends) and ends[which].end() - start <= CONTEXT:
                found.append((start, ends[which].start()))
                place = ends[which].end()
            else:
                found.append((start, _PEM_BODY.match(text, start).end()))  # type: ignore[union-attr]
                if len(text) - start < CONTEXT:
                    begun.append(start)
        place = text.find("-----BEGIN ", place)


_SECRET_WORDS = {
    *("TOKEN", "TOKENS", "AUTHTOKEN", "SECRET", "SECRETS", "PASSWORD", "PASSWORDS", "PASSWD", "PASSPHRASE"),
    *("PASS", "PASSCODE", "CREDENTIAL", "CREDENTIALS", "APIKEY", "AUTH", "COOKIE", "DSN", "JWT", "PAT"),
}
_HARMLESS_ENDS = {
    *("FILE", "PATH", "DIR", "DIRECTORY", "SOCK", "SOCKET", "TTL", "TYPE", "NAME", "LENGTH", "SIZE", "LIMIT"),
    *("COUNT", "EXPIRY", "EXPIRES", "HEADER", "ENABLED", "MODE", "METHOD", "ALGORITHM", "SECONDS", "MINUTES"),
    *("HOURS", "TIMEOUT", "URL", "URI", "ENDPOINT", "HOST", "PORT", "REGION", "PREFIX"),
}
_SECRET_NAMES = {"AWS_ACCESS_KEY_ID", "DATABASE_URL", "MONGODB_URI", "REDIS_URL", "BROKER_URL"}
_HARMLESS_NAMES = {"GPG_KEY", "PWD", "OLDPWD"}


def secret_names(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The variables whose names say that they are secrets, in order.

    By the words of the name: GITHUB_TOKEN, DB_PASS, OPENAI_API_KEY, PROD_SECRET_2; not TOKEN_FILE or
    MAX_TOKENS_LIMIT, PUBLIC_KEY, GPG_KEY (a fingerprint, in every Python image).
    """
    return tuple(sorted(filter(_is_secret_name, environ)))


def _is_secret_name(name: str) -> bool:
    upper = name.upper()
    if upper in _SECRET_NAMES or upper.endswith(("WEBHOOK_URL", "CONNECTION_STRING")):
        return True
    words = [word for word in re.split(r"[^A-Z0-9]+", upper) if word]
    if not words or upper in _HARMLESS_NAMES or words[-1] in _HARMLESS_ENDS:
        return False
    if words[0] == "MAX" and words[-1] == "TOKENS":
        return False
    if words[-1] == "PWD" or words[-1].endswith(("PASSWORD", "APIKEY", "SECRET", "TOKEN")):
        return True
    if any(words[at : at + 2] == [kind, "KEY"] for at, kind in enumerate(words) if kind.lower() in _KEYS):
        return True
    return (words[-1] == "KEY" and "PUBLIC" not in words) or not _SECRET_WORDS.isdisjoint(words)
