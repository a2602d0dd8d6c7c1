"""The logs of many gateways as one, in the order of time, going on as they are written."""

from __future__ import annotations

import heapq
import select
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from hermes_cli.home import Home, profile_names
from hermes_cli.service_manager.errors import ServiceError
from hermes_cli.service_manager.logs import NOWHERE, RELOOK, LogReader, stamp, stamp_of
from hermes_cli.service_manager.types import ServiceManager

from .log_tail import open_gateway_log, open_kept_log

_LOOK_FOR_NEW = 1.0
"""Seconds between two looks for profiles that have come or gone."""

_LOOK_FOR_INSTALLED = 5.0
"""Likewise for gateways that had not been installed: asking a host's service manager costs more."""


class Line(NamedTuple):
    """One line of a gateway's log; `text` is what it wrote, and not safe to show."""

    profile: str
    stamp: str
    """Local time, as `stamp_of`; where the log keeps none, empty."""
    text: str
    order: str
    """By what it is put among the others: its time, or that of the last line before it that has one."""


class MergedLogs:
    """The logs of `profiles`, or of all, also of those that are made later. Close it.

    `lines`: the last so many of all together (None: all). `since`: seconds since the epoch. `wanted` picks
    lines by their text. What a log cannot be read for stands in `failures`.
    """

    def __init__(
        self,
        root: Path,
        manager: ServiceManager | None,
        profiles: Sequence[str] | None = None,
        *,
        lines: int | None = 100,
        since: float = 0.0,
        wanted: Callable[[str], bool] | None = None,
    ) -> None:
        self.failures: dict[str, str] = {}
        self._root = root
        self._manager = manager
        self._profiles = profiles
        self._lines = lines
        self._since = since
        self._first = stamp(since) if since else ""
        self._wanted = wanted
        self._sources: dict[str, _Source] = {}
        # Of many lines only some may be wanted: then all have to be looked at for the last ones.
        each = lines if wanted is None and not since else None
        for profile in self._names():
            self._open(profile, each)

    @property
    def profiles(self) -> list[str]:
        """Those whose logs are read at present."""
        return list(self._sources)

    def past(self) -> Iterator[Line]:
        """What was written until now, oldest first."""
        streams = [self._until_now(source) for source in self._sources.values()]
        merged = heapq.merge(*streams, key=lambda line: line.order)
        return merged if self._lines is None else iter(deque(merged, maxlen=self._lines))

    def follow(self) -> Iterator[Line]:
        """What is written from then on, as it comes, without end."""
        looked = asked = time.monotonic()
        while True:
            if time.monotonic() - asked >= _LOOK_FOR_INSTALLED:
                self._look_for_installed()
                asked = time.monotonic()
            if self._profiles is None and time.monotonic() - looked >= _LOOK_FOR_NEW:
                looked = time.monotonic()
                self._look_for_new()
            for source in self._sources.values():
                self._try(source, source.reader.arm)
            found = [self._lines_of(source) for source in self._sources.values()]
            come = [lines for lines in found if lines is not None]
            yield from sorted(chain.from_iterable(come), key=lambda line: line.order)
            if not come:
                self._wait()

    def close(self) -> None:
        for source in self._sources.values():
            source.reader.close()
        self._sources.clear()

    def __enter__(self) -> MergedLogs:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _names(self) -> list[str]:
        return list(self._profiles) if self._profiles is not None else list(profile_names(self._root))

    def _open(self, profile: str, lines: int | None) -> None:
        home = Home.of(profile, self._root)
        kept = open_kept_log(home, self._manager, lines=lines, since=self._since)
        reader = kept or open_gateway_log(home, None, lines=lines, since=self._since)
        self._sources[profile] = _Source(profile, reader, kept=kept is not None)

    def _look_for_installed(self) -> None:
        """What is not kept by the service manager yet may be by now: another log, with all that is in it."""
        for profile, source in list(self._sources.items()):
            if source.kept or self._manager is None or source.reader.cursor != NOWHERE:
                continue  # what has been opened is the log
            kept = open_kept_log(Home.of(profile, self._root), self._manager, lines=None, since=self._since)
            if kept is not None:
                source.reader.close()
                self._sources[profile] = _Source(profile, kept, kept=True)

    def _look_for_new(self) -> None:
        try:
            names = self._names()
        except OSError:
            return
        for profile in set(self._sources) - set(names):
            self._sources.pop(profile).reader.close()
        for profile in names:
            if profile not in self._sources and profile not in self.failures:
                self._open(profile, None)

    def _until_now(self, source: _Source) -> Iterator[Line]:
        while (found := self._lines_of(source)) is not None:
            yield from found

    def _lines_of(self, source: _Source) -> list[Line] | None:
        """The next lines that are wanted; None where there are no more for now."""
        texts = self._try(source, source.reader.read)
        if not texts:
            return None
        lines = map(source.line, texts)
        return [line for line in lines if self._is_wanted(line)]

    def _is_wanted(self, line: Line) -> bool:
        if self._first and line.order and line.order < self._first:
            return False
        return self._wanted is None or self._wanted(line.text)

    def _try(self, source: _Source, work: Callable[[], list[str] | None]) -> list[str] | None:
        if source.profile in self.failures:
            return None
        try:
            return work()
        except (OSError, ServiceError) as error:
            self.failures[source.profile] = str(error)
            return None

    def _wait(self) -> None:
        readers = [one.reader for one in self._sources.values() if one.profile not in self.failures]
        descriptors = [reader.fileno() for reader in readers]
        if sys.platform == "win32":
            time.sleep(RELOOK)
            return
        poll = select.poll()
        for descriptor in descriptors:
            if descriptor >= 0:
                poll.register(descriptor, select.POLLIN)
        poll.poll((RELOOK if -1 in descriptors else _LOOK_FOR_NEW) * 1000)


class _Source:
    def __init__(self, profile: str, reader: LogReader, *, kept: bool) -> None:
        """`kept`: by the service manager."""
        self.profile = profile
        self.reader = reader
        self.kept = kept
        self._last = ""

    def line(self, text: str) -> Line:
        found = stamp_of(text)
        self._last = found or self._last
        return Line(self.profile, found, text[len(found) + 2 :] if found else text, self._last)
