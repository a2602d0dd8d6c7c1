"""The store of runs: one SQLite file, one writer. A method is a step of a transaction that its caller holds.

SQLite in WAL mode with synchronous=FULL: what a transaction has committed survives the power cut after it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from .errors import (
    BadCursorError,
    KeyReusedError,
    NoSuchRunError,
    NoSuchSessionError,
    RunEndedError,
    SessionBusyError,
    StoreError,
)
from .schema import migrate
from .types import ACTIVE, TERMINAL, Conflict, Event, NewEvent, Run, RunRequest, Session, event_id

if TYPE_CHECKING:
    import apsw

_BUSY = 5000
"""Milliseconds to wait for another connection's lock."""

_encode = msgspec.json.Encoder().encode
_decode_run = msgspec.json.Decoder(Run).decode


def open_connection(path: Path, *, read_only: bool = False) -> apsw.Connection:
    """A connection with this store's settings; raises `StoreError`."""
    import apsw

    flags = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    try:
        connection = apsw.Connection(str(path), flags=flags)
        connection.set_busy_timeout(_BUSY)
        connection.pragma("foreign_keys", True)
        if not read_only:
            connection.pragma("journal_mode", "wal")
            connection.pragma("synchronous", "FULL")
            migrate(connection)
    except apsw.Error as error:
        raise StoreError(f"{path} cannot be used as the store of runs: {error}") from error
    return connection


