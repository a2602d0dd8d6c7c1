"""Looking for something in the whole log of a gateway: words, a regular expression, a moment.

An expression that backtracks for ever would hold up everything in a process of ours, whatever the thread
(re holds the interpreter's lock): it is looked for in a process of its own, which has a deadline.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections import deque
from collections.abc import Generator, Iterable
from contextlib import closing, suppress
from pathlib import Path

import msgspec

from hermes_cli.home import Home
from hermes_cli.service_manager.errors import ServiceError
from hermes_cli.service_manager.logs import stamp, stamp_of

from .log_tail import open_gateway_log
from .printable import plain

CONTEXT = 2
"""Lines before and behind one that was found."""
LATEST = 200
"""Places that are shown, the last ones."""
SPAN = 100
"""Lines before and behind a moment."""
DEADLINE = 5.0
"""Seconds that a search may take."""
LONGEST = 200
"""Characters of what is searched for."""

_MOST_HITS = 50
"""Marks in one line."""


_NO_EXPRESSION = 65
"""Exit code of the process that searches: EX_DATAERR of sysexits.h."""


class SearchError(ValueError):
    """What was asked for cannot be searched for. The message says why."""


class Line(msgspec.Struct, frozen=True):
    """A line of the log, safe to show."""

    number: int
    """From 1, in the log as it is now."""
    text: str
    hits: list[tuple[int, int]] = []
    """Where in `text` it was found: begin and end."""


class Found(msgspec.Struct, kw_only=True):
    """What a search found."""

    places: list[list[Line]]
    """Lines that hang together, oldest first."""
    hits: int
    """Lines in which it was found, those of earlier places as well."""
    lines: int
    """That were looked at."""
    complete: bool = True
    """Whether that is the whole log; else the deadline came first."""


class Moment(msgspec.Struct, kw_only=True):
    """The log around a moment."""

    lines: list[Line]
    marked: int | None
    """Number of the last line that was there at the moment; None where none was, or lines have no time."""


def whole_log(home: Home) -> Generator[str, None, None]:
    """All lines that are kept, archives first, as they were written. What comes later is not among them.

    Raises OSError and `ServiceError` where the log cannot be read.
    """
    from hermes_cli.gateway.levels import manager_here

    manager = None
    with suppress(ServiceError):  # a host with nothing to keep gateways up
        manager = manager_here()
    with closing(open_gateway_log(home, manager, lines=None)) as reader:
        while lines := reader.read():
            yield from lines


def search(home: Home, words: str, *, expression: bool = False, deadline: float = DEADLINE) -> Found:
    """Where `words` are in the log, in any case; or what the regular expression finds.

    Raises `SearchError`, and what `whole_log` raises.
    """
    if not words or len(words) > LONGEST:
        raise SearchError(f"look for something of 1 to {LONGEST} characters")
    if not expression:
        return find(whole_log(home), re.compile(re.escape(words), re.IGNORECASE), deadline)
    return _elsewhere(home, words, deadline)


def find(lines: Iterable[str], pattern: re.Pattern[str], deadline: float = DEADLINE) -> Found:
    """The places in `lines` where the pattern is found, each with its context."""
    places: deque[list[Line]] = deque(maxlen=LATEST)
    before: deque[Line] = deque(maxlen=CONTEXT)
    until = time.monotonic() + deadline
    number = hits = behind = 0
    for number, line in enumerate(lines, 1):
        text = plain(line)
        spans = [match.span() for match, _ in zip(pattern.finditer(text), range(_MOST_HITS), strict=False)]
        if spans:
            hits += 1
            if not behind:
                places.append(list(before))
                before.clear()
            places[-1].append(Line(number, text, spans))
            behind = CONTEXT + 1
        elif behind > 1:
            places[-1].append(Line(number, text))
        else:
            before.append(Line(number, text))
        behind = max(0, behind - 1) if not spans else CONTEXT + 1
        if number % 1000 == 0 and time.monotonic() > until:
            return Found(places=list(places), hits=hits, lines=number, complete=False)
    return Found(places=list(places), hits=hits, lines=number)


def around(lines: Iterable[str], at: float, span: int = SPAN) -> Moment:
    """`span` lines before and behind the moment `at`, seconds since the epoch.

    Lines without a time belong to the last one before them that has one.
    """
    wanted = stamp(at)
    before: deque[Line] = deque(maxlen=span)
    behind: list[Line] = []
    seen = ""
    for number, text in enumerate(lines, 1):
        seen = stamp_of(text) or seen
        if seen <= wanted:
            before.extend([Line(number, plain(text))])
        else:
            behind.append(Line(number, plain(text)))
            if len(behind) >= span:
                break
    return Moment(lines=[*before, *behind], marked=before[-1].number if before and seen else None)


class _Asked(msgspec.Struct):
    root: str
    profile: str
    expression: str
    deadline: float


def _elsewhere(home: Home, expression: str, deadline: float) -> Found:
    asked = _Asked(str(home.root), home.profile, expression, deadline / 2)
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__],
            input=msgspec.json.encode(asked),
            capture_output=True,
            timeout=deadline,
        )
    except subprocess.TimeoutExpired:
        raise SearchError(f"this expression took longer than {deadline:g} s; make it simpler") from None
    if done.returncode == 0:
        return msgspec.json.decode(done.stdout, type=Found)
    said = plain(done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2], 200)
    if done.returncode == _NO_EXPRESSION:
        raise SearchError(f"this is no regular expression: {said}")
    raise SearchError(f"the search ended with {done.returncode}: {said}")


def _main() -> int:
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=_Asked)
    try:
        pattern = re.compile(asked.expression, re.IGNORECASE)
    except (re.error, OverflowError, RecursionError) as error:
        sys.stderr.write(str(error))
        return _NO_EXPRESSION
    found = find(whole_log(Home.of(asked.profile, Path(asked.root))), pattern, asked.deadline)
    sys.stdout.buffer.write(msgspec.json.encode(found))
    return 0


if __name__ == "__main__":
    sys.exit(_main())
