"""The tables of state.db, and how each earlier version becomes this one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import StoreError

if TYPE_CHECKING:
    import apsw

VERSION = 1

_V1 = """
CREATE TABLE sessions (
  id TEXT PRIMARY KEY,
  created_at REAL NOT NULL,
  last_active_at REAL NOT NULL,
  title TEXT NOT NULL DEFAULT '',
  reset_at REAL
) STRICT;

CREATE TABLE runs (
  n INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  session TEXT NOT NULL REFERENCES sessions (id),
  status TEXT NOT NULL CHECK (status IN ('queued', 'running', 'awaiting_approval', 'awaiting_clarify',
    'cancelling', 'completed', 'failed', 'cancelled', 'interrupted', 'expired')),
  terminal TEXT CHECK (terminal IN ('completed', 'failed', 'cancelled', 'interrupted', 'expired')),
  last_seq INTEGER NOT NULL DEFAULT 0,
  first_seq INTEGER NOT NULL DEFAULT 1,
  created_at REAL NOT NULL,
  ended_at REAL,
  request TEXT NOT NULL,
  record TEXT NOT NULL,
  snapshot TEXT,
  CHECK ((terminal IS NULL) = (status NOT IN ('completed', 'failed', 'cancelled', 'interrupted', 'expired')))
) STRICT;
CREATE INDEX runs_of_session ON runs (session, n);
CREATE INDEX open_runs ON runs (n) WHERE terminal IS NULL;
CREATE INDEX ended_runs ON runs (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX whole_runs ON runs (ended_at) WHERE ended_at IS NOT NULL AND first_seq < last_seq;
CREATE UNIQUE INDEX one_active_run ON runs (session)
  WHERE status IN ('running', 'awaiting_approval', 'awaiting_clarify', 'cancelling');

CREATE TABLE events (
  run INTEGER NOT NULL REFERENCES runs (n),
  seq INTEGER NOT NULL CHECK (seq > 0),
  terminal INTEGER NOT NULL DEFAULT 0 CHECK (terminal IN (0, 1)),
  body BLOB NOT NULL,
  PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX one_terminal_event ON events (run) WHERE terminal = 1;
CREATE TRIGGER nothing_after_the_end BEFORE INSERT ON events
  WHEN (SELECT terminal FROM runs WHERE n = NEW.run) IS NOT NULL
  BEGIN SELECT RAISE (ABORT, 'the run has ended'); END;

CREATE TABLE idempotency (
  key TEXT PRIMARY KEY,
  digest BLOB NOT NULL,
  run INTEGER NOT NULL REFERENCES runs (n),
  created_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX keys_of_run ON idempotency (run);

CREATE TABLE lease (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  holder TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  taken_at REAL NOT NULL,
  beat_at REAL NOT NULL
) STRICT;
"""

MIGRATIONS = (_V1,)
"""Script number N takes version N to N + 1. A released one is never changed."""


def migrate(connection: apsw.Connection, target: int = VERSION) -> None:
    """Bring the database to `target`, each step in a transaction; two at once are one after the other.

    Raises `StoreError` for one that a newer Hermes wrote.
    """
    while (version := _version(connection)) < target:
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = _version(connection)  # another may have been here while this one waited
            if version < target:
                for _ in connection.execute(MIGRATIONS[version]):
                    pass
                connection.pragma("user_version", version + 1)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _version(connection: apsw.Connection) -> int:
    version: int = connection.pragma("user_version")
    if version > VERSION:
        raise StoreError(
            f"{connection.filename} is of version {version}, and this Hermes knows up to {VERSION}: "
            "use the newer Hermes that wrote it"
        )
    return version
