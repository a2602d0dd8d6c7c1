"""What processes have to tell that nobody has taken yet: a cursor for each, and waiting for more."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hermes_cli.service_manager.watch import GROWN, Watch

from . import liveness, reading, records
from .collection import Kept
from .ids import is_id
from .redaction import Redactor
from .types import Owner

_RELOOK = 5.0
"""Seconds until the next look where nothing announced a change: some file systems announce none."""

_OUTPUT = 4000
"""Bytes of the end of the output that go with a completion."""


@dataclass(frozen=True)
class News:
    """The events of one process since a cursor, oldest first. Texts are redacted."""

    session_id: str
    command: str
    owner: Owner
    events: tuple[dict[str, Any], ...]
    """Lines of events.jsonl; a completion has the end of the output as `output`."""
    cursor: int
    """Offset in events.jsonl behind the last of them: the cursor to go on from."""
    seal: str = ""


def collect(
    directory: Path,
    look: Callable[[], Iterable[Kept]],
    redactor: Callable[[Kept], Redactor],
    cursors: Mapping[str, int],
    timeout: float,
) -> list[News]:
    """The news beyond `cursors` (id to offset, 0 where there is none); waits `timeout` seconds for some.

    `look` finds all processes, and settles those whose keeper is gone: that, too, is news.
    """
    deadline = time.monotonic() + timeout
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _Ends() as ends, Watch(directory, GROWN) as watch:
        while True:
            watch.arm()
            for name in filter(is_id, os.listdir(directory)) if timeout > 0 else ():  # noqa: PTH208
                watch.also(directory / name)  # also what is only starting: its status comes in there
            found = []
            for kept in look():
                if kept.status.control and timeout > 0:
                    ends.add(kept)
                if (news := _since(kept, cursors.get(kept.spec.id, 0), redactor)) is not None:
                    found.append(news)
            now = time.monotonic()
            if found or now >= deadline:
                return found
            watch.wait(min(_RELOOK, deadline - now), or_readable=ends.descriptor)
            ends.forget_ended()


def mark_taken(directory: Path, cursors: Mapping[str, int]) -> None:
    """Note that the events up to these cursors are safe elsewhere, so that the processes may be removed."""
    for process_id, cursor in cursors.items():
        kept = directory / process_id
        temporary = kept / f".{records.TAKEN}.{os.getpid()}"
        with contextlib.suppress(OSError):  # it has been removed, or the disk is full: then it is kept longer
            temporary.write_text(str(cursor))
            temporary.replace(kept / records.TAKEN)


def _since(kept: Kept, cursor: int, redactor: Callable[[Kept], Redactor]) -> News | None:
    try:
        if (kept.directory / records.EVENTS).stat().st_size <= cursor:
            return None
    except OSError:
        return None
    found, at = [], 0
    for event, length in records.read_events(kept.directory):
        at += length
        if at > cursor:
            found.append(event)
    if not found:
        return None
    masks = redactor(kept)
    for event in found:
        if event.get("type") == "completion":
            event["output"] = reading.tail_text(kept.spool, _OUTPUT, masks).text
        elif isinstance(event.get("output"), str):
            event["output"] = masks.text(event["output"])
    spec = kept.spec
    return News(spec.id, masks.text(spec.command), spec.owner, tuple(found), at, spec.seal)


class _Ends:
    """The ends of keepers as one descriptor to wait on (pidfd_open(2) in an epoll(7))."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handles: dict[int, str] = {}
        self._known: set[str] = set()

    @property
    def descriptor(self) -> int:
        return self._epoll.fileno()

    def add(self, kept: Kept) -> None:
        keeper = kept.status.keeper
        if kept.spec.id in self._known or keeper is None or not liveness.same_process(kept.status):
            return
        self._known.add(kept.spec.id)
        with contextlib.suppress(OSError, AttributeError):
            handle = os.pidfd_open(keeper.pid)
            self._handles[handle] = kept.spec.id
            self._epoll.register(handle, select.EPOLLIN)

    def forget_ended(self) -> None:
        for handle, _ in self._epoll.poll(0):
            self._epoll.unregister(handle)
            os.close(handle)
            del self._handles[handle]

    def __enter__(self) -> _Ends:
        return self

    def __exit__(self, *_: object) -> None:
        self._epoll.close()
        for handle in self._handles:
            os.close(handle)
