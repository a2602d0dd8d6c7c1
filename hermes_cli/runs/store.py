"""The store of runs: one SQLite file, one writer. A method is a step of a transaction that its caller holds.

SQLite in WAL mode with synchronous=FULL: what a transaction has committed survives the power cut after it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from . import upkeep
from .errors import (
    BadCursorError,
    BadRequestError,
    JournalConflictError,
    KeyReusedError,
    LeaseHeldError,
    NoSuchRunError,
    NoSuchSessionError,
    QueueFullError,
    RunEndedError,
    SessionBusyError,
    StoreError,
)
from .schema import migrate
from .types import ACTIVE, TERMINAL, Conflict, Event, Lease, NewEvent, Run, RunRequest, Session, event_id

if TYPE_CHECKING:
    import apsw

_BUSY = 5000
"""Milliseconds to wait for another connection's lock."""

_LARGEST_WAL = 64 << 20
"""Bytes that the file of the WAL keeps after a large transaction."""

_STATUSES = ACTIVE | TERMINAL | {"queued"}

_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode
_NO_REQUEST = RunRequest(message="")
"""Stands in the record for the request, which has a column of its own: it is written once."""


def open_connection(path: Path, *, read_only: bool = False) -> apsw.Connection:
    """A connection with this store's settings; raises `StoreError`."""
    import apsw

    flags = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    try:
        if not read_only:
            _make(path)
        connection = apsw.Connection(str(path), flags=flags)
    except (apsw.Error, OSError) as error:
        raise StoreError(f"{path} cannot be used as the store of runs: {error}") from error
    try:
        connection.set_busy_timeout(_BUSY)
        connection.pragma("foreign_keys", True)
        if not read_only:
            connection.pragma("journal_mode", "wal")
            connection.pragma("synchronous", "FULL")
            connection.pragma("journal_size_limit", _LARGEST_WAL)
            migrate(connection)
    except apsw.Error as error:
        connection.close()
        raise StoreError(f"{path} cannot be used as the store of runs: {error}") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _make(path: Path) -> None:
    """Where there is none, an empty store that has its WAL from the moment it is there. Raises OSError.

    The switch to WAL is no transaction: two at once refuse each other at once, whatever the busy timeout is
    (measured: 1 in 100 of eight that opened a new file together). It holds what was said, so it is its
    owner's alone; SQLite gives the files beside it the same mode.
    """
    import apsw

    # Never opened where it exists: closing a descriptor of it frees this process' locks on it (fcntl(2)).
    if path.exists():
        return
    new = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
    _make_empty(new)
    try:
        with contextlib.closing(apsw.Connection(str(new))) as connection:
            connection.pragma("journal_mode", "wal")
        os.link(new, path)
    except FileExistsError:
        pass  # whoever is first has made it
    except OSError:
        # A file system without hard links, a NAS has such: who opens it switches it, and may be refused.
        with contextlib.suppress(FileExistsError):
            _make_empty(path)
    finally:
        new.unlink()


def _make_empty(path: Path) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))


