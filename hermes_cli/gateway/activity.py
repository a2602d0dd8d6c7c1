"""How many runs a gateway has in hand, in a small file: fifty are asked by reading, not by calling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from hermes_cli.home import CorruptFileError, Home, Record, load

from .identity import ProcessIdentity
from .reasons import reason_of

if TYPE_CHECKING:
    import asyncio


class ActivityRecord(Record, kw_only=True):
    """`run/activity.json`. Of the gateway that it names, and of no other."""

    pid: int
    pid_start: int
    boot_id: str
    active_runs: int
    """Runs that have begun and not ended; those that wait to be allowed count, those in the queue do not."""


class _Runs(Protocol):
    moved: asyncio.Event

    def counts(self) -> dict[str, int]: ...


async def report_activity(home: Home, runs: _Runs) -> None:
    """Write the number of runs whenever it changes, until cancelled. Nothing that a disk does ends it."""
    me = ProcessIdentity.own()
    written = None
    failed = False
    while True:
        moved = runs.moved  # before the counting: a run that begins meanwhile sets this one
        active = runs.counts()["active"]
        if active != written:
            try:
                _write(home, me, active)
                written, failed = active, False
            except OSError as error:
                if not failed:
                    _complain(f"{home.activity} could not be written: {reason_of(error)}")
                written, failed = None, True
        await moved.wait()


def active_runs(home: Home, gateway: ProcessIdentity) -> int:
    """How many runs `gateway`, which lives, has in hand. It writes nothing before it has the first."""
    try:
        record = load(home.activity, ActivityRecord)
    except CorruptFileError:
        return 0
    if record is None or ProcessIdentity(record.pid, record.pid_start, record.boot_id) != gateway:
        return 0
    return record.active_runs


def _write(home: Home, me: ProcessIdentity, active: int) -> None:
    """In one step, but not synced: what a power cut leaves names a gateway that is gone."""
    record = ActivityRecord(pid=me.pid, pid_start=me.start, boot_id=me.boot_id, active_runs=active)
    # Nobody else writes it: the gateway holds the lock on its home.
    temporary = home.activity.with_name(".activity.json")
    temporary.write_bytes(msgspec.json.encode(record))
    temporary.replace(home.activity)


def _complain(message: str) -> None:
    import logging  # not for the commands that only read

    logging.getLogger("hermes.gateway").error("%s", message)
