"""Word of processes, kept until its owner has acknowledged it: the events of all keepers in one database.

SQLite with a rollback journal and full syncs: rare writes, several writers, any file system.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from . import records
from .errors import ProcessError
from .events import event_from, read_lines
from .flow import SILENCE, Flow
from .ids import is_id
from .redaction import Redactor
from .types import Event, Owner, Spec, to_json

if TYPE_CHECKING:
    import apsw

    from .registry import Registry

FILE = "outbox.db"

KEPT_FOR = 7 * 86400.0
"""Seconds an event waits for its acknowledgement."""

CURSOR_KEPT_FOR = 90 * 86400.0
"""Seconds that the cursor of a process in a sandbox is kept after its last event."""

KEPT = 1000
"""Events that wait for one owner. The oldest matches go first, completions last."""

_VERSION = 1
_BUSY = 10_000
"""Milliseconds to wait for another writer."""
_ROUNDS = 256
"""Transactions of one collect, each with a piece of every process's events."""

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session_key TEXT,
    completion INTEGER NOT NULL,
    collected_at REAL NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS of_owner ON events (session_key, id);
CREATE INDEX IF NOT EXISTS by_age ON events (collected_at);
CREATE TABLE IF NOT EXISTS cursors (
    source TEXT NOT NULL,
    process TEXT NOT NULL,
    offset INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    moved_at REAL NOT NULL,
    PRIMARY KEY (source, process)
);
CREATE TABLE IF NOT EXISTS flows (owner TEXT PRIMARY KEY, silence_until REAL, state TEXT NOT NULL);
PRAGMA user_version = {_VERSION};
"""

_KNOWN = {item.name for item in fields(Event)} - {"id"}
_Cursor = tuple[int, int]
"""Bytes of events.jsonl that were taken, and the last number among them."""

_HERE = ""
"""The source that is the directory of the outbox itself."""


class OutboxError(ProcessError):
    """The outbox cannot be read or written. Nothing is lost: events stay with their processes."""

    code = "outbox"


class Told(Protocol):
    """What a process somewhere else has told: lines of its events.jsonl, and the offset behind them."""

    @property
    def session_id(self) -> str: ...
    @property
    def command(self) -> str: ...
    @property
    def owner(self) -> Owner: ...
    @property
    def events(self) -> Sequence[dict[str, Any]]: ...
    @property
    def cursor(self) -> int: ...


class EventSource(Protocol):
    """A registry somewhere else, as far as its events go."""

    def collect_events(self, cursors: Mapping[str, int], timeout: float = 0.0) -> Sequence[Told]: ...

    def events_taken(self, cursors: Mapping[str, int]) -> None: ...


@dataclass
class _News:
    """What one process has told since its cursor."""

    process: str
    before: _Cursor
    after: _Cursor
    events: list[tuple[float, Event]] = field(default_factory=list)
    """With a time that never goes back, whatever the clock did."""


class Outbox:
    """The events of the processes below `directory`, each once, for the owner that asked.

    Any number of outboxes may work on one directory at once, and from several threads.
    """

    def __init__(
        self,
        directory: Path,
        *,
        tail: Callable[[str], str] | None = None,
        redactor: Callable[[Spec], Redactor] | None = None,
        settle: Callable[[], object] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`tail`: the end of a process's output by its id, for its completion. `redactor`: what masks the
        secrets of a process. `settle`: looks at all processes, so that a lost one has its completion."""
        self._directory = directory
        self._path = directory / FILE
        self._tail = tail
        self._redactor = redactor or (lambda spec: Redactor(spec.secrets))
        self._settle = settle
        self._clock = clock
        self._lock = threading.RLock()
        self._connection: apsw.Connection | None = None
        self._inode = 0
        self._taken: dict[str, int] = {}
        self.told: Counter[str] = Counter()
        """Events that this outbox has taken, by type, and `suppressed`: matches that no event was made of."""
        self._sources: set[str] = set()
        """Those that have heard from here what was taken."""

    def collect(self) -> int:
        """Take what keepers have told since the last time; how many events that gave.

        Raises `OutboxError`; what could not be taken is taken by the next collect.
        """
        if self._settle is not None:
            with suppress(ProcessError, OSError):
                self._settle()
        if not self._directory.is_dir():
            return 0
        count = 0
        with self._lock:
            for _ in range(_ROUNDS):
                known = self._cursors(_HERE)
                try:
                    news = list(self._news(known))
                except OSError as error:
                    raise OutboxError(f"{self._directory} cannot be read: {error.strerror}") from error
                gone = [name for name in known if not (self._directory / name).is_dir()]
                if not (news or gone or self._due()):
                    break
                with self._writing() as connection:
                    admitted, _ = self._admit(connection, _HERE, news, gone)
                count += self._count(admitted)
                for item in news:
                    self._note_taken(item.process, item.after[0])
        return count

    def take(self, source: str, environment: EventSource, timeout: float = 0.0) -> int:
        """Collect from processes that are kept elsewhere, by the registry of a sandbox named `source`.

        Waits `timeout` seconds for the first news; how many events they gave. Raises what the environment
        raises, and `OutboxError`. Who owns a process is what the environment says.
        """
        if not source:
            raise ValueError("a source has a name")
        known = self._cursors(source)
        found = environment.collect_events({name: offset for name, (offset, _) in known.items()}, timeout)
        news = [self._from_elsewhere(item, known.get(item.session_id, (0, 0))) for item in found]
        with self._lock, self._writing() as connection:
            events, fresh = self._admit(connection, source, news, [])
        self._count(events)
        taken = {item.process: item.after[0] for item in fresh}
        if source not in self._sources:  # whoever took the others may not have lived to say so
            taken = {name: offset for name, (offset, _) in known.items()} | taken
        environment.events_taken(taken)
        self._sources.add(source)
        return len(events)

    def pending(self, session_key: str | None, after_id: int = 0, limit: int = 100) -> list[Event]:
        """The owner's unacknowledged events with ids greater than `after_id`, oldest first."""
        if not self._path.exists():
            return []
        with self._reading() as connection:
            rows: list[Any] = connection.execute(
                "SELECT id, body FROM events WHERE session_key IS ? AND id > ? ORDER BY id LIMIT ?",
                (session_key, after_id, max(0, limit)),
            ).fetchall()
        return [_event(number, body) for number, body in rows]

    def acknowledge(self, session_key: str | None, ids: Iterable[int]) -> int:
        """The owner has them: they go. How many did; those of others and unknown ones stay."""
        wanted = [number for number in ids if -(1 << 63) <= number < 1 << 63]
        if not wanted or not self._path.exists():
            return 0
        with self._lock, self._writing() as connection:
            before = connection.total_changes()
            connection.executemany(
                "DELETE FROM events WHERE id = ? AND session_key IS ?",
                [(number, session_key) for number in wanted],
            )
            return int(connection.total_changes() - before)

    def wait(self, session_key: str | None, timeout: float, after_id: int = 0) -> list[Event]:
        """`pending`, as soon as there is something, after `timeout` seconds at the latest.

        Woken by whoever collects; it does not collect.
        """
        from hermes_cli.service_manager.watch import REPLACED, Watch

        deadline = time.monotonic() + timeout
        with self._reading():
            pass  # there is a file to watch now
        with Watch(self._path, REPLACED) as watch:
            while True:
                watch.arm()
                found = self.pending(session_key, after_id)
                left = deadline - time.monotonic()
                if found or left <= 0:
                    return found
                watch.wait(left)

    def waiting(self) -> int:
        """How many events wait, for whomever."""
        if not self._path.exists():
            return 0
        with self._reading() as connection:
            return int(connection.execute("SELECT count(*) FROM events").get)

    def deadline(self) -> float | None:
        """When, on the clock, the next silence ends and a collect has something to say."""
        if not self._path.exists():
            return None
        with self._reading() as connection:
            return self._silence(connection)

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    # Taking what the keepers wrote

    def _cursors(self, source: str) -> dict[str, _Cursor]:
        with self._reading() as connection:
            return self._cursors_in(connection, source)

    @staticmethod
    def _cursors_in(connection: apsw.Connection, source: str) -> dict[str, _Cursor]:
        query = "SELECT process, offset, seq FROM cursors WHERE source = ?"
        rows: list[Any] = connection.execute(query, (source,)).fetchall()
        return {process: (offset, seq) for process, offset, seq in rows}

    def _news(self, known: dict[str, _Cursor]) -> Iterator[_News]:
        for entry in sorted(os.scandir(self._directory), key=lambda entry: entry.name):
            if not is_id(entry.name) or not entry.is_dir(follow_symlinks=False):
                continue
            before = known.get(entry.name, (0, 0))
            directory = self._directory / entry.name
            found = read_lines(directory, before[0])
            if found is None:
                continue
            lines, offset = found
            if offset == before[0]:
                self._note_taken(entry.name, offset)
                continue
            spec = records.read_spec(directory)
            if spec is not None and spec.id == entry.name:
                yield self._here(spec, directory, before, lines, offset)

    def _here(
        self, spec: Spec, directory: Path, before: _Cursor, lines: list[dict[str, Any]], offset: int
    ) -> _News:
        for line in lines:
            if line.get("type") != "completion":
                continue
            if line.get("state") is None and (status := records.read_status(directory)) is not None:
                line |= {"state": status.state, "exit_code": status.exit_code, "signal": status.signal}
            line["output"] = None
            if self._tail is not None:
                with suppress(ProcessError, OSError):
                    line["output"] = self._tail(spec.id)
        return self._of(spec, before, lines, offset)

    def _from_elsewhere(self, news: Told, before: _Cursor) -> _News:
        spec = Spec(news.session_id, news.command, (), "", self._clock(), owner=news.owner)
        return self._of(spec, before, list(news.events), news.cursor)

    def _of(self, spec: Spec, before: _Cursor, lines: list[dict[str, Any]], offset: int) -> _News:
        redactor = self._redactor(spec)
        command = redactor.text(spec.command)
        seq, latest = before[1], 0.0
        news = _News(spec.id, before, before)
        for line in lines:
            number = line.get("seq")
            if isinstance(number, int) and number <= seq:
                continue  # told already: the file was put back from a copy
            seq = number if isinstance(number, int) else seq + 1
            event = event_from(line, spec, command, redactor, self._clock())
            if event is not None:
                latest = max(latest, event.created_at)
                news.events.append((latest, event))
        news.after = (offset, seq)
        return news

    # Admission: one transaction for cursors, limits and events

    def _admit(
        self, connection: apsw.Connection, source: str, news: list[_News], gone: list[str]
    ) -> tuple[list[Event], list[_News]]:
        """The events that came of it, and the news that nobody else had taken."""
        now = self._clock()
        known = self._cursors_in(connection, source)
        # What another collector has taken meanwhile is not ours: the next round looks again.
        fresh = [item for item in news if known.get(item.process, (0, 0)) == item.before]
        states: list[Any] = connection.execute("SELECT owner, state FROM flows").fetchall()
        flows = {owner: Flow.from_json(state) for owner, state in states}
        admitted: list[Event] = []
        for _, event in sorted((timed for item in fresh for timed in item.events), key=itemgetter(0)):
            flow = flows.setdefault(_owner_key(event.session_key), Flow())
            admitted += flow.admit(event, now)
        for flow in flows.values():
            admitted += flow.release(now)
        for event in admitted:
            connection.execute(
                "INSERT INTO events (session_key, completion, collected_at, body) VALUES (?, ?, ?, ?)",
                (event.session_key, event.type == "completion", now, json.dumps(to_json(event))),
            )
        for item in fresh:
            row = (source, item.process, *item.after, now)
            connection.execute("REPLACE INTO cursors VALUES (?, ?, ?, ?, ?)", row)
        connection.executemany(
            "DELETE FROM cursors WHERE source = ? AND process = ?", [(source, name) for name in gone]
        )
        for owner, flow in flows.items():
            if flow.idle(now):
                connection.execute("DELETE FROM flows WHERE owner = ?", (owner,))
            else:
                connection.execute(
                    "REPLACE INTO flows VALUES (?, ?, ?)", (owner, flow.silence_until, flow.to_json())
                )
        self._forget(connection, now, {event.session_key for event in admitted})
        return admitted, fresh

    def _count(self, events: list[Event]) -> int:
        """Take note of what is in the database for good; how many those are."""
        for event in events:
            self.told[event.type] += 1
            self.told["suppressed"] += event.suppressed or 0
        return len(events)

    def _forget(self, connection: apsw.Connection, now: float, owners: set[str | None]) -> None:
        connection.execute("DELETE FROM events WHERE collected_at < ?", (now - KEPT_FOR,))
        connection.execute(
            "DELETE FROM cursors WHERE source != ? AND moved_at < ?", (_HERE, now - CURSOR_KEPT_FOR)
        )
        for owner in owners:
            connection.execute(
                "DELETE FROM events WHERE session_key IS ?1 AND id NOT IN ("
                "SELECT id FROM events WHERE session_key IS ?1 ORDER BY completion DESC, id DESC LIMIT ?2)",
                (owner, KEPT),
            )

    def _due(self) -> bool:
        """Whether a silence has ended, or an event waits too long."""
        now = self._clock()
        with self._reading() as connection:
            silence = self._silence(connection)
            oldest = connection.execute("SELECT min(collected_at) FROM events").get
        # One that is too far off was made before the clock went back.
        ended = silence is not None and not now < silence <= now + SILENCE
        return ended or (oldest is not None and oldest < now - KEPT_FOR)

    @staticmethod
    def _silence(connection: apsw.Connection) -> float | None:
        value = connection.execute("SELECT min(silence_until) FROM flows").get
        return None if value is None else float(value)

    def _note_taken(self, process: str, offset: int) -> None:
        """Beside the events, for who removes old processes; only ever written after it is true."""
        if self._taken.get(process) == offset:
            return
        path = self._directory / process / records.TAKEN
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        with suppress(OSError), open(os.open(path, flags, 0o600), "w") as file:  # noqa: PTH123
            file.write(str(offset))
            self._taken[process] = offset

    # The database

    @contextmanager
    def _writing(self) -> Iterator[apsw.Connection]:
        with self._reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if not connection.get_autocommit():
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _reading(self) -> Iterator[apsw.Connection]:
        import apsw

        with self._lock:
            try:
                if self._connection is not None and _inode(self._path) != self._inode:
                    self.close()  # it was removed: what is on disk now is the outbox
                if self._connection is None:
                    self._connection = self._open()
                    self._inode = _inode(self._path)
                yield self._connection
            except (apsw.NotADBError, apsw.CorruptError) as error:
                raise OutboxError(
                    f"{self._path} is damaged ({error}); remove it, and what is still kept is told again"
                ) from error
            except (apsw.Error, OSError) as error:
                raise OutboxError(
                    f"{self._path} cannot be used: {error}; nothing is lost, it is tried again"
                ) from error

    def _open(self) -> apsw.Connection:
        import apsw

        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Never opened when it is there: closing it would drop the locks of this process's other connections.
        with suppress(FileExistsError):
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        connection = apsw.Connection(os.fspath(self._path))
        try:
            connection.set_busy_timeout(_BUSY)
            connection.execute("PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = FULL")
            version = connection.pragma("user_version")
            if version > _VERSION:
                raise OutboxError(
                    f"{self._path} was made by a newer Hermes (version {version}); upgrade this one"
                )
            if version < _VERSION:
                connection.execute(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT")
        except BaseException:
            connection.close()
            raise
        return connection


def outbox_of(registry: Registry, directory: Path) -> Outbox:
    """The outbox of a profile's processes; `directory` is the one the registry works on."""
    return Outbox(
        directory,
        tail=lambda process: registry.poll(process).output_preview,
        redactor=registry.redactor,
        settle=registry.running_count,
    )


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0


def _event(number: int, body: str) -> Event:
    found = json.loads(body)
    return Event(id=number, **{key: found.get(key) for key in _KNOWN})


def _owner_key(session_key: str | None) -> str:
    return json.dumps(session_key)
