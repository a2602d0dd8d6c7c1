"""A gateway's part in telling the webhook: it follows the supervision log and lets a program deliver.

Every running gateway does; a lock makes it one at a time. What is told, how and until when is
`webhook_delivery`'s; here are the waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .reasons import reason_of
from .webhook_cursor import LONGEST_PAUSE, delivering, ensure_cursor, load_cursor, waiting
from .webhook_parting import events_of, program_of

if TYPE_CHECKING:
    from hermes_cli.processes.changes import Changes

logger = logging.getLogger("hermes.gateway")

_IDLE = 3600.0
_AFTER_TROUBLE = 60.0
_OTHERS_TURN = 30.0
"""Seconds until a look at whether the one who delivers has been killed at it."""
_PATIENCE: Mapping[int | None, float] = {0: 0.0, 75: _OTHERS_TURN, 78: _IDLE}
"""Seconds until the next look by the program's exit code. Bad settings are looked at with the next event."""
_LONGEST = 300.0
"""Seconds that a delivery may take; the next goes on where it stopped."""

_TELLING = frozenset({"supervision.jsonl", "webhook.json"})


class WebhookFollower:
    """From `start` to `stop`. Where no webhook is configured there is nothing of it but this object."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._events: frozenset[str] = frozenset()
        self._task: asyncio.Task[None] | None = None

    def start(self, changes: Changes) -> None:
        """Follow from now on. What is wrong with the settings is said, and keeps nothing from running."""
        self._events = events_of(self._root)
        if self._events:
            self._task = asyncio.ensure_future(self._run(changes))

    async def stop(self) -> None:
        """A delivery that is under way is ended, and made again by another gateway."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self, changes: Changes) -> None:
        with changes.subscribe() as subscription:
            while True:
                subscription.changed.clear()
                try:
                    ensure_cursor(self._root)
                    subscription.add(self._root / "logs", _TELLING.__contains__)
                    patience = await self._look()
                except OSError as error:
                    logger.warning("the webhook cannot be told: %s", reason_of(error))
                    patience = _AFTER_TROUBLE
                await subscription.wait(patience)

    async def _look(self) -> float:
        """Deliver what waits; seconds until the next look, where nothing changes before."""
        cursor = load_cursor(self._root)
        if cursor is None or not waiting(self._root, cursor.position, self._events):
            return _IDLE
        left = cursor.next_try_at - time.time()
        if left > 0:
            # A clock that was set back must not make a short pause a long one.
            return min(left, LONGEST_PAUSE)
        with delivering(self._root) as lock:
            if lock is None:
                return _OTHERS_TURN
            code = await self._deliver(lock)
        return _PATIENCE.get(code, _AFTER_TROUBLE)

    async def _deliver(self, lock: int) -> int | None:
        """Run the program, which holds the lock with us: should we be killed, it still has it."""
        process = await asyncio.create_subprocess_exec(
            *program_of(self._root, str(lock)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            pass_fds=(lock,),
        )
        try:
            async with asyncio.timeout(_LONGEST):
                return await process.wait()
        except TimeoutError:
            return None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
