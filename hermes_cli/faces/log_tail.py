"""A gateway's log as it grows, wherever its service manager keeps it: no line lost or seen twice."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from hermes_cli.home import Home
from hermes_cli.service_manager.errors import ServiceError
from hermes_cli.service_manager.logs import RELOOK, FileLog, KeepsLogs, LogReader
from hermes_cli.service_manager.names import service_name
from hermes_cli.service_manager.types import ServiceManager

_GATHER = 0.05
"""Seconds in which lines gather before the next batch: a flood is not one event per line."""

_CURSOR = re.compile(r"\d{1,20}-\d{1,20}|[a-z]=[0-9a-f]{1,32}(?:;[a-z]=[0-9a-f]{1,32}){1,9}")
"""Of a file, and of systemd's journal (systemd.journal-fields(7))."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a log, for whoever goes on reading it later."""

    text: str

    def __str__(self) -> str:
        return self.text

    @classmethod
    def parse(cls, text: str) -> Cursor | None:
        """The cursor `str()` wrote, or None for anything else."""
        return cls(text) if _CURSOR.fullmatch(text) else None


class LogTail:
    """The lines of a log, oldest first. Not safe to share between threads.

    Begins `lines` lines before the end, or where `cursor` says. A cursor whose file is gone begins
    like none at all: `skipped` is then true.
    """

    def __init__(self, source: Path | LogReader, *, lines: int = 200, cursor: Cursor | None = None) -> None:
        """`source`: an s6-log directory, or a reader, which has its own beginning."""
        text = str(cursor) if cursor is not None else None
        self.reader = FileLog(source, lines=lines, cursor=text) if isinstance(source, Path) else source
        self._failed = False

    @property
    def skipped(self) -> bool:
        return self.reader.skipped

    @property
    def cursor(self) -> Cursor:
        """Just behind the last line that `read` gave out."""
        return Cursor(self.reader.cursor)

    def read(self) -> list[str]:
        """The lines written since the last call, without their ends; some of them where there are many.

        An empty list means that there is nothing new. A missing file is an empty one; a log that cannot be
        read says so, once, in a line of its own.
        """
        if self._failed:
            return []
        try:
            return self.reader.read()
        except (OSError, ServiceError) as error:
            self._failed = True
            return [f"(this log cannot be read any further: {error})"]

    def close(self) -> None:
        self.reader.close()


def gateway_tail(home: Home, *, lines: int = 200, cursor: Cursor | None = None) -> LogTail:
    """The log of the gateway of `home`, from whatever keeps it here: files, or systemd's journal.

    May take some milliseconds (journalctl): on an event loop, call it and the first `read` in a thread.
    """
    from hermes_cli.gateway.levels import manager_here

    manager = None
    with contextlib.suppress(ServiceError):  # a host with nothing to keep gateways up
        manager = manager_here()
    text = str(cursor) if cursor is not None else None
    return LogTail(open_gateway_log(home, manager, lines=lines, cursor=text))


def open_gateway_log(
    home: Home,
    manager: ServiceManager | None,
    *,
    lines: int | None,
    since: float = 0.0,
    cursor: str | None = None,
) -> LogReader:
    """The reader of that log; see `KeepsLogs`. Of a gateway that was never installed: of its directory."""
    kept = open_kept_log(home, manager, lines=lines, since=since, cursor=cursor)
    return kept or FileLog(home.gateway_log, lines=lines, since=since, cursor=cursor)


def open_kept_log(
    home: Home,
    manager: ServiceManager | None,
    *,
    lines: int | None,
    since: float = 0.0,
    cursor: str | None = None,
) -> LogReader | None:
    """The reader of the log that `manager` keeps; None where it keeps none for this gateway, or none yet."""
    if isinstance(manager, KeepsLogs):
        with contextlib.suppress(ServiceError):
            return manager.open_log(service_name(home.profile), lines=lines, since=since, cursor=cursor)
    return None


async def follow(tail: LogTail) -> AsyncGenerator[list[str], None]:
    """Batches of the lines of `tail`, never empty, as they come, until closed. Closes `tail`."""
    with contextlib.closing(tail):
        while True:
            tail.reader.arm()
            while lines := tail.read():
                yield lines
                await asyncio.sleep(_GATHER)
            await _readable(tail.reader.fileno(), RELOOK)


async def _readable(descriptor: int, timeout: float) -> None:
    """Return when `descriptor` is readable, or after `timeout` seconds; -1 never is."""
    if descriptor < 0:
        await asyncio.sleep(timeout)
        return
    loop = asyncio.get_running_loop()
    happened = asyncio.Event()
    loop.add_reader(descriptor, happened.set)
    try:
        async with asyncio.timeout(timeout):
            await happened.wait()
    except TimeoutError:
        pass
    finally:
        loop.remove_reader(descriptor)
