"""A gateway's log into a widget, as it grows: from files, or from wherever else this host keeps it."""

from __future__ import annotations

import asyncio

from hermes_cli.faces.background import in_thread
from hermes_cli.faces.log_tail import LogTail, follow, open_gateway_log

from .installation import Installation
from .widgets.text_log import Line, TextLog

_LINES = 500
"""Lines from before that are shown at first."""


async def follow_into(log: TextLog, installation: Installation, profile: str, hint: str = "") -> None:
    """Show the end of the log of `profile` and what comes, until cancelled.

    `hint`: what to do where nothing has been written.
    """
    log.clear()
    log.follow(True)
    tail, lines = await _open(installation, profile)
    if lines:
        log.add(lines)
    else:
        log.add([Line(f"{profile} has written nothing here yet. {hint}".strip(), "dim")])
    empty = not lines
    async for lines in follow(tail):
        if empty:
            log.clear()
            empty = False
        log.add(lines)


async def _open(installation: Installation, profile: str) -> tuple[LogTail, list[str]]:
    """The log, and the end of it: in a thread, because a journal takes its time."""

    def work() -> tuple[LogTail, list[str]]:
        tail = LogTail(open_gateway_log(installation.home(profile), installation.manager(), lines=_LINES))
        return tail, tail.read()

    opening = asyncio.ensure_future(in_thread(work))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close)
        raise


def _close(opening: asyncio.Future[tuple[LogTail, list[str]]]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result()[0].close()
