"""What s6 said of services before: it says the same as long as the files it reads are the same.

s6-svstat and s6-svdt are a process each for every service, and all they print comes from three files: the two
that s6-supervise writes at each step (`supervise/status`, `supervise/death_tally`), and `down`. Whoever looks
again and again, as a dashboard does, asks only of those that have moved.
"""

from __future__ import annotations

from pathlib import Path

from .types import ServiceStatus

Marks = tuple[tuple[int, int, int] | None, ...]
"""Inode, time of the last change in nanoseconds, and size of each file; None for one that is not there."""

_FILES = ("supervise/status", "supervise/death_tally", "down")


class Seen:
    """The last status of each service, and what its files looked like before it was asked."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Marks, ServiceStatus]] = {}

    def status(self, name: str, marks: Marks) -> ServiceStatus | None:
        """What was said while the files looked like that; None where it has to be asked."""
        known = self._known.get(name)
        return known[1] if known is not None and known[0] == marks else None

    def keep(self, statuses: dict[str, ServiceStatus], marks: dict[str, Marks]) -> None:
        """Remember these, and no others. `marks` were taken before s6 was asked."""
        self._known = {
            name: (marks[name], status)
            for name, status in statuses.items()
            if status.registered and status.answering and marks[name][0] is not None
        }


def marks_of(slot: Path) -> Marks:
    """How the files look that a service's status comes from."""
    return tuple(_mark(slot / name) for name in _FILES)


def _mark(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
