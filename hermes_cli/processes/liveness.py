"""Whether a keeper lives, and what becomes of a process whose keeper does not."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import time
from pathlib import Path

from . import records
from .keeper import kernel
from .types import Spec, Status

MARK = "HERMES_PROCESS_ID"
"""The variable by which everything a command started is known as its own."""

_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)

_LEFTOVER_ROUNDS = 20


def keeper_lives(directory: Path, status: Status | None) -> bool:
    """Its lock is held: by whom does not matter, and a pid that was used again cannot pretend it."""
    try:
        descriptor = os.open(directory / records.LOCK, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    except OSError:
        return same_process(status)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return same_process(status)
        raise
    finally:
        os.close(descriptor)
    return False


def settle(directory: Path, spec: Spec) -> Status | None:
    """Write down how a process ended whose keeper is gone, and end what it left; the new status.

    None where it never began. One settles at a time: the keeper's own lock is taken for it.
    """
    try:
        descriptor = os.open(
            directory / records.LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
    except OSError:
        return records.read_status(directory)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return records.read_status(directory)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        status = records.read_status(directory)
        if status is None or not _unsettled(status):
            return status
        settled = _settled(directory, spec, status)
        # A disk that is full or read-only keeps the old file: the answer is the same next time.
        with contextlib.suppress(OSError):
            records.write_record(directory, records.STATUS, settled)
        return settled
    finally:
        os.close(descriptor)


def needs_settling(directory: Path, status: Status) -> bool:
    """Whether the status speaks of a keeper that is no more."""
    return _unsettled(status) and not keeper_lives(directory, status)


def _unsettled(status: Status) -> bool:
    return status.state == "running" or bool(status.control)


def _settled(directory: Path, spec: Spec, status: Status) -> Status:
    end_leftovers(spec.id, status)
    if status.state != "running":
        return _replace(status, control="", descendants=0)
    for event, _ in reversed(records.read_events(directory)):
        if event.get("type") == "completion":  # written just before its keeper was gone
            return _replace(
                status,
                state=event.get("state", "lost"),
                ended_at=event.get("at"),
                exit_code=event.get("exit_code"),
                signal=event.get("signal"),
                reason=event.get("reason") or "",
                control="",
            )
    reason = _what_happened(status)
    at = time.time()
    if spec.notify_on_complete or _promoted(directory):
        event = {"at": at, "type": "completion", "state": "lost", "exit_code": None, "reason": reason}
        with contextlib.suppress(OSError):
            records.append_event(directory, event)
    return _replace(status, state="lost", ended_at=at, reason=reason, control="")


def _promoted(directory: Path) -> bool:
    return any(event.get("type") == "watch_disabled" for event, _ in records.read_events(directory))


def _what_happened(status: Status) -> str:
    keeper = status.keeper
    if keeper is None or keeper.boot_id != kernel.boot_id():
        return "the machine restarted"
    if keeper.init_start != kernel.start_ticks(1):
        return "the container restarted"
    return "its keeper was killed, and the command with it (kill -9, or the kernel for lack of memory)"


def end_leftovers(process_id: str, status: Status) -> int:
    """SIGKILL for what the command left behind, known by the mark in its environment; how many.

    Only in the boot that the status speaks of, and only what this user may look into.
    """
    if status.keeper is None or status.keeper.boot_id != kernel.boot_id():
        return 0
    ended = 0
    for _ in range(_LEFTOVER_ROUNDS):
        found = marked(process_id)
        if not found:
            break
        for pid in found:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
                ended += 1
    return ended


def marked(process_id: str) -> list[int]:
    """Living processes that have the mark, this one not among them."""
    mark = f"{MARK}={process_id}".encode()
    found = []
    for entry in os.listdir("/proc") if os.path.isdir("/proc/self") else []:  # noqa: PTH112, PTH208
        if entry.isdecimal() and int(entry) != os.getpid():
            with contextlib.suppress(OSError):
                environment = Path("/proc", entry, "environ").read_bytes()
                if mark in environment.split(b"\0"):
                    found.append(int(entry))
    return found


def same_process(status: Status | None) -> bool:
    keeper = status.keeper if status else None
    return (
        keeper is not None
        and keeper.boot_id == kernel.boot_id()
        and keeper.init_start == kernel.start_ticks(1)
        and kernel.start_ticks(keeper.pid) == keeper.start != 0
    )


def _replace(status: Status, **changes: object) -> Status:
    from dataclasses import replace

    return replace(status, **changes)  # type: ignore[arg-type]
