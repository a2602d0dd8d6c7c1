"""The overview as it changes: looked at when something moves, and only while somebody watches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any

import msgspec

from hermes_cli.faces.background import in_thread
from hermes_cli.faces.changes import Changes
from hermes_cli.faces.overview import Meter, Overview, Row, overview, unreadable
from hermes_cli.status import StatusReport

INTERVAL = 1.0
"""Seconds until it is looked again without having been woken: memory and processor time wake nobody."""

GAP = 0.1
"""Seconds between two looks while one change follows the other."""

_LONGEST_GAP = 0.25
_SHARE = 2
_IDLE_SHARE = 20
"""A look that takes long is followed by a pause so many times as long: it must not eat the machine."""

Change = dict[str, Any]


class Board:
    """The latest overview, and a wake for everybody who watches it."""

    def __init__(
        self,
        look: Callable[[], StatusReport],
        changes: Callable[[], Changes] | None = None,
        interval: float = INTERVAL,
        story: Callable[[], str] = str,
    ) -> None:
        """`changes` wakes when there may be something to see; without it, the interval is all there is."""
        self._look = look
        self._story = story
        self._open_changes = changes
        self._changes: Changes | None = None
        self._interval = interval
        self._latest: Overview | None = None
        self._meter = Meter()
        self._looked_at = float("-inf")
        self._stale = True
        """Whether something has happened since the last look began."""
        self._looking = asyncio.Lock()
        self._changed = asyncio.Event()
        self._watchers = 0
        self._poller: asyncio.Task[None] | None = None
        self.closing = False
        self.looks = 0
        """How often it was looked, in total."""

    async def fresh(self) -> Overview:
        """An overview not older than the interval. Never raises: a failure is an overview too."""
        async with self._looking:
            old = time.monotonic() - self._looked_at >= self._interval
            if self._latest is None or self._stale or old:
                await self._refresh()
            assert self._latest is not None
            return self._latest

    async def changes(self) -> AsyncGenerator[Overview, None]:
        """The overview now, then again after each change, until closed or `close`.

        Who is slow misses the states between, never the last one; nothing queues up.
        """
        self._watchers += 1
        if self._poller is None or self._poller.done():
            # Before anybody looks: what is armed first misses nothing.
            self._changes = self._open_changes() if self._open_changes is not None else None
            self._stale = True
            self._poller = asyncio.create_task(self._poll(self._changes))
        try:
            seen = await self.fresh()
            yield seen
            while not self.closing:
                changed = self._changed
                if self._latest is not None and self._latest != seen:
                    seen = self._latest
                    yield seen
                    continue
                await changed.wait()
        finally:
            self._watchers -= 1

    def close(self) -> None:
        """End every `changes`."""
        self.closing = True
        self._wake()
        if self._changes is not None:
            self._changes.wake()

    def look_again(self) -> None:
        """Something was done here: what is known is old."""
        self._stale = True
        if self._changes is not None:
            self._changes.wake()

    async def _poll(self, changes: Changes | None) -> None:
        try:
            while self._watchers > 0 and not self.closing:
                began = time.monotonic()
                await self.fresh()
                cost = time.monotonic() - began
                idle = max(self._interval, _IDLE_SHARE * cost)
                if changes is None:
                    await asyncio.sleep(idle)
                else:
                    await asyncio.sleep(max(GAP, min(_LONGEST_GAP, _SHARE * cost)))
                    await changes.next(idle)
                self._stale = True
        finally:
            self._changes = None
            if changes is not None:
                changes.close()

    async def _refresh(self) -> None:
        before = self._latest
        self._stale = False
        try:
            report = await in_thread(self._armed_look)
            latest = overview(report, before, meter=self._meter)
            latest.story = self._story()
        except Exception as error:
            # Whatever broke, the page goes on and says so.
            latest = unreadable(error, before)
        self.looks += 1
        self._looked_at = time.monotonic()
        self._latest = latest
        if latest != before:
            self._wake()

    def _armed_look(self) -> StatusReport:
        if self._changes is not None:
            self._changes.arm()
        return self._look()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def snapshot(latest: Overview) -> Change:
    """The whole overview for a page that knows nothing yet."""
    return {
        **_head(latest),
        "order": [row.service for row in latest.rows],
        "rows": {row.service: _fields(row) for row in latest.rows},
        "now": int(time.time()),
    }


def difference(before: Overview, latest: Overview) -> Change:
    """What turns a page that shows `before` into `latest`; of a known row only the fields that differ."""
    change: Change = {key: value for key, value in _head(latest).items() if _head(before)[key] != value}
    order = [row.service for row in latest.rows]
    if order != [row.service for row in before.rows]:
        change["order"] = order
    old = {row.service: _fields(row) for row in before.rows}
    rows = {}
    for row in latest.rows:
        known = old.get(row.service, {})
        fields = {
            key: value for key, value in _fields(row).items() if key not in known or known[key] != value
        }
        if fields:
            rows[row.service] = fields
    if rows:
        change["rows"] = rows
    return change


def _head(latest: Overview) -> Change:
    return {
        "summary": latest.summary,
        "tone": latest.tone,
        "mark": latest.mark,
        "problems": latest.problems,
        "story": latest.story,
    }


def _fields(row: Row) -> Change:
    fields: Change = msgspec.to_builtins(row)
    del fields["service"]
    return fields
