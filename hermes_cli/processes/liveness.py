"""Whether a keeper lives, and what becomes of a process whose keeper does not."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import os
import select
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import records
from .keeper import kernel
from .keeper.cgroup import Cgroup
from .types import Identity, Spec, Status

MARK = "HERMES_PROCESS_ID"
"""The variable by which everything a command started is known as its own."""

_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)

_LEFTOVER_PATIENCE = 5.0


@functools.cache
def this_boot() -> str:
    return kernel.boot_id()


def keeper_lives(directory: Path, status: Status | None) -> bool:
    """Its lock is held: by whom does not matter, and a pid that was used again cannot pretend it.

    Only a keeper ever takes the lock for itself alone, so that those who ask do not mistake each other for
    one.
    """
    try:
        descriptor = records.open_regular(directory / records.LOCK, os.O_RDONLY)
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


def needs_settling(directory: Path, status: Status) -> bool:
    """Whether the status speaks of a keeper that is no more."""
    return _unsettled(status) and not keeper_lives(directory, status)


def settle(directory: Path, spec: Spec) -> Status | None:
    """How a process ended whose keeper is gone. One of those who ask ends what it left and writes it down.

    None where it never began.
    """
    status = records.read_status(directory)
    if status is None and not (directory / records.STATUS).exists():
        return None
    if status is not None and not _unsettled(status):
        return status
    descriptor = _open_for_lock(directory / records.SPEC)
    if descriptor < 0:
        return _settled(directory, spec, status)[0]
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # not waited for: its holder may be stopped
            return _settled(directory, spec, records.read_status(directory))[0]
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        status = records.read_status(directory)
        end_leftovers(spec.id, status)
        settled, event = _settled(directory, spec, status)
        if settled is status:
            return status
        # A disk that is full or read-only keeps the old file: the answer is the same next time.
        with contextlib.suppress(OSError):
            if event is not None:
                records.append_event(directory, event)
            records.write_record(directory, records.STATUS, settled)
        return settled
    finally:
        os.close(descriptor)


def _open_for_lock(path: Path) -> int:
    """Of a file that is never replaced, so that its lock is one lock; for writing where that is possible, as
    some file systems of the network want it. -1 where there is none."""
    for flags in (os.O_RDWR, os.O_RDONLY):
        with contextlib.suppress(OSError):
            return records.open_regular(path, flags)
    return -1


def _unsettled(status: Status) -> bool:
    return status.state == "running" or bool(status.control)


def _settled(directory: Path, spec: Spec, status: Status | None) -> tuple[Status, dict[str, Any] | None]:
    """The status that a dead keeper would have written, and the event where one is due."""
    if status is not None and not _unsettled(status):
        return status, None
    at = time.time()
    if status is None:
        status = Status("running", 0, None, spec.created_at)
        reason = "its status is damaged"
    elif status.state != "running":
        return replace(status, control="", descendants=0), None
    else:
        reason = _what_happened(status.keeper)
    events = [event for event, _ in records.read_events(directory)]
    for event in reversed(events):
        if event.get("type") == "completion":  # written just before its keeper was gone
            return _completed(status, event), None
    lost = replace(status, state="lost", ended_at=at, reason=reason, control="", descendants=0)
    promoted = any(event.get("type") == "watch_disabled" for event in events)
    if not spec.notify_on_complete and not promoted:
        return lost, None
    return lost, {"at": at, "type": "completion", "state": "lost", "exit_code": None, "reason": reason}


def _completed(status: Status, event: dict[str, Any]) -> Status:
    at = event.get("at")
    return replace(
        status,
        state=event.get("state", "lost"),
        ended_at=at if isinstance(at, (int, float)) else time.time(),
        exit_code=event.get("exit_code"),
        signal=event.get("signal"),
        reason=event.get("reason") or "",
        control="",
    )


def _what_happened(keeper: Identity | None) -> str:
    if keeper is None or keeper.boot_id != this_boot():
        return "the machine restarted"
    if not _same_init(keeper):
        return "the container restarted"
    return "its keeper was killed, and the command with it (kill -9, or the kernel for lack of memory)"


def _same_init(keeper: Identity) -> bool:
    """Where /proc hides the processes of others (hidepid), that of init is not known: 0."""
    now = kernel.start_ticks(1)
    return now == keeper.init_start or 0 in (now, keeper.init_start)


def end_leftovers(process_id: str, status: Status | None) -> int:
    """SIGKILL for what the command left behind, known by its cgroup or by the mark in its environment; how
    many. Returns when they are gone, or after some seconds if the kernel holds them.

    Only in the boot that the status speaks of, and only what this user may look into.
    """
    if status is None or status.keeper is None or status.keeper.boot_id != this_boot():
        return 0
    group = Cgroup(status.cgroup if status.cgroup.endswith(f"/hermes-{process_id}") else "")
    ended = 0
    deadline = time.monotonic() + _LEFTOVER_PATIENCE
    while time.monotonic() < deadline and (found := _leftovers(process_id, group)):
        try:
            for handle in found:
                with contextlib.suppress(OSError):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
            ended += len(found)
            for handle in found:
                select.select([handle], [], [], max(0.0, deadline - time.monotonic()))
        finally:
            for handle in found:
                os.close(handle)
    group.remove(_LEFTOVER_PATIENCE)
    return ended


def _leftovers(process_id: str, group: Cgroup) -> list[int]:
    """Handles (pidfd_open(2)) of the living processes that are of this one, ourselves not among them."""
    mark = f"{MARK}={process_id}".encode()
    members = group.members()
    found = []
    for entry in os.listdir("/proc") if os.path.isdir("/proc/self") else []:  # noqa: PTH112, PTH208
        if not entry.isdecimal() or int(entry) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if int(entry) in members or mark in _environment(entry):
                handle = os.pidfd_open(int(entry))
                # The pid may have become another's: only now it is certain what the handle speaks of.
                if int(entry) in group.members() or mark in _environment(entry):
                    found.append(handle)
                else:
                    os.close(handle)
    return found


def _environment(pid: str) -> list[bytes]:
    return Path("/proc", pid, "environ").read_bytes().split(b"\0")


def same_process(status: Status | None) -> bool:
    """Whether the keeper's pid is still the keeper's."""
    keeper = status.keeper if status else None
    return (
        keeper is not None
        and keeper.boot_id == this_boot()
        and _same_init(keeper)
        and kernel.start_ticks(keeper.pid) == keeper.start != 0
    )
