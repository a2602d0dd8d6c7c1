"""Whether all runs of a home have ended, as a small file: a gateway that starts asks it, and not the store.

It may say too little, never too much. It is written where the store was seen without an open run, with how
the store's file looked then, and taken away, durably, before a run is made. So after a crash at any point,
with a store that another version wrote to, and with one from a copy, it says nothing: the store is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable

from hermes_cli.home import CorruptFileError, Home, Record, load, save, sync_directory

from .errors import StoreError


class SettledRecord(Record, kw_only=True):
    """`runs_settled.json`: how state.db looked when it had no open run, and nothing stood in its WAL."""

    inode: int
    size: int
    modified_ns: int
    tended_at: float
    """When what is old was last removed: seconds since the epoch, 0 for never."""


def settled(home: Home) -> SettledRecord | None:
    """What says that no run of `home` is open; None where one may be."""
    try:
        record = load(home.runs_settled, SettledRecord)
    except CorruptFileError:
        return None
    if record is None or (record.inode, record.size, record.modified_ns) != _look(home):
        return None
    return record


def settle(home: Home, tended_at: float) -> bool:
    """Write down that no run is open, if that is so. Raises `StoreError`, OSError."""
    import apsw

    from .store import open_connection

    # The order is what makes it true: a run made behind the look is in the WAL, or has changed the file.
    with contextlib.closing(open_connection(home.state_db)) as connection:
        try:
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            look = _look(home)
            some = connection.execute("SELECT 1 FROM runs WHERE terminal IS NULL LIMIT 1").fetchall()
        except apsw.BusyError:
            return False  # somebody reads: another time
        except apsw.Error as error:
            raise StoreError(f"{home.state_db} could not be read: {error}; see 'hermes doctor'") from error
    if look is None or some:
        return False
    inode, size, modified = look
    save(home.runs_settled, SettledRecord(inode=inode, size=size, modified_ns=modified, tended_at=tended_at))
    return True


def unsettle(home: Home) -> None:
    """Take the word back, and return when no power cut can bring it back. Raises `StoreError`."""
    try:
        home.runs_settled.unlink(missing_ok=True)
        sync_directory(home.path)
    except OSError as error:
        raise StoreError(
            f"{home.runs_settled} could not be removed ({error.strerror}), and no run begins before it is"
        ) from error


class Settlement:
    """Keeps the file true beside the runs that one gateway makes."""

    def __init__(self, home: Home) -> None:
        """The file is gone: see `unsettle`."""
        self._home = home
        self._exclusive = asyncio.Lock()
        self._written = False
        self._making = 0

    @contextlib.asynccontextmanager
    async def making(self) -> AsyncIterator[None]:
        """Around the making of a run, up to where it is in the gateway's hands. Raises `StoreError`."""
        async with self._exclusive:
            if self._written:
                await asyncio.to_thread(unsettle, self._home)
                self._written = False
            self._making += 1
        try:
            yield
        finally:
            self._making -= 1

    async def settle(self, quiet: Callable[[], bool], tended_at: float) -> bool:
        """Write the file where the gateway is `quiet` and the store agrees. Raises `StoreError`, OSError."""
        async with self._exclusive:
            if self._making or not quiet():
                return False
            if self._written and settled(self._home) is not None:
                return True
            self._written = True  # from here on it may be there
            return await asyncio.to_thread(settle, self._home, tended_at)


def _look(home: Home) -> tuple[int, int, int] | None:
    """How state.db looks; None where there is none, or where its WAL has something that it lacks."""
    try:
        found = os.lstat(home.state_db)
    except OSError:
        return None
    try:
        if os.lstat(f"{home.state_db}-wal").st_size:
            return None
    except FileNotFoundError:
        pass
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
