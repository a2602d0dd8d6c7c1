"""Blocking work off the event loop, without holding up the end of the face."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hermes_cli.threads import in_daemon

ResultT = TypeVar("ResultT")


async def in_thread(work: Callable[[], ResultT]) -> ResultT:
    """What `work()` returns or raises, from a thread of its own.

    asyncio.to_thread is joined when the loop ends: a verb that waits 30 s would keep a quitting face for
    as long. Nobody waits for this thread, and cancelling the wait leaves it to itself.
    """
    return await in_daemon(work, "hermes-background")
