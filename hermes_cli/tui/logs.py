"""A gateway's log into a widget, as it grows."""

from __future__ import annotations

from hermes_cli.faces.log_tail import LogTail, follow

from .installation import Installation
from .widgets.text_log import Line, TextLog


async def follow_into(log: TextLog, installation: Installation, profile: str, hint: str = "") -> None:
    """Show the end of the log of `profile` and what comes, until cancelled.

    `hint`: what to do where nothing has been written.
    """
    log.clear()
    log.follow(True)
    log.add([Line(f"{profile} has written nothing here yet. {hint}".strip(), "dim")])
    empty = True
    async for lines in follow(LogTail(installation.home(profile).gateway_log)):
        if empty:
            log.clear()
            empty = False
        log.add(lines)
