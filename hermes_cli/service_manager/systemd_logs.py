"""What a unit wrote: from the journal, without systemd's own words about it, or from its own file."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import HostCommandError, NoBusError, PermissionDeniedError, ServiceError
from .logs import NOWHERE, RELOOK, FileLog, LogReader, follow_log, numbered_parts, read_log, stamp
from .systemctl import Systemctl
from .systemd_layout import Installation
from .systemd_unit import output_of

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

_BLOCK = 1 << 16
_BATCH = 1000
"""Lines of the past given out at once."""

_ACTION = "read the log of"

_TOLD_BY_SYSTEMD = ("UNIT", "USER_UNIT")
"""Fields of messages about a unit by whatever starts and stops it: systemd.journal-fields(7)."""

_UNREADABLE = ("insufficient permissions", "not seeing messages from other users")

_JOIN_A_GROUP = (
    "only root and the groups systemd-journal and adm may: put sudo before it, or join one of them"
)
_NO_JOURNAL_OF_ONES_OWN = (
    "this host keeps no journal of its users' own, which takes Storage=persistent in journald.conf; "
    f"as it is, {_JOIN_A_GROUP}"
)


def unit_log(files: Installation, systemctl: Systemctl, lines: int, *, follow: bool) -> Iterator[str]:
    """The last `lines` lines, oldest first, and then new ones as they come if `follow`.

    Raises at once: `PermissionDeniedError`, `NoBusError` without journalctl, `HostCommandError`.
    """
    own = _own_file(files)
    if own is not None:
        read = follow_log if follow else read_log
        return read(own.parent, lines, numbered_parts(own.name))
    reader = JournalLog(_Journal(files, systemctl), lines=lines, stamped=False)
    return _lines_of(reader, reader.read(), follow)


def open_unit_log(
    files: Installation, systemctl: Systemctl, lines: int | None, since: float, cursor: str | None
) -> LogReader:
    """The reader of what a unit wrote. The journal's raises with its first `read`, the file's here."""
    own = _own_file(files)
    if own is not None:
        parts = numbered_parts(own.name)
        return FileLog(own.parent, lines=lines, since=since, cursor=cursor, parts=parts)
    return JournalLog(_Journal(files, systemctl), lines=lines, since=since, cursor=cursor)


def _own_file(files: Installation) -> Path | None:
    """Where the unit writes, if not into the journal. Raises `PermissionDeniedError`."""
    unit = ""
    with suppress(OSError):
        unit = files.path.read_text("utf-8", "surrogateescape")
    own = output_of(unit)
    if own is not None and own.exists() and not os.access(own, os.R_OK):
        raise PermissionDeniedError(
            files.name, f"read {own}, the log of", "ask as who may, or put sudo before it"
        )
    return own


def _lines_of(reader: LogReader, first: list[str], follow: bool) -> Iterator[str]:
    with closing(reader):
        yield from first
        while follow:
            reader.arm()
            while found := reader.read():
                yield from found
            reader.wait(RELOOK)


class JournalLog:
    """The reader of one unit's part of the journal. What is new comes from a journalctl of its own."""

    def __init__(
        self,
        journal: _Journal,
        *,
        lines: int | None = 100,
        since: float = 0.0,
        cursor: str | None = None,
        stamped: bool = True,
    ) -> None:
        """As `FileLog`. `stamped`: each line begins with its time."""
        if cursor is not None and "=" not in cursor:  # of a file, or of nowhere
            self.skipped, cursor = cursor != NOWHERE, None
        else:
            self.skipped = False  # the journal goes on with what is next
        self._journal = journal
        self._lines = lines
        self._since = since
        self._stamped = stamped
        self._cursor = cursor
        self._past_is_over = cursor is not None
        self._past: Generator[_Entry, None, None] | None = None
        self._following: _Following | None = None

    @property
    def cursor(self) -> str:
        return self._cursor or NOWHERE

    def read(self) -> list[str]:
        if not self._past_is_over:
            return self._read_past()
        return self._texts(self._following.read()) if self._following is not None else []

    def arm(self) -> None:
        if self._past_is_over and self._following is None:
            self._following = _Following(self._journal, self._cursor)

    def fileno(self) -> int:
        return self._following.fileno() if self._following is not None else -1

    def wait(self, timeout: float) -> None:
        if self._following is None:
            self.arm()
        if self.fileno() >= 0:
            import select

            select.select([self.fileno()], [], [], timeout)

    def close(self) -> None:
        if self._past is not None:
            self._past.close()
        if self._following is not None:
            self._following.close()
            self._following = None

    def _read_past(self) -> list[str]:
        if self._lines is not None:
            self._past_is_over = True
            found, self._cursor = self._journal.tail(self._lines)
            return self._texts(found)
        if self._past is None:
            self._past = self._journal.past(self._since)
        found = list(islice(self._past, _BATCH))
        self._past_is_over = not found
        return self._texts(found)

    def _texts(self, entries: list[_Entry]) -> list[str]:
        if entries:
            self._cursor = entries[-1].cursor
        return [f"{stamp(one.at)}  {one.text}" if self._stamped else one.text for one in entries]