class Store:
    """Reads and writes on one connection. Not safe to share between threads."""

    def __init__(self, connection: apsw.Connection, *, clock: Callable[[], float] = time.time) -> None:
        self._connection = connection
        self._clock = clock

    @property
    def connection(self) -> apsw.Connection:
        return self._connection

    # The lease

    def take_lease(self, holder: str, alive: Callable[[str], bool]) -> int:
        """Make the runs `holder`'s; the epoch, which every later one exceeds.

        Raises `LeaseHeldError` where another has them that is `alive`.
        """
        lease, now = self.lease(), self._clock()
        if lease is not None and lease.holder != holder and alive(lease.holder):
            raise LeaseHeldError(lease.holder)
        epoch = 1 if lease is None else lease.epoch + 1
        self._execute("INSERT OR REPLACE INTO lease VALUES (1, ?, ?, ?, ?)", holder, epoch, now, now)
        return epoch

    def lease(self) -> Lease | None:
        """Whose the runs are; None where nobody ever had them."""
        rows = self._rows("SELECT holder, epoch, taken_at, beat_at FROM lease")
        return (
            Lease(holder=rows[0][0], epoch=rows[0][1], taken_at=rows[0][2], beat_at=rows[0][3])
            if rows
            else None
        )

    def beat(self) -> None:
        """The holder lives and follows its runs."""
        self._execute("UPDATE lease SET beat_at = ?", self._clock())

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
        deadline: float | None = None,
        queue_limit: int | None = None,
    ) -> tuple[Run, bool]:
        """A new queued run, and True; or the run that the idempotency key was used for, and False.

        `deadline`: seconds it may take where the request names none. `queue_limit`: the most that may wait.
        Raises `KeyReusedError`, `QueueFullError`, `SessionBusyError`, `NoSuchSessionError`.
        """
        if key is not None and (known := self.run_of_key(key, request)) is not None:
            return known, False
        if queue_limit is not None:
            waiting = self._rows("SELECT count(*) FROM runs WHERE terminal IS NULL AND status = 'queued'")
            if waiting[0][0] >= queue_limit:
                raise QueueFullError(
                    f"{waiting[0][0]} runs wait already, which is the limit; try again later"
                )
        now = self._clock()
        session_id = request.session_id
        if session_id is None:
            session_id = new_session_id
            self._execute(
                "INSERT INTO sessions (id, created_at, last_active_at, title) VALUES (?, ?, ?, ?)",
                *(session_id, now, now, _title(request)),
            )
        elif not self._rows("SELECT 1 FROM sessions WHERE id = ?", session_id):
            raise NoSuchSessionError(session_id)
        if on_conflict == "reject":
            busy = self._rows(
                "SELECT id FROM runs WHERE session = ? AND terminal IS NULL LIMIT 1", session_id
            )
            if busy:
                raise SessionBusyError(session_id, busy[0][0])
        seconds = deadline if request.deadline_seconds is None else request.deadline_seconds
        run = Run(
            run_id=run_id,
            session_id=session_id,
            status="queued",
            agent=agent,
            request=request,
            created_at=now,
            deadline_at=None if seconds is None else now + seconds,
            retry_of=retry_of,
        )
        self._execute(
            "INSERT INTO runs (id, session, status, created_at, request, record) VALUES (?, ?, ?, ?, ?, ?)",
            *(run_id, session_id, run.status, now, _encode(request).decode(), _record(run)),
        )
        if key is not None:
            number = self._connection.last_insert_rowid()
            self._execute("INSERT INTO idempotency VALUES (?, ?, ?, ?)", key, _digest(request), number, now)
        self._execute("UPDATE sessions SET last_active_at = ? WHERE id = ?", now, session_id)
        return run, True

    def run_of_key(self, key: str, request: RunRequest) -> Run | None:
        """The run that the idempotency key was used for. Raises `KeyReusedError` for another request."""
        rows = self._rows(
            "SELECT i.digest, r.id, r.record, r.request FROM idempotency i JOIN runs r ON r.n = i.run "
            "WHERE i.key = ?",
            key,
        )
        if not rows:
            return None
        if rows[0][0] != _digest(request):
            raise KeyReusedError(key, rows[0][1])
        return decode_run(*rows[0][1:])

    def run(self, run_id: str) -> Run:
        """Raises `NoSuchRunError`."""
        rows = self._rows("SELECT id, record, request FROM runs WHERE id = ?", run_id)
        if not rows:
            raise NoSuchRunError(run_id)
        return decode_run(*rows[0])

    def update(self, run: Run) -> None:
        """Write the run back, without an event."""
        self._execute(
            "UPDATE runs SET status = ?, terminal = ?, last_seq = ?, first_seq = ?, ended_at = ?, record = ? "
            "WHERE id = ?",
            *(run.status, run.terminal_state, run.last_seq, run.first_seq, run.ended_at),
            *(_record(run), run.run_id),
        )

    def append(self, run: Run, events: Sequence[NewEvent], **changes: Any) -> tuple[Run, list[bytes]]:
        """Number the events and write them together with `changes` to the run; the run then, and the events.

        Raises `RunEndedError` for anything behind the terminal event, and `JournalConflictError` where `run`
        is not the run as it is on disk. An event with `terminal` ends the run.
        """
        rows = self._rows("SELECT n, last_seq, terminal FROM runs WHERE id = ?", run.run_id)
        if not rows:
            raise NoSuchRunError(run.run_id)
        number, last_seq, terminal = rows[0]
        if terminal is not None:
            raise RunEndedError(f"{run.run_id} has ended ({terminal}); nothing comes behind that")
        if last_seq != run.last_seq:
            raise JournalConflictError(
                f"{run.run_id} has {last_seq} events on disk, and was believed to have {run.last_seq}"
            )
        run = msgspec.structs.replace(run, **changes)
        now = self._clock()
        bodies = []
        added = []
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
            added.append((number, run.last_seq, int(event.terminal is not None), body))
        self._connection.executemany(
            "INSERT INTO events (run, seq, terminal, body) VALUES (?, ?, ?, ?)", added
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
        """All runs without a terminal event, oldest first; those that can be read."""
        rows = self._connection.execute(
            "SELECT id, record, request FROM runs WHERE terminal IS NULL ORDER BY n"
        )
        found = []
        for row in rows:
            with contextlib.suppress(StoreError):  # one damaged run must not keep the others from going on
                found.append(decode_run(*row))
        return found

    def runs(
        self,
        *,
        session_id: str | None = None,
        statuses: Iterable[str] = (),
        before: str | None = None,
        limit: int,
    ) -> list[Run]:
        """Newest first; those of a session, in one of `statuses`, older than `before`.

        Raises `BadRequestError` for a status that there is not, `NoSuchRunError` for `before`.
        """
        where: list[str] = ["1"]
        values: list[Any] = []
        if session_id is not None:
            where.append("session = ?")
            values.append(session_id)
        wanted = list(statuses)
        if unknown := [status for status in wanted if status not in _STATUSES]:
            raise BadRequestError(f"{unknown[0]!r} is no status; there are {', '.join(sorted(_STATUSES))}")
        if wanted:
            where.append(f"status IN ({', '.join('?' * len(wanted))})")
            values += wanted
        if before is not None:
            where.append("n < ?")
            values.append(self._number(before))
        query = f"SELECT id, record, request FROM runs WHERE {' AND '.join(where)} ORDER BY n DESC LIMIT ?"
        return [decode_run(*row) for row in self._connection.execute(query, (*values, limit))]

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
            "(SELECT count(*) FROM runs WHERE session = s.id), s.reset_at "
            f"FROM sessions s {where} ORDER BY s.last_active_at DESC, s.rowid DESC LIMIT ?",
            (*values, limit),
        )
        return [
            Session(
                session_id=row[0],
                created_at=row[1],
                last_active_at=row[2],
                title=row[3],
                runs=row[4],
                reset_at=row[5],
            )
            for row in rows
        ]

    # Upkeep

    def expire_events(self, ended_before: float, limit: int = 5000) -> int:
        """Remove up to `limit` events of runs that ended before then, but for the terminal ones.

        How many runs that concerned: until it is none there may be more.
        """
        return upkeep.expire_events(self, ended_before, limit)

    def remove_runs(self, ended_before: float, limit: int = 5000) -> int:
        """Forget runs that ended before then, with everything of them, up to `limit` events at a time.

        How many runs that concerned: until it is none there may be more.
        """
        return upkeep.remove_runs(self, ended_before, limit)

    def snapshot(self, run_id: str) -> str | None:
        """The text that a run's removed events came to, or None where they are all there."""
        rows = self._rows("SELECT snapshot FROM runs WHERE id = ?", run_id)
        if not rows:
            raise NoSuchRunError(run_id)
        found: str | None = rows[0][0]
        return found

    def check(self) -> list[str]:
        """What SQLite and the rules of the journal find wrong; empty where all is well."""
        return upkeep.check(self._connection)

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


_decode_record = msgspec.json.Decoder(Run).decode
_decode_request = msgspec.json.Decoder(RunRequest).decode


def decode_run(run_id: str, record: str, request: str) -> Run:
    """A run of its columns. Raises `StoreError` where they are damaged."""
    try:
        run = _decode_record(record)
        run.request = _decode_request(request)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise StoreError(
            f"what the store says of {run_id} is damaged ({error}); see 'hermes doctor'"
        ) from error
    return run


def _record(run: Run) -> str:
    return _encode(msgspec.structs.replace(run, request=_NO_REQUEST)).decode()


def _digest(request: RunRequest) -> bytes:
    return hashlib.blake2b(_encode_sorted(request), digest_size=16).digest()


def _title(request: RunRequest) -> str:
    first = request.message.strip().splitlines()[:1]
    return first[0][:80] if first else ""
