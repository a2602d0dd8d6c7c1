"""The overview as it changes: looked at once a second, and only while somebody watches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any

import msgspec

from hermes_cli.faces.background import in_thread
from hermes_cli.faces.overview import Meter, Overview, Row, overview, unreadable
from hermes_cli.status import StatusReport

INTERVAL = 1.0
"""Seconds between two looks."""

Change = dict[str, Any]


class Board:
    """The latest overview, and a wake for everybody who watches it."""

    def __init__(self, look: Callable[[], StatusReport], interval: float = INTERVAL) -> None:
        self._look = look
        self._interval = interval
        self._latest: Overview | None = None
        self._meter = Meter()
        self._looked_at = float("-inf")
        self._looking = asyncio.Lock()
        self._changed = asyncio.Event()
        self._watchers = 0
        self._poller: asyncio.Task[None] | None = None
        self.closing = False
        self.looks = 0
        """How often it was looked, in total."""

    @property
    def watchers(self) -> int:
        return self._watchers

    async def fresh(self) -> Overview:
        """An overview not older than the interval. Never raises: a failure is an overview too."""
        async with self._looking:
            if self._latest is None or time.monotonic() - self._looked_at >= self._interval:
                await self._refresh()
            assert self._latest is not None
            return self._latest

    async def changes(self) -> AsyncGenerator[Overview, None]:
        """The overview now, then again after each change, until closed or `close`.

        Who is slow misses the states between, never the last one; nothing queues up.
        """
        self._watchers += 1
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
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

    async def _poll(self) -> None:
        while self._watchers > 0 and not self.closing:
            await self.fresh()
            await asyncio.sleep(self._interval)

    async def _refresh(self) -> None:
        before = self._latest
        try:
            report = await in_thread(self._look)
            latest = overview(report, before, meter=self._meter)
        except Exception as error:
            # Whatever broke, the page goes on and says so.
            latest = unreadable(error, before)
        self.looks += 1
        self._looked_at = time.monotonic()
        self._latest = latest
        if latest != before:
            self._wake()

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
    }


def _fields(row: Row) -> Change:
    fields: Change = msgspec.to_builtins(row)
    del fields["service"]
    return fields
