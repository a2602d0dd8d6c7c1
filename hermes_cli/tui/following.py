"""Going after something that grows, from a cursor on, through restarts of the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from hermes_cli.faces.background import in_thread
from hermes_cli.faces.reach import FAILURES, OK, Reach, reach
from hermes_cli.home import Home

WAIT = 10.0
"""Seconds that one question waits for news at the gateway; a thread that nobody hears any more ends then."""

_AGAIN = 0.5
"""Seconds until a gateway that has gone is asked again."""

PageT = TypeVar("PageT")


async def keep_asking(
    home: Home, ask: Callable[[], PageT], take: Callable[[PageT], bool], stands: Callable[[Reach], None]
) -> None:
    """Ask in a thread and take the answer, until `take` says that there is no more.

    `ask` asks from the cursor that `take` moves, and waits at the gateway for `WAIT` seconds: so nothing is
    missed or taken twice, whatever happens in between. `stands` hears how it stands with the gateway, with
    `OK` once it answers; where asking again cannot help, this returns.
    """
    well = False
    while True:
        try:
            page = await in_thread(ask)
        except FAILURES as error:
            well = False
            found = reach(error, home)
            stands(found)
            if not found.comes_back:
                return
            await asyncio.sleep(_AGAIN)
            continue
        if not well:
            stands(OK)
            well = True
        if not take(page):
            return
