"""Has old runs looked after once a day, by another process: an idle gateway has no store in its memory."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import sys
import time
from asyncio.subprocess import Process

import msgspec

from hermes_cli.config.schema import RunsConfig
from hermes_cli.home import Home

logger = logging.getLogger("hermes.gateway")

_DAY = 86400.0
_SOON = (60.0, 600.0)
"""Seconds after the start, between which what is overdue is done: many gateways start at the same time."""
_AFTER_TROUBLE = 3600.0
_LONGEST = 3600.0
"""Seconds that it may take."""


class RunTender:
    """From `start` to `stop`, which comes before anybody opens the store."""

    def __init__(self, home: Home, settings: RunsConfig, tended_at: float) -> None:
        """`tended_at`: when it was last done, seconds since the epoch."""
        self._home = home
        self._settings = settings
        self._tended_at = tended_at
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.ensure_future(self._run())

    async def stop(self) -> None:
        """Nothing of it is under way any more. A step that was is undone or done, as the store has them."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def tend(self) -> bool:
        """Do it now; whether that went well. It says itself what did not."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "hermes_cli.runs.tending", self._errand()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(_LONGEST):
                return await process.wait() == 0
        finally:
            await _end(process)

    async def _run(self) -> None:
        patience = max(random.uniform(*_SOON), min(_DAY, self._tended_at + _DAY - time.time()))
        while True:
            await asyncio.sleep(patience)
            patience = _DAY
            try:
                if not await self.tend():
                    patience = _AFTER_TROUBLE
            except (OSError, TimeoutError) as error:
                logger.error("old runs could not be looked after: %s", error or "it took too long")
                patience = _AFTER_TROUBLE

    def _errand(self) -> str:
        keep = self._settings
        retention = {"events_days": keep.keep_events_days, "runs_days": keep.keep_runs_days}
        errand = {"root": os.fspath(self._home.root), "profile": self._home.profile, "retention": retention}
        return msgspec.json.encode(errand).decode()


async def _end(process: Process) -> None:
    """Kill it, unless it has ended, and wait for it."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
