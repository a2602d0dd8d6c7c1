"""Steps on the store that are about sessions, and the finding of runs and sessions by a cut id."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from .errors import AmbiguousIdError, NoSuchRunError, NoSuchSessionError, SessionBusyError
from .store import Store
from .types import Run, Session

_GIVEN = {
    "runs": re.compile(r"(?:run_)?([0-9a-f]{4,16})"),
    "sessions": re.compile(r"(?:ses_)?([0-9a-f]{4,16})"),
}
_PREFIX = {"runs": "run_", "sessions": "ses_"}
_OF_ALL = "SELECT id FROM {table} WHERE id >= ? AND id < ? ORDER BY id LIMIT 3"

IDLE_RESET = 86400.0
"""Seconds after which a session that nobody went on with begins its conversation anew."""

_ACTIVE = "('running', 'awaiting_approval', 'awaiting_clarify', 'cancelling')"


def find_run(store: Store, given: str) -> str:
    """The id that `given` is or begins, four digits at least.

    Raises `NoSuchRunError`, `AmbiguousIdError`.
    """
    found = _find(store, "runs", given)
    if found is None:
        raise NoSuchRunError(given)
    return found


def find_session(store: Store, given: str) -> str:
    """As `find_run`; raises `NoSuchSessionError`, `AmbiguousIdError`."""
    found = _find(store, "sessions", given)
    if found is None:
        raise NoSuchSessionError(given)
    return found


def sessions(store: Store, *, before: str | None = None, limit: int) -> list[Session]:
    """The most recently active first; those that were active less recently than `before`."""
    where, values = "", ()
    if before is not None:
        session = store.session(before)
        where = "WHERE last_active_at < ? OR (last_active_at = ? AND id < ?)"
        values = (session.last_active_at, session.last_active_at, before)  # type: ignore[assignment]
    rows = store.connection.execute(
        f"SELECT id FROM sessions {where} ORDER BY last_active_at DESC, id DESC LIMIT ?", (*values, limit)
    )
    return [store.session(row[0]) for row in list(rows)]


def active_run(store: Store, session_id: str) -> str | None:
    """The one run of the session that goes on, and waits in no queue."""
    query = f"SELECT id FROM runs WHERE session = ? AND status IN {_ACTIVE}"
    return next((row[0] for row in store.connection.execute(query, (session_id,))), None)


def latest_run(store: Store, session_id: str) -> str | None:
    """The run that was asked for last."""
    query = "SELECT id FROM runs WHERE session = ? ORDER BY n DESC LIMIT 1"
    return next((row[0] for row in store.connection.execute(query, (session_id,))), None)


def runs_of(store: Store, session_id: str, *, before: str | None = None, limit: int) -> list[Run]:
    """The active one first, then the others, newest first. Raises `NoSuchSessionError`."""
    store.session(session_id)
    found = store.runs(session_id=session_id, before=before, limit=limit)
    active = active_run(store, session_id)
    others = [run for run in found if run.run_id != active]
    if before is None and active is not None:
        return [store.run(active), *others][:limit]
    return others


def delete(store: Store, session_id: str) -> int:
    """Remove a session and all its runs; how many. Raises `NoSuchSessionError`, `SessionBusyError`."""
    store.session(session_id)
    query = "SELECT id FROM runs WHERE session = ? AND terminal IS NULL LIMIT 1"
    for row in store.connection.execute(query, (session_id,)):
        raise SessionBusyError(session_id, row[0])
    numbers = list(store.connection.execute("SELECT n FROM runs WHERE session = ?", (session_id,)))
    for number in numbers:
        for table in ("events", "idempotency"):
            store.connection.execute(f"DELETE FROM {table} WHERE run = ?", number)
    store.connection.execute("DELETE FROM runs WHERE session = ?", (session_id,))
    store.connection.execute("DELETE FROM sessions WHERE id = ?", (session_id,))
    return len(numbers)


def idle_sessions(
    store: Store, idle_since: float, *, session_id: str | None = None, limit: int = 1000
) -> list[str]:
    """Those with nothing going on or waiting, not active since then, and not reset since they were.

    `session_id`: this one alone.
    """
    one, values = ("", ()) if session_id is None else ("AND id = ? ", (session_id,))
    rows = store.connection.execute(
        "SELECT id FROM sessions s WHERE last_active_at < ? "
        "AND (reset_at IS NULL OR reset_at < last_active_at) "
        "AND NOT EXISTS (SELECT 1 FROM runs WHERE session = s.id AND terminal IS NULL) "
        f"AND coalesce((SELECT max(ended_at) FROM runs WHERE session = s.id), 0) < ? {one}LIMIT ?",
        (idle_since, idle_since, *values, limit),
    )
    return [row[0] for row in rows]


def reset_if_idle(store: Store, session_id: str, now: float) -> bool:
    """Begin the session's conversation anew if nobody went on with it for `IDLE_RESET`; whether so."""
    idle = session_id in idle_sessions(store, now - IDLE_RESET, session_id=session_id)
    if idle:
        reset(store, session_id, now)
    return idle


def standing(store: Store, session_id: str) -> tuple[int, int]:
    """When the session's present conversation began, in whole seconds, and how many of its runs have ended.

    Raises `NoSuchSessionError`.
    """
    session = store.session(session_id)
    began = session.created_at if session.reset_at is None else session.reset_at
    query = "SELECT count(*) FROM runs WHERE session = ? AND ended_at > ?"
    rows = list(store.connection.execute(query, (session_id, session.reset_at or 0.0)))
    return int(began), rows[0][0]


def unknown(store: Store, given: Iterable[str]) -> list[str]:
    """Those of the ids that are no session's, or no session's any more."""
    query = "SELECT 1 FROM sessions WHERE id = ?"
    return [one for one in given if not list(store.connection.execute(query, (one,)))]


def reset(store: Store, session_id: str, at: float) -> None:
    """Note that the session's conversation begins anew."""
    store.connection.execute("UPDATE sessions SET reset_at = ? WHERE id = ?", (at, session_id))


def _find(store: Store, table: Literal["runs", "sessions"], given: str) -> str | None:
    match = _GIVEN[table].fullmatch(given.strip().lower())
    if match is None:
        return None
    begin = _PREFIX[table] + match[1]
    # Every id that begins so is before this: "g" comes behind all hexadecimal digits.
    rows = list(store.connection.execute(_OF_ALL.format(table=table), (begin, begin + "g")))
    found: list[str] = [row[0] for row in rows]
    if begin in found:
        return begin
    if len(found) > 1:
        raise AmbiguousIdError(given, found[:2])
    return found[0] if found else None