class _Entry(NamedTuple):
    """One line of the unit's own."""

    text: str
    at: float
    """Seconds since the epoch."""
    cursor: str


class _Following:
    """A journalctl that waits for what is new, read without waiting."""

    def __init__(self, journal: _Journal, cursor: str | None) -> None:
        self._journal = journal
        place = [f"--after-cursor={cursor}"] if cursor else []
        self._process = journal.run("--follow", "--no-tail", *place)
        assert self._process.stdout is not None
        self._pipe = self._process.stdout
        os.set_blocking(self._pipe.fileno(), False)
        self._rest = b""

    def fileno(self) -> int:
        return self._pipe.fileno()

    def read(self) -> list[_Entry]:
        """Raises `ServiceError` where journalctl has ended."""
        while True:
            try:
                data = os.read(self._pipe.fileno(), _BLOCK)
            except BlockingIOError:
                return []
            if not data:
                self._journal.check(self._process, nothing=True)
                raise ServiceError("journalctl ended, although it was to go on")
            *lines, self._rest = (self._rest + data).split(b"\n")
            if found := [entry for line in lines if (entry := _entry(line)) is not None]:
                return found

    def close(self) -> None:
        _end(self._process)


class _Journal:
    """journalctl, asked about one unit."""

    def __init__(self, files: Installation, systemctl: Systemctl) -> None:
        self._name = files.name
        self._level = files.layout.level
        self._environment = {**os.environ, **systemctl.environment()}
        fields = ",".join(("MESSAGE", *_TOLD_BY_SYSTEMD))
        self._argv = ["journalctl", "--no-pager", "--all", "--output=json", f"--output-fields={fields}"]
        # What processes of the unit wrote, which is not all that there is about it.
        if self._level == "user":
            self._match = [f"_SYSTEMD_USER_UNIT={files.unit}", f"_UID={os.geteuid()}"]
        else:
            self._match = [f"_SYSTEMD_UNIT={files.unit}"]

    def tail(self, lines: int) -> tuple[list[_Entry], str | None]:
        """The last lines, oldest first, and the place in the journal after them; None if it is empty."""
        found: list[_Entry] = []
        cursor = None
        # Newest first: how many entries of systemd's own lie between is not known before.
        for record in self._records("--reverse"):
            cursor = cursor or str(record.get("__CURSOR", "")) or None
            if len(found) >= max(0, lines):
                break
            entry = _as_entry(record)
            if entry is not None:
                found.append(entry)
        return found[::-1], cursor

    def past(self, since: float) -> Generator[_Entry, None, None]:
        """All lines since then, oldest first."""
        with closing(self._records(f"--since=@{since:.6f}")) as records:
            for record in records:
                entry = _as_entry(record)
                if entry is not None:
                    yield entry

    def run(self, *words: str) -> subprocess.Popen[bytes]:
        import subprocess

        try:
            return subprocess.Popen(
                [*self._argv, *words, *self._match],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except FileNotFoundError as error:
            raise NoBusError(self._name, _ACTION, "journalctl is not installed here") from error

    def check(self, process: subprocess.Popen[bytes], *, nothing: bool) -> None:
        """Raise what a journalctl that has ended failed with."""
        assert process.stderr is not None
        said = process.stderr.read(1 << 16).decode(errors="replace")
        code = process.wait()
        unreadable = _UNREADABLE if self._level == "system" else _UNREADABLE[:1]
        if nothing and any(words in said for words in unreadable):
            remedy = _JOIN_A_GROUP if self._level == "system" else _NO_JOURNAL_OF_ONES_OWN
            raise PermissionDeniedError(self._name, _ACTION, remedy)
        if code != 0:
            raise HostCommandError(self._name, _ACTION, "journalctl", code, said)

    def _records(self, *words: str) -> Generator[dict[str, Any], None, None]:
        """What journalctl prints to its end. Raises what it failed with."""
        process = self.run(*words)
        nothing = True
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if (record := _record(line)) is not None:
                    nothing = False
                    yield record
            self.check(process, nothing=nothing)
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    process.wait()


def _entry(line: bytes) -> _Entry | None:
    record = _record(line)
    return _as_entry(record) if record is not None else None


def _record(line: bytes) -> dict[str, Any] | None:
    if not line.startswith(b"{"):
        return None  # "-- No entries --"
    try:
        record: dict[str, Any] = json.loads(line)
    except ValueError as error:
        raise ServiceError(f"journalctl said something else than JSON: {line[:80]!r}") from error
    return record


def _as_entry(record: dict[str, Any]) -> _Entry | None:
    """None for one of systemd's own. What is no text to journald comes as a list of bytes."""
    message = record.get("MESSAGE")
    if any(field in record for field in _TOLD_BY_SYSTEMD) or message is None:
        return None
    if isinstance(message, list):
        if all(isinstance(part, int) for part in message):
            message = bytes(message).decode(errors="replace")
        else:
            message = message[0]  # the field was there more than once
    at = str(record.get("__REALTIME_TIMESTAMP", "0"))
    return _Entry(str(message), int(at) / 1e6 if at.isdecimal() else 0.0, str(record.get("__CURSOR", "")))
