"""The rules of watch patterns: which lines of a process's output are worth a word, and when it is too many.

Part of the keeper, whose memory is counted: nothing is imported that it does not have already.
"""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Sequence

WINDOW = 15.0
"""Seconds from one match that is told to the next one that may be."""

STRIKES = 3
"""Windows in a row with dropped matches that end the watching."""

LINE_BOUND = 64 << 10
"""Bytes of a line held until its end is seen; a longer one is looked at in pieces of this size."""

LINE_KEPT = 4 << 10
"""Bytes of a matching line that are told."""

REGEX_LINE = 4 << 10
"""Characters of a line, from its beginning, that a regular expression is given."""

REGEX_STALL = 0.5
"""CPU seconds that the regular expressions may take for one piece of output."""

REGEX_SHARE = 0.2
"""Part of a window's time that the regular expressions may take in all."""

COUNTED = 10_000
"""Dropped matches counted in one window. Beyond it the output is not looked at until the window ends, which
keeps a process that floods at full speed; `suppressed` is then "at least"."""

MAX_PATTERNS = 32
MAX_PATTERN = 1000
"""Characters of a pattern."""

REGEX = "re:"


class Found:
    """What there is to tell: `watch_match`, or once and last `watch_disabled` with its `message`.

    `line` is without its end, LINE_KEPT bytes at most, of a longer one the part around the match.
    `suppressed` counts the matches dropped since the last Found.
    """

    __slots__ = ("line", "message", "pattern", "suppressed", "type")

    def __init__(self, type: str, pattern: str, line: bytes, suppressed: int, message: str = "") -> None:
        self.type = type
        self.pattern = pattern
        self.line = line
        self.suppressed = suppressed
        self.message = message

    def __repr__(self) -> str:
        return f"Found({self.type}, {self.pattern!r}, {self.line!r}, {self.suppressed}, {self.message!r})"


class _TooSlow(Exception):
    pass


class _Stream:
    """The unfinished line of stdout or stderr. `continued`: its beginning was looked at already."""

    __slots__ = ("continued", "line")

    def __init__(self) -> None:
        self.line = bytearray()
        self.continued = False


