"""What keeps the store small and sound: the removal of what is old, in small steps, and the check."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from .types import Event

if TYPE_CHECKING:
    import apsw

    from .store import Store

SNAPSHOT = 64 << 10
"""Characters of a run's text that are kept when its events go."""

_LOOKED_AT = 20_000
"""Events of a run that are looked at for its snapshot, from the last one back."""

_decode_event = msgspec.json.Decoder(Event).decode


def expire_events(store: Store, ended_before: float, limit: int) -> int:
    """See `Store.expire_events`. The snapshot is taken with the first of a run's removals."""
    connection, runs = store.connection, 0
    while limit > 0:
        rows: list[Any] = connection.execute(
            "SELECT n, id, snapshot IS NULL FROM runs WHERE ended_at < ? AND first_seq < last_seq LIMIT 1",
            (ended_before,),
        ).fetchall()
        if not rows:
            break
        number, run_id, first = rows[0]
        if first:
            connection.execute(
                "UPDATE runs SET snapshot = ? WHERE n = ?", (_snapshot(connection, number), number)
            )
        run = store.run(run_id)
        until = min(run.last_seq, run.first_seq + limit)
        connection.execute("DELETE FROM events WHERE run = ? AND seq < ?", (number, until))
        limit -= until - run.first_seq
        run.first_seq = until
        store.update(run)
        runs += 1
    return runs


def remove_runs(store: Store, ended_before: float, limit: int) -> int:
    """See `Store.remove_runs`."""
    connection, runs = store.connection, 0
    rows: list[Any] = connection.execute(
        "SELECT n, id FROM runs WHERE ended_at < ? ORDER BY ended_at LIMIT ?", (ended_before, limit)
    ).fetchall()
    for number, run_id in rows:
        run = store.run(run_id)
        events = run.last_seq - run.first_seq + 1
        runs += 1
        if events > limit:
            connection.execute(
                "DELETE FROM events WHERE run = ? AND seq < ?", (number, run.first_seq + limit)
            )
            run.first_seq += limit
            store.update(run)
            break
        for table in ("events", "idempotency"):
            connection.execute(f"DELETE FROM {table} WHERE run = ?", (number,))
        connection.execute("DELETE FROM runs WHERE n = ?", (number,))
        limit -= max(1, events)
        if limit <= 0:
            break
    connection.execute(
        "DELETE FROM sessions WHERE last_active_at < ? "
        "AND NOT EXISTS (SELECT 1 FROM runs WHERE session = sessions.id)",
        (ended_before,),
    )
    return runs


def check(connection: apsw.Connection) -> list[str]:
    """What SQLite and the rules of the journal find wrong; empty where all is well."""
    problems = [str(row[0]) for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
    if problems:
        return problems
    problems += [
        f"row {row[1]} of {row[0]} belongs to no row of {row[2]}"
        for row in connection.execute("PRAGMA foreign_key_check")
    ]
    problems += [
        f"{row[0]} has {row[1]} events and says it has {row[2]}"
        for row in connection.execute(
            "SELECT r.id, count(e.seq), r.last_seq - r.first_seq + 1 "
            "FROM runs r LEFT JOIN events e ON e.run = r.n WHERE r.last_seq > 0 "
            "GROUP BY r.n HAVING count(e.seq) <> r.last_seq - r.first_seq + 1"
        )
    ]
    problems += [
        f"{row[0]} is {row[1] or 'open'}, and its events say otherwise"
        for row in connection.execute(
            "SELECT r.id, r.terminal FROM runs r LEFT JOIN events e ON e.run = r.n AND e.terminal = 1 "
            "WHERE (r.terminal IS NULL) <> (e.seq IS NULL) OR e.seq <> r.last_seq"
        )
    ]
    return problems


def _snapshot(connection: apsw.Connection, number: int) -> str:
    """The end of what the run said, as one text."""
    pieces: list[str] = []
    size = 0
    for (body,) in connection.execute(
        "SELECT body FROM events WHERE run = ? ORDER BY seq DESC LIMIT ?", (number, _LOOKED_AT)
    ):
        event = _decode_event(body)
        if event.type == "delta":
            pieces.append(str(event.payload.get("text", "")))
            size += len(pieces[-1])
        if size > SNAPSHOT:
            break
    return "".join(reversed(pieces))[-SNAPSHOT:]
