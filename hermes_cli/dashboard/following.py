"""What a profile's page is told as it happens: each stream knows its own cursor, and nothing else is kept."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from typing import Any

import msgspec

from hermes_cli.faces.background import in_thread
from hermes_cli.faces.reach import FAILURES, OK, Reach, reach
from hermes_cli.home import Home

from .streams import event

INTERVAL = 0.4
"""Seconds between two looks at a list that nobody announces the changes of."""

_SHARE = 10
"""As many times as long as a look took is waited at least: many pages, or a sandbox far away, are not asked
without a pause."""

_LOOK_AGAIN = 1.0
"""Seconds until a gateway that could not be reached is asked again."""

Events = AsyncGenerator[bytes, None]


async def followed(home: Home, attempt: Callable[[], Events]) -> Events:
    """The events of `attempt()`, called again for as long as its gateway may come back.

    `attempt` yields an empty one once it has the gateway, goes on behind what it gave out before, and returns
    when there is nothing more. `reach` tells when it changes whether the gateway can be reached, and why not.
    """
    said: Reach | None = None
    while True:
        try:
            async with aclosing(attempt()) as events:
                async for one in events:
                    if said != OK:
                        said = OK
                        yield event("reach", _state(said))
                    if one:
                        yield one
            return
        except FAILURES as error:
            found = await in_thread(partial(reach, error, home))
        if found != said:
            said = found
            yield event("reach", _state(found))
        if not found.comes_back:
            return
        await asyncio.sleep(_LOOK_AGAIN)


async def changes(look: Callable[[], object], shown: str | None, interval: float = INTERVAL) -> Events:
    """`changed`, with what is there now as its id, whenever `look()` gives something else than `shown`."""
    while True:
        began = time.monotonic()
        now = digest(await in_thread(look))
        took = time.monotonic() - began
        yield b""
        if now != shown:
            shown = now
            yield event("changed", {}, now)
        await asyncio.sleep(max(interval, _SHARE * took))


def digest(shown: object) -> str:
    """What identifies a state of something that is shown."""
    return hashlib.sha256(msgspec.json.encode(shown)).hexdigest()[:16]


def _state(found: Reach) -> dict[str, Any]:
    return {**msgspec.to_builtins(found), "comes_back": found.comes_back}