class Watcher:
    """Looks for patterns in output that comes in pieces, whatever the pieces are.

    A pattern is a substring of a line, or `re:` and a regular expression (which needs the main thread, for
    its time limit, and SIGVTALRM). A line that several patterns match is one match, of the first of them.

    The first match is told and opens a window of `window` seconds; matches in it are dropped, which makes it
    a strike. A window without drops ends the row of strikes, and so does a whole quiet one. With `strikes`
    in a row the watching ends: `enabled` turns False and `promoted` True (the completion is to be told
    instead).
    """

    def __init__(self, patterns: Sequence[str], *, window: float = WINDOW, strikes: int = STRIKES) -> None:
        self.enabled = bool(patterns)
        self.promoted = False
        self._patterns = tuple(patterns)
        self._window = window
        self._limit = strikes
        self._literals = [
            b"" if pattern.startswith(REGEX) else pattern.encode("utf-8", "surrogatepass")
            for pattern in self._patterns
        ]
        self._streams: dict[int, _Stream] = {}
        self._until: float | None = None
        self._drops = 0
        self._strikes = 0
        self._suppressed = 0
        self._found: list[Found] = []
        self._now = 0.0
        self._regexes = _Regexes(self._patterns) if any(p.startswith(REGEX) for p in self._patterns) else None

    def feed(self, data: bytes, now: float, stream: int) -> list[Found]:
        """Look at output of one stream. `now`: seconds, of a clock that should not go back."""
        if not self.enabled:
            return []
        self._turn(now)
        for start in range(0, len(data), LINE_BOUND):
            self._piece(data if len(data) <= LINE_BOUND else data[start : start + LINE_BOUND], stream)
            if not self.enabled:
                break
        found, self._found = self._found, []
        return found

    def finish(self, now: float) -> list[Found]:
        """Look at lines without an end. The process is over: nothing is found after this."""
        if self.enabled:
            self._turn(now)
            for _, stream in sorted(self._streams.items()):
                if stream.line:
                    self._look(stream.line, 0, len(stream.line), stream.continued)
        found, self._found = self._found, []
        self.enabled = False
        self._streams.clear()
        return found

    def _piece(self, data: bytes, number: int) -> None:
        """`data` is LINE_BOUND bytes at most: a line is too long only by its beginning in `stream`."""
        stream = self._streams.get(number)
        if stream is None:
            stream = self._streams[number] = _Stream()
        start = 0
        last = data.rfind(b"\n")
        if last >= 0 and (stream.line or stream.continued):
            start = data.find(b"\n") + 1
            self._extend(stream, data[: start - 1])
            if stream.line:
                self._look(stream.line, 0, len(stream.line), stream.continued)
            stream.line.clear()
            stream.continued = False
        if last >= start:
            self._look(data, start, last, False)
        self._extend(stream, data[last + 1 :] if last >= 0 else data)

    def _extend(self, stream: _Stream, data: bytes) -> None:
        stream.line += data
        while len(stream.line) >= LINE_BOUND and self.enabled:
            self._look(stream.line[:LINE_BOUND], 0, LINE_BOUND, stream.continued)
            stream.continued = True
            del stream.line[:LINE_BOUND]

    def _look(self, data: bytes | bytearray, start: int, end: int, continued: bool) -> None:
        """Look at the lines in data[start:end], the last one's newline left out."""
        if not self.enabled or self._flooded():
            return
        if self._regexes is None:
            self._substrings(data, start, end)
            return
        try:
            with self._regexes:
                self._lines(bytes(data[start:end]).split(b"\n"), continued)
        except _TooSlow:
            self._end(
                self._regexes.trying,
                b"",
                "looking for this regular expression took too long, so the watching has ended; "
                "a substring or a simpler expression is fast. The end of the process will be told instead",
            )

    def _substrings(self, data: bytes | bytearray, start: int, end: int) -> None:
        """No work of Python's own where nothing matches: one find per pattern and piece of output."""
        literals = self._literals
        places = [data.find(literal, start, end) for literal in literals]
        while True:
            place = min((place for place in places if place >= 0), default=-1)
            if place < 0:
                return
            begin = data.rfind(b"\n", start, place) + 1 or start
            stop = data.find(b"\n", place, end)
            if stop < 0:
                stop = end
            which = next(index for index, at in enumerate(places) if 0 <= at < stop)
            self._match(which, data, begin, stop, places[which])
            start = stop + 1
            if start > end or not self.enabled or self._flooded():
                return
            for index, at in enumerate(places):
                if 0 <= at < start:
                    places[index] = data.find(literals[index], start, end)

    def _lines(self, lines: Iterable[bytes], continued: bool) -> None:
        assert self._regexes is not None
        for line in lines:
            text: str | None = None
            for index, literal in enumerate(self._literals):
                place = 0
                if literal:
                    place = line.find(literal)
                elif continued:
                    place = -1
                else:
                    if text is None:
                        text = line.decode("utf-8", "replace").rstrip("\r")[:REGEX_LINE]
                    match = self._regexes.search(index, text)
                    place = len(text[:match].encode()) if match > 0 else match
                if place >= 0:
                    self._match(index, line, 0, len(line), place)
                    break
            if not self.enabled or self._flooded():
                return

    def _match(self, which: int, data: bytes | bytearray, begin: int, stop: int, place: int) -> None:
        if self._until is not None and self._now < self._until:
            self._drops += 1
            self._suppressed += 1
            if self._drops == 1:
                self._strikes += 1
                if self._strikes >= self._limit:
                    self._end(
                        which,
                        _kept(data, begin, stop, place),
                        f"more than one match in {self._window:g} seconds, {self._limit} times in a row, "
                        "so the watching has ended. The end of the process will be told instead",
                    )
            return
        if self._until is None or not self._drops or self._now >= self._until + self._window:
            self._strikes = 0
        self._drops = 0
        self._until = self._now + self._window
        self._tell("watch_match", which, _kept(data, begin, stop, place))

    def _end(self, which: int, line: bytes, message: str) -> None:
        self._tell("watch_disabled", which, line, message)
        self.enabled = False
        self.promoted = True
        self._streams.clear()

    def _tell(self, type: str, which: int, line: bytes, message: str = "") -> None:
        self._found.append(Found(type, self._patterns[which], line, self._suppressed, message))
        self._suppressed = 0

    def _turn(self, now: float) -> None:
        if self._until is not None and now < self._until - self._window:
            # The clock went back: no window is longer than it says.
            self._until = now + self._window
        self._now = now
        if self._regexes is not None:
            self._regexes.turn(now, self._window)

    def _flooded(self) -> bool:
        return self._drops >= COUNTED and self._until is not None and self._now < self._until


