"""Output as it was written, for terminals and raw logs: records from an offset on, lines, a screen's modes.

Nothing is redacted and nothing stripped here. Runs in a sandbox too.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .collection import Kept
from .modes import ModeTracker
from .registry import Registry
from .spool import Record
from .types import State

_PAGE = 256 << 10
"""Bytes of one answer, and at most one record more."""


@dataclass(frozen=True)
class Recorded:
    """Records in order, and how the process was when they were read."""

    session_id: str
    status: State
    records: tuple[Record, ...]
    cursor: int
    """Offset behind the last of them."""
    end_of_output: int
    exit_code: int | None = None
    reason: str | None = None

    @property
    def is_all(self) -> bool:
        """Nothing will follow."""
        return self.status != "running" and not self.records

    @property
    def data(self) -> bytes:
        return b"".join(record.data for record in self.records)

    def packed(self) -> dict[str, Any]:
        """For JSON."""
        rows = [
            [one.offset, one.stream, one.time, base64.b64encode(one.data).decode()] for one in self.records
        ]
        return {**vars(self), "records": rows}

    @classmethod
    def unpacked(cls, found: Mapping[str, Any]) -> Recorded:
        rows = (
            Record(offset, stream, time, base64.b64decode(data))
            for offset, stream, time, data in found["records"]
        )
        return cls(**{**found, "records": tuple(rows)})


@dataclass(frozen=True)
class Beginning:
    """Where to begin to show the end of an output."""

    cursor: int
    modes: bytes
    """What brings a fresh terminal to the modes that the program had set there; nothing without a PTY."""


class RecordingRegistry(Registry):
    """The registry, with the verbs on what was written."""

    def recorded(self, given: str, cursor: int, timeout: float = 0.0) -> Recorded:
        """What was written from byte `cursor` on, some 256 KiB of it; waits `timeout` seconds for some."""
        if timeout > 0:
            self.wait_for_output(given, cursor, timeout)
        kept = self.look(given)  # before the output: behind an end nothing comes
        found: list[Record] = []
        size = 0
        for record in kept.spool.records(cursor):
            found.append(record.behind(cursor))
            size += len(found[-1].data)
            if size >= _PAGE:
                break
        end = found[-1].end if found else cursor
        status = kept.status
        return Recorded(
            kept.spec.id,
            status.state,
            tuple(found),
            end,
            max(end, kept.spool.end()),
            status.exit_code,
            status.reason or None,
        )

    def beginning(self, given: str, lines: int) -> Beginning:
        """Where the last `lines` lines begin, as far back as nothing is missing."""
        from .lines import start_of_last_lines

        kept = self.look(given)
        cursor = start_of_last_lines(kept.spool, lines)
        return Beginning(cursor, _modes_at(kept, cursor) if kept.spec.pty else b"")

    def raw_lines(self, given: str, offset: int | None, limit: int) -> list[bytes]:
        """`limit` lines from number `offset` on, the last ones where it is None; without line ends."""
        return self.look(given).spool.page(offset, limit).lines


def _modes_at(kept: Kept, cursor: int) -> bytes:
    modes = ModeTracker()
    for record in kept.spool.records():
        if record.offset >= cursor:
            break
        modes.feed(record.data[: cursor - record.offset])
    return modes.redo()
