"""The conversations of a profile: their logs, written from the store, and where each of them stands."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from . import sessions
from .journal import Journal
from .session_log import SessionLogs


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a session's conversation has come."""

    log: Path
    """It is there, with all that has ended."""
    epoch: int
    """When the present conversation began: with the session, or its last reset. Seconds since the epoch."""
    turn: int
    """Runs of the present conversation that have ended; 0 at its beginning."""


class Conversations:
    """One for a store. Writes to logs come one after the other."""

    def __init__(self, journal: Journal, logs: SessionLogs) -> None:
        self._journal = journal
        self._logs = logs
        self._writing = asyncio.Lock()

    async def write(self, session_id: str) -> Path:
        """Put into the session's log what has ended by now; its path, where there may be nothing yet.

        Raises `RunError`, OSError.
        """
        logs, more = self._logs, True
        while more:
            async with self._writing:
                position, since = await asyncio.to_thread(logs.position, session_id)
                lines, more = await self._journal.read(
                    lambda store, since=since: logs.missing(store, session_id, since)  # type: ignore[misc]
                )
                if lines:
                    await asyncio.to_thread(logs.append, session_id, position, lines)
        return logs.path(session_id)

    async def standing(self, session_id: str) -> Standing:
        """Where the session stands, with its log up to date. Raises `RunError`, OSError."""
        log = await self.write(session_id)
        await asyncio.to_thread(self._logs.make, session_id)
        epoch, turn = await self._journal.read(lambda store: sessions.standing(store, session_id))
        return Standing(log, epoch, turn)

    async def remove(self, session_id: str) -> None:
        """Raises OSError."""
        async with self._writing:
            await asyncio.to_thread(self._logs.remove, session_id)

    async def remove_forgotten(self) -> None:
        """A session that was forgotten leaves no log behind. Raises `RunError`, OSError."""
        async with self._writing:
            logged = await asyncio.to_thread(self._logs.sessions)
            gone = await self._journal.read(lambda store: sessions.unknown(store, logged))
            for session_id in gone:
                await asyncio.to_thread(self._logs.remove, session_id)
