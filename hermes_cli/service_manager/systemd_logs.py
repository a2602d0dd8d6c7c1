"""What a unit wrote: from the journal, without systemd's own words about it, or from its own file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .errors import HostCommandError, NoBusError, PermissionDeniedError, ServiceError
from .logs import follow_log, numbered_parts, read_log
from .systemctl import Systemctl
from .systemd_layout import Installation
from .systemd_unit import output_of

if TYPE_CHECKING:
    import subprocess

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
    unit = ""
    with suppress(OSError):
        unit = files.path.read_text("utf-8", "surrogateescape")
    own = output_of(unit)
    if own is not None:
        if own.exists() and not os.access(own, os.R_OK):
            raise PermissionDeniedError(
                files.name, f"read {own}, the log of", "ask as who may, or put sudo before it"
            )
        read = follow_log if follow else read_log
        return read(own.parent, lines, numbered_parts(own.name))
    journal = _Journal(files, systemctl)
    tail, cursor = journal.tail(lines)
    return journal.follow(tail, cursor) if follow else iter(tail)


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

    def tail(self, lines: int) -> tuple[list[str], str | None]:
        """The last lines, oldest first, and the place in the journal after them; None if it is empty."""
        found: list[str] = []
        cursor = None
        # Newest first: how many entries of systemd's own lie between is not known before.
        with self._run("--reverse") as process:
            try:
                for entry in _entries(process):
                    cursor = cursor or str(entry.get("__CURSOR", "")) or None
                    if len(found) >= max(0, lines):
                        break
                    message = _message(entry)
                    if message is not None:
                        found.append(message)
                else:
                    self._check(process, nothing=cursor is None)
            finally:
                process.kill()
        return found[::-1], cursor

    def follow(self, tail: list[str], cursor: str | None) -> Iterator[str]:
        yield from tail
        place = [f"--after-cursor={cursor}"] if cursor else []
        with self._run("--follow", "--no-tail", *place) as process:
            try:
                for entry in _entries(process):
                    message = _message(entry)
                    if message is not None:
                        yield message
                self._check(process, nothing=True)
            finally:
                process.kill()

    def _run(self, *words: str) -> subprocess.Popen[str]:
        import subprocess

        try:
            return subprocess.Popen(
                [*self._argv, *words, *self._match],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
            )
        except FileNotFoundError as error:
            raise NoBusError(self._name, _ACTION, "journalctl is not installed here") from error

    def _check(self, process: subprocess.Popen[str], *, nothing: bool) -> None:
        """Raise what a journalctl that has ended failed with."""
        assert process.stderr is not None
        said = process.stderr.read(1 << 16)
        code = process.wait()
        unreadable = _UNREADABLE if self._level == "system" else _UNREADABLE[:1]
        if nothing and any(words in said for words in unreadable):
            remedy = _JOIN_A_GROUP if self._level == "system" else _NO_JOURNAL_OF_ONES_OWN
            raise PermissionDeniedError(self._name, _ACTION, remedy)
        if code != 0:
            raise HostCommandError(self._name, _ACTION, "journalctl", code, said)


def _entries(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    for line in process.stdout:
        if not line.startswith("{"):
            continue  # "-- No entries --"
        try:
            yield json.loads(line)
        except ValueError as error:
            raise ServiceError(f"journalctl said something else than JSON: {line[:80]!r}") from error


def _message(entry: dict[str, Any]) -> str | None:
    """The line, or None for one of systemd's own. What is no text to journald comes as a list of bytes."""
    message = entry.get("MESSAGE")
    if any(field in entry for field in _TOLD_BY_SYSTEMD) or message is None:
        return None
    if isinstance(message, list):
        if all(isinstance(part, int) for part in message):
            return bytes(message).decode(errors="replace")
        return str(message[0])  # the field was there more than once
    return str(message)