def _kept(data: bytes | bytearray, begin: int, stop: int, place: int) -> bytes:
    if stop - begin > LINE_KEPT:
        begin = max(begin, min(place - LINE_KEPT // 4, stop - LINE_KEPT))
    return bytes(data[begin : min(stop, begin + LINE_KEPT)]).rstrip(b"\r")


class _Regexes:
    """Regular expressions under a time limit: a signal interrupts one that backtracks for ever."""

    def __init__(self, patterns: Sequence[str]) -> None:
        import signal

        self.trying = 0
        self._expressions = [_compile(p[len(REGEX) :]) if p.startswith(REGEX) else None for p in patterns]
        self._signal = signal
        self._running = False
        self._started = 0.0
        self._since: float | None = None
        self._left = 0.0
        signal.signal(signal.SIGVTALRM, self._alarm)

    def turn(self, now: float, window: float) -> None:
        """Give them their share of another window when one has passed."""
        if self._since is None or not self._since <= now < self._since + window:
            self._since = now
            self._left = window * REGEX_SHARE

    def search(self, index: int, text: str) -> int:
        """Where in the text it matches, or -1."""
        expression = self._expressions[index]
        assert expression is not None
        self.trying = index
        match = expression.search(text)
        return match.start() if match else -1

    def __enter__(self) -> None:
        if self._left <= 0:
            raise _TooSlow
        # CPU time: on a busy machine a fast expression stays fast.
        self._started = time.process_time()
        self._running = True
        self._signal.setitimer(self._signal.ITIMER_VIRTUAL, REGEX_STALL)

    def __exit__(self, *_: object) -> None:
        self._signal.setitimer(self._signal.ITIMER_VIRTUAL, 0)
        self._running = False
        self._left -= time.process_time() - self._started

    def _alarm(self, *_: object) -> None:
        if self._running:
            raise _TooSlow


def _compile(expression: str) -> re.Pattern[str]:
    import re
    import warnings

    with warnings.catch_warnings():
        # What a later Python may read differently: nothing that its writer is there to see.
        warnings.simplefilter("ignore")
        return re.compile(expression)


def check_patterns(patterns: Sequence[str]) -> None:
    """Raise BadPatternError for the first pattern that a Watcher could not use."""
    from .errors import BadPatternError

    if len(patterns) > MAX_PATTERNS:
        raise BadPatternError(patterns[MAX_PATTERNS], f"{MAX_PATTERNS} patterns at most")
    for pattern in patterns:
        if not pattern.removeprefix(REGEX):
            raise BadPatternError(pattern, "it is empty and would match everything")
        if len(pattern) > MAX_PATTERN:
            raise BadPatternError(pattern[:40] + "…", f"it is longer than {MAX_PATTERN} characters")
        if any(end in pattern for end in "\n\r\0"):
            raise BadPatternError(pattern, "patterns are for one line, and it holds the end of one")
        try:
            pattern.encode()
        except UnicodeEncodeError:
            raise BadPatternError(pattern, "it is no text that could be encoded as UTF-8") from None
        if pattern.startswith(REGEX):
            try:
                _compile(pattern[len(REGEX) :])
            except Exception as error:
                raise BadPatternError(pattern, f"no regular expression: {error}") from None
