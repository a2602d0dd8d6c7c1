"""What goes by time: events and runs that were kept long enough, sessions that nobody went on with.

`python -m hermes_cli.runs.tending` does it alone, for a gateway that has no store open and wants none.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from hermes_cli.home import Home

from . import sessions
from .conversations import Conversations
from .journal import Journal

_DAY = 86400.0


class Retention(msgspec.Struct, kw_only=True, frozen=True):
    """Days from a run's end; 0 is for ever."""

    events_days: float
    runs_days: float


class Errand(msgspec.Struct, kw_only=True, frozen=True):
    """What the process that does it alone is told, as JSON in its one argument."""

    root: str
    profile: str
    retention: Retention

    @property
    def home(self) -> Home:
        return Home.of(self.profile, Path(self.root))


async def tend(
    journal: Journal,
    conversations: Conversations,
    retention: Retention,
    at_work: Callable[[str], Awaitable[bool]],
) -> list[str]:
    """Remove what is old, reset what is idle unless it is `at_work`; the sessions that were reset.

    In small steps: a run that goes on waits for none of it long. Raises `RunError`, `ProcessError`, OSError.
    """
    now = time.time()
    before = now - retention.events_days * _DAY
    while retention.events_days and await journal.do(lambda store: store.expire_events(before)):
        pass
    begun = now - retention.runs_days * _DAY
    while retention.runs_days and await journal.do(lambda store: store.remove_runs(begun)):
        pass
    reset = []
    for session_id in await journal.read(lambda store: sessions.idle_sessions(store, now)):
        if not await at_work(session_id) and await journal.do(
            lambda store, one=session_id: sessions.reset_if_idle(store, one, now)  # type: ignore[misc]
        ):
            reset.append(session_id)
    await conversations.remove_forgotten()
    return reset


async def tend_alone(errand: Errand) -> None:
    """As `tend`, beside whatever a gateway does: each step looks for itself whether it still holds.

    Logs of sessions are not written: a gateway may be writing them. They are, when it next looks at them.
    """
    from hermes_cli.processes.profile import registry_of
    from hermes_cli.processes.registry import Registry

    from .session_log import SessionLogs
    from .settled import settle

    home = errand.home
    registry: Registry = registry_of(home)
    journal = Journal(home.state_db)
    try:
        conversations = Conversations(journal, SessionLogs(home.sessions, str))
        at_work = registry.has_active_for_session
        await tend(
            journal, conversations, errand.retention, lambda session: asyncio.to_thread(at_work, session)
        )
    finally:
        await journal.close()
    settle(home, time.time())


def main() -> None:
    with contextlib.suppress(OSError):
        os.nice(10)
    try:
        asyncio.run(tend_alone(msgspec.json.decode(sys.argv[1], type=Errand)))
    except Exception as error:
        sys.exit(f"old runs could not be looked after: {error or type(error).__name__}")


if __name__ == "__main__":
    main()