class Store:
    """Reads and writes on one connection. Not safe to share between threads."""

    def __init__(self, connection: apsw.Connection, *, clock: Any = time.time) -> None:
        self._connection = connection
        self._clock = clock

    @property
    def connection(self) -> apsw.Connection:
        return self._connection

    # Runs

    def create_run(
        self,
        run_id: str,
        request: RunRequest,
        *,
        agent: str,
        on_conflict: Conflict,
        key: str | None = None,
        retry_of: str | None = None,
        new_session_id: str = "",
    ) -> tuple[Run, bool]:
        """A new queued run, and True; or the run that the idempotency key was used for, and False.

        Raises `KeyReusedError`, `SessionBusyError`, `NoSuchSessionError`.
        """
        digest = hashlib.blake2b(_encode(request), digest_size=16).digest()
        if key is not None and (known := self._by_key(key, digest)) is not None:
            return known, False
        now = self._clock()
        session_id = request.session_id
        if session_id is None:
            session_id = new_session_id
            self._execute("INSERT INTO sessions VALUES (?, ?, ?, ?)", session_id, now, now, _title(request))
        elif not self._rows("SELECT 1 FROM sessions WHERE id = ?", session_id):
            raise NoSuchSessionError(session_id)
        if on_conflict == "reject":
            busy = self._rows(
                "SELECT id FROM runs WHERE session = ? AND terminal IS NULL LIMIT 1", session_id
            )
            if busy:
                raise SessionBusyError(session_id, busy[0][0])
        run = Run(
            run_id=run_id,
            session_id=session_id,
            status="queued",
            agent=agent,
            request=request,
            created_at=now,
            deadline_at=None if request.deadline_seconds is None else now + request.deadline_seconds,
            retry_of=retry_of,
        )
        self._execute(
            "INSERT INTO runs (id, session, status, created_at, record) VALUES (?, ?, ?, ?, ?)",
            *(run_id, session_id, run.status, now, _encode(run).decode()),
        )
        if key is not None:
            n = self._number(run_id)
            self._execute("INSERT INTO idempotency VALUES (?, ?, ?, ?)", key, digest, n, now)
        self._execute("UPDATE sessions SET last_active_at = ? WHERE id = ?", now, session_id)
        return run, True

    def run(self, run_id: str) -> Run:
        """Raises `NoSuchRunError`."""
        rows = self._rows("SELECT record FROM runs WHERE id = ?", run_id)
        if not rows:
            raise NoSuchRunError(run_id)
        return _decode_run(rows[0][0])

    def update(self, run: Run) -> None:
        """Write the run back, without an event."""
        self._execute(
            "UPDATE runs SET status = ?, terminal = ?, last_seq = ?, first_seq = ?, ended_at = ?, record = ? "
            "WHERE id = ?",
            *(run.status, run.terminal_state, run.last_seq, run.first_seq, run.ended_at),
            *(_encode(run).decode(), run.run_id),
        )

    def append(self, run: Run, events: Sequence[NewEvent], **changes: Any) -> tuple[Run, list[bytes]]:
        """Number the events and write them together with `changes` to the run; the run then, and the events.

        Raises `RunEndedError` for anything behind the terminal event. An event with `terminal` ends the run.
        """
        if run.terminal_state is not None:
            raise RunEndedError(f"{run.run_id} has ended ({run.terminal_state}); nothing comes behind that")
        run = msgspec.structs.replace(run, **changes)
        number = self._number(run.run_id)
        now = self._clock()
        bodies = []
        rows = []
        for event in events:
            if run.terminal_state is not None:
                raise RunEndedError(f"{run.run_id} would have an event behind its last one")
            run.last_seq += 1
            if event.terminal is not None:
                run.status = run.terminal_state = event.terminal
                run.ended_at = now
            body = _encode(
                Event(
                    event_id=event_id(run.run_id, run.last_seq),
                    seq=run.last_seq,
                    run_id=run.run_id,
                    session_id=run.session_id,
                    type=event.type,
                    created_at=now,
                    terminal=event.terminal is not None,
                    payload=event.payload,
                )
            )
            bodies.append(body)
            rows.append((number, run.last_seq, int(event.terminal is not None), body))
        self._connection.executemany(
            "INSERT INTO events (run, seq, terminal, body) VALUES (?, ?, ?, ?)", rows
        )
        self.update(run)
        return run, bodies

    def events(self, run_id: str, after: int, limit: int) -> list[bytes]:
        """At most `limit` encoded events behind number `after`, oldest first. Raises `NoSuchRunError`."""
        rows = self._connection.execute(
            "SELECT body FROM events WHERE run = ? AND seq > ? ORDER BY seq LIMIT ?",
            (self._number(run_id), after, limit),
        )
        return [row[0] for row in rows]

    def check_cursor(self, run_id: str, cursor: str) -> int:
        """The number behind which a cursor stands; raises `BadCursorError` for one that is not this run's."""
        run = self.run(run_id)
        if not cursor or cursor == "0":
            after = 0
        else:
            owner, _, number = cursor.rpartition(":")
            if not number.isascii() or not number.isdecimal() or len(number) > 15:
                raise BadCursorError("malformed", f"{cursor!r} is no cursor; take the one of the last page")
            if owner and owner != run_id:
                raise BadCursorError("foreign", f"the cursor {cursor!r} is of another run than {run_id}")
            after = int(number)
        if after > run.last_seq:
            raise BadCursorError("ahead", f"{run_id} has {run.last_seq} events, the cursor is at {after}")
        if after + 1 < run.first_seq:
            raise BadCursorError(
                "expired",
                f"the events of {run_id} up to {run.first_seq - 1} are removed; there is a snapshot",
            )
        return after

    def open_runs(self) -> list[Run]:
        """All runs without a terminal event, oldest first."""
        rows = self._connection.execute("SELECT record FROM runs WHERE terminal IS NULL ORDER BY n")
        return [_decode_run(row[0]) for row in rows]

    def runs(
        self,
        *,
        session_id: str | None = None,
        statuses: Iterable[str] = (),
        before: str | None = None,
        limit: int,
    ) -> list[Run]:
        """Newest first; those of a session, in one of `statuses`, older than `before`."""
        where: list[str] = ["1"]
        values: list[Any] = []
        if session_id is not None:
            where.append("session = ?")
            values.append(session_id)
        if wanted := [status for status in statuses if status in ACTIVE | TERMINAL | {"queued"}]:
            where.append(f"status IN ({', '.join('?' * len(wanted))})")
            values += wanted
        if before is not None:
            where.append("n < ?")
            values.append(self._number(before))
        query = f"SELECT record FROM runs WHERE {' AND '.join(where)} ORDER BY n DESC LIMIT ?"
        return [_decode_run(row[0]) for row in self._connection.execute(query, (*values, limit))]

    # Sessions

    def session(self, session_id: str) -> Session:
        """Raises `NoSuchSessionError`."""
        found = self.sessions(session_id=session_id, limit=1)
        if not found:
            raise NoSuchSessionError(session_id)
        return found[0]

    def sessions(self, *, session_id: str | None = None, limit: int = 100) -> list[Session]:
        """Most recently active first."""
        where, values = ("WHERE s.id = ?", [session_id]) if session_id is not None else ("", [])
        rows = self._connection.execute(
            "SELECT s.id, s.created_at, s.last_active_at, s.title, "
            "(SELECT count(*) FROM runs WHERE session = s.id) "
            f"FROM sessions s {where} ORDER BY s.last_active_at DESC, s.rowid DESC LIMIT ?",
            (*values, limit),
        )
        return [
            Session(session_id=row[0], created_at=row[1], last_active_at=row[2], title=row[3], runs=row[4])
            for row in rows
        ]

    # Retention

    def expire_events(self, ended_before: float, limit: int = 1000) -> int:
        """Remove the events of runs that ended before then, but for the terminal one; how many runs."""
        rows = self._rows(
            "SELECT n, record FROM runs WHERE ended_at < ? AND first_seq < last_seq LIMIT ?",
            ended_before,
            limit,
        )
        for number, record in rows:
            run = _decode_run(record)
            snapshot = self._snapshot(number)
            self._execute("DELETE FROM events WHERE run = ? AND seq < ?", number, run.last_seq)
            run.first_seq = run.last_seq
            self.update(run)
            self._execute("UPDATE runs SET snapshot = ? WHERE n = ?", snapshot, number)
        return len(rows)

    def remove_runs(self, ended_before: float, limit: int = 1000) -> int:
        """Forget runs that ended before then, with everything of them; how many."""
        rows = self._rows("SELECT n FROM runs WHERE ended_at < ? LIMIT ?", ended_before, limit)
        for (number,) in rows:
            for table in ("events", "idempotency"):
                self._execute(f"DELETE FROM {table} WHERE run = ?", number)
            self._execute("DELETE FROM runs WHERE n = ?", number)
        self._execute(
            "DELETE FROM sessions WHERE last_active_at < ? AND id NOT IN (SELECT session FROM runs)",
            ended_before,
        )
        return len(rows)

    def snapshot(self, run_id: str) -> str | None:
        """The text that a run's removed events came to, or None where they are all there."""
        rows = self._rows("SELECT snapshot FROM runs WHERE id = ?", run_id)
        if not rows:
            raise NoSuchRunError(run_id)
        found: str | None = rows[0][0]
        return found

    def check(self) -> list[str]:
        """What SQLite and the rules of the journal find wrong; empty where all is well."""
        problems = [row[0] for row in self._connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
        problems += [
            f"{row[0]} has {row[1]} events and says it has {row[2]}"
            for row in self._connection.execute(
                "SELECT r.id, count(e.seq), r.last_seq - r.first_seq + 1 "
                "FROM runs r LEFT JOIN events e ON e.run = r.n WHERE r.last_seq > 0 "
                "GROUP BY r.n HAVING count(e.seq) <> r.last_seq - r.first_seq + 1"
            )
        ]
        return problems

    def _snapshot(self, number: int) -> str:
        """The end of what the run said, as one text."""
        text = ""
        for (body,) in self._connection.execute(
            "SELECT body FROM events WHERE run = ? ORDER BY seq DESC LIMIT 2000", (number,)
        ):
            event = msgspec.json.decode(body, type=Event)
            if event.type == "delta":
                text = str(event.payload.get("text", "")) + text
            if len(text) > _SNAPSHOT:
                break
        return text[-_SNAPSHOT:]

    def _by_key(self, key: str, digest: bytes) -> Run | None:
        rows = self._rows(
            "SELECT i.digest, r.record, r.id FROM idempotency i JOIN runs r ON r.n = i.run WHERE i.key = ?",
            key,
        )
        if not rows:
            return None
        if rows[0][0] != digest:
            raise KeyReusedError(key, rows[0][2])
        return _decode_run(rows[0][1])

    def _number(self, run_id: str) -> int:
        rows = self._rows("SELECT n FROM runs WHERE id = ?", run_id)
        if not rows:
            raise NoSuchRunError(run_id)
        number: int = rows[0][0]
        return number

    def _rows(self, query: str, *values: Any) -> list[Any]:
        return list(self._connection.execute(query, values))

    def _execute(self, query: str, *values: Any) -> None:
        self._connection.execute(query, values)


_SNAPSHOT = 64 << 10
"""Characters of a run's text that are kept when its events go."""


def _title(request: RunRequest) -> str:
    first = request.message.strip().splitlines()[:1]
    return first[0][:80] if first else ""
