"""The directories of a profile's processes: made, found, settled and removed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import time
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from . import liveness, records
from .errors import NoSuchProcessError, ProcessError, StartError, TooManyProcessesError
from .ids import is_id, resolve
from .keeper import cgroup
from .limits import Limits
from .spool import Spool
from .types import Spec, Status

_STARTING = 30.0
"""Seconds a directory may be without a status: longer than any keeper takes to begin."""

_LOCK_PATIENCE = 8.0

_HELD_FOR = 30 * 86400.0
"""Seconds a directory is held at most: whoever held it may be gone for good."""

_GONE = ".gone-"

Withdrawal = Literal["absent", "withdrawn", "launched", "starting"]
"""`absent`: it has no directory. `withdrawn`: it had not begun, and cannot any more. `launched`: it may have
run. `starting`: a keeper has it, and will say so or go."""

_Version = tuple[int, int, int] | None
"""Inode, modification time and size: status.json is only ever replaced."""


@dataclass(frozen=True)
class Kept:
    """One process as its directory tells it."""

    directory: Path
    spec: Spec
    status: Status
    spool: Spool


class Collection:
    """All processes below one directory."""

    def __init__(self, directory: Path, limits: Limits, clock: Callable[[], float]) -> None:
        self._directory = directory
        self._limits = limits
        self._clock = clock
        self._specs: dict[str, Spec] = {}
        self._seen: dict[str, tuple[Status, _Version]] = {}

    def resolve(self, given: str) -> str:
        """The id that `given` is, or begins."""
        if is_id(given):
            return given
        return resolve(given, self._names())

    def get(self, process_id: str) -> Kept:
        """Raises `NoSuchProcessError`."""
        kept = self._look(process_id)
        if kept is None:
            raise NoSuchProcessError(process_id)
        return kept

    def all(self) -> list[Kept]:
        return [kept for kept in map(self._look, self._names()) if kept is not None]

    def reserve(self, spec: Spec, *, held: bool = False, stdin: bytes | None = None) -> Path:
        """Make the directory of a new process; raises `TooManyProcessesError` and `StartError`.

        `held`: it stays until it is released. `stdin`: what the command is to read.
        """
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._locked():
                self._make_room(spec)
                directory = self._directory / spec.id
                directory.mkdir(mode=0o700)
                try:
                    if held:
                        records.write_bytes(directory / records.HELD, b"")
                    if stdin is not None:
                        records.write_bytes(directory / records.INPUT, stdin)
                    (directory / records.OUTPUT).mkdir(mode=0o700)
                    records.write_record(directory, records.SPEC, spec)
                except OSError:
                    self.discard(directory)
                    raise
        except OSError as error:
            raise StartError(f"{self._directory} cannot take a process: {error.strerror or error}") from error
        return directory

    def discard(self, directory: Path) -> bool:
        """Remove what never began, or is over. False where a keeper has it still: `clean` finds it later."""
        self._specs.pop(directory.name, None)
        self._seen.pop(directory.name, None)
        if not _remove(directory):
            return False
        cgroup.of(directory.name).remove()  # of a keeper that was killed before it could tell of it
        return True

    def withdraw(self, process_id: str) -> Withdrawal:
        """Make sure that a process never begins whose starter was killed; what was found."""
        directory = self._directory / process_id
        if not directory.is_dir():
            return "absent"
        if liveness.keeper_lives(directory, None):
            return "starting"
        if (directory / records.LAUNCHING).exists() or (directory / records.STATUS).exists():
            return "launched"
        return "withdrawn" if self.discard(directory) else "starting"

    def release(self, process_id: str) -> None:
        """Let go of what was held. Harmless for what is gone."""
        with contextlib.suppress(OSError):
            (self._directory / process_id / records.HELD).unlink()

    def release_others(self, wanted: Container[str]) -> None:
        """Let go of what was held and is not `wanted`: whoever held it has gone without a word."""
        for name in self._names():
            if name not in wanted:
                self.release(name)

    def forget(self, process_id: str) -> None:
        """Remove it as soon as it and all that it left behind have ended, and its events are taken."""
        directory = self._directory / process_id
        try:
            records.write_bytes(directory / records.FORGOTTEN, b"")
        except OSError as error:
            raise ProcessError(f"{process_id} cannot be forgotten: {error.strerror}") from error
        self._remove_if_over(self.get(process_id))

    def clean(self) -> int:
        """Remove what was kept long enough, and what was cut off half-made; how many processes."""
        if not self._directory.is_dir():
            return 0
        try:
            with self._locked():
                return self._clean()
        except OSError as error:
            raise ProcessError(f"{self._directory} cannot be cleaned: {error.strerror}") from error

    def _clean(self) -> int:
        removed = 0
        now = self._clock()
        for name in os.listdir(self._directory):  # noqa: PTH208 - names are enough
            if name.startswith(_GONE):
                _remove(self._directory / name)
        for name in self._names():
            if self._half_made(self._directory / name, now) and not _held(self._directory / name, now):
                self.discard(self._directory / name)
        return removed + sum(self._remove_if_over(kept) for kept in self.all())

    def _remove_if_over(self, kept: Kept) -> bool:
        """Whether it was kept long enough, and is gone."""
        now, ended, limits = self._clock(), kept.status.ended_at, self._limits
        if kept.status.control or ended is None or _held(kept.directory, now):
            return False
        if _news(kept.directory):
            over = now - ended > limits.kept_with_news
        else:
            over = now - ended > limits.kept_after_end or (kept.directory / records.FORGOTTEN).exists()
        return over and self.discard(kept.directory)

    def _make_room(self, spec: Spec) -> None:
        """Refuse what is beyond the limits; remove finished processes, oldest end first, to stay within."""
        self._clean()
        kept = self.all()
        busy = [one for one in kept if one.status.control or one.status.state == "running"]
        now = self._clock()
        done = [one for one in kept if one not in busy and not _held(one.directory, now)]
        done.sort(key=lambda one: one.status.ended_at or 0.0)
        starting = sum(is_id(name) for name in self._names()) - len(kept)
        if len(busy) + starting >= self._limits.tracked:
            raise TooManyProcessesError(
                f"{len(busy) + starting} processes run, and {self._limits.tracked} are the most; "
                "end one with 'hermes process kill', or wait for one"
            )
        promised = sum(one.spec.cap_bytes for one in busy) + starting * spec.cap_bytes
        used = {one.spec.id: _weight(one.directory) for one in done}
        while done and (
            len(busy) + starting + len(done) >= self._limits.tracked
            or promised + sum(used.values()) + spec.cap_bytes > self._limits.disk
        ):
            oldest = next((one for one in done if not _news(one.directory)), done[0])
            done.remove(oldest)
            del used[oldest.spec.id]
            self.discard(oldest.directory)
        if promised + spec.cap_bytes > self._limits.disk:
            raise TooManyProcessesError(
                f"the running processes may write {promised >> 20} MiB, and {self._limits.disk >> 20} MiB "
                f"are the most: {spec.cap_bytes >> 20} MiB more are refused"
            )

    def _look(self, process_id: str) -> Kept | None:
        directory = self._directory / process_id
        spec = self._specs.get(process_id)
        if spec is None:
            if not _is_directory(directory):
                return None
            spec = records.read_spec(directory)
            if spec is None or spec.id != process_id:
                return None
            self._specs[process_id] = spec
        status = self._status(directory, spec)
        if status is None:
            return None
        over = not status.control
        spool = Spool(directory / records.OUTPUT, finished=over, length=status.output_bytes if over else None)
        return Kept(directory, spec, status, spool)

    def _status(self, directory: Path, spec: Spec) -> Status | None:
        """What status.json says, read again only when it was replaced; settled where its keeper is gone."""
        version = _version(directory / records.STATUS)
        known = self._seen.get(spec.id)
        if version is None:
            if not directory.is_dir():
                self._specs.pop(spec.id, None)
                self._seen.pop(spec.id, None)
            return None
        status = known[0] if known is not None and known[1] == version else records.read_status(directory)
        if status is None:  # damaged
            return None if liveness.keeper_lives(directory, None) else liveness.settle(directory, spec)
        if liveness.needs_settling(directory, status):
            return liveness.settle(directory, spec)
        self._seen[spec.id] = (status, version)
        return status

    def _half_made(self, directory: Path, now: float) -> bool:
        """Whose starter or keeper was killed before there was a status; or that is damaged beyond reading."""
        known = directory.name in self._specs or records.read_spec(directory) is not None
        if (known and (directory / records.STATUS).exists()) or liveness.keeper_lives(directory, None):
            return False
        try:
            age = now - directory.stat().st_mtime
        except FileNotFoundError:
            return False
        return age >= _STARTING  # in the future: the clock was set, or is another machine's

    def _names(self) -> list[str]:
        try:
            with os.scandir(self._directory) as entries:
                found = [entry for entry in entries if is_id(entry.name)]
                return sorted(entry.name for entry in found if entry.is_dir(follow_symlinks=False))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise ProcessError(f"{self._directory} cannot be read: {error.strerror}") from error

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One at a time makes room. flock(2): freed by the kernel when its holder ends, however it ends."""
        descriptor = records.open_regular(self._directory / ".lock", os.O_RDWR | os.O_CREAT)
        try:
            deadline = time.monotonic() + _LOCK_PATIENCE
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise ProcessError(
                            f"another command keeps {self._directory} locked; is it stopped? Try again"
                        ) from None
                    time.sleep(0.005)  # held for milliseconds
                except OSError:
                    break  # a file system without locks
            yield
        finally:
            os.close(descriptor)


def _version(path: Path) -> _Version:
    try:
        seen = path.stat()
    except FileNotFoundError:
        return None
    return seen.st_ino, seen.st_mtime_ns, seen.st_size


def _news(directory: Path) -> bool:
    """Whether it has events that no outbox has taken yet."""
    try:
        written = (directory / records.EVENTS).stat().st_size
    except FileNotFoundError:
        return False
    try:
        return int(records.read_bytes(directory / records.TAKEN, 64)) < written
    except (OSError, ValueError):
        return True


def _held(directory: Path, now: float) -> bool:
    """Whether somebody has use for it, and may come back."""
    try:
        return now - (directory / records.HELD).stat().st_mtime < _HELD_FOR
    except FileNotFoundError:
        return False


def _weight(directory: Path) -> int:
    """Bytes of disk below it."""
    total = 0
    for path, _, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(OSError):
                total += (Path(path) / name).lstat().st_size
    return total


def _is_directory(path: Path) -> bool:
    """Itself, not what a link leads to."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _remove(directory: Path) -> bool:
    """Out of sight in one step, then gone; what is cut off is removed by the next.

    The keeper's lock is held meanwhile: a keeper that only begins waits for it, and finds itself removed.
    """
    descriptor = -1
    try:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            flags = os.O_RDWR | os.O_CREAT
            descriptor = records.open_regular(directory / records.LOCK, flags)
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    except OSError:
        pass  # no locks here, or a directory of another user's: its age has been looked at
    try:
        gone = directory
        if not directory.name.startswith(_GONE):
            gone = directory.with_name(_GONE + directory.name)
            directory.rename(gone)
        if gone.is_symlink() or not gone.is_dir():
            gone.unlink()
        else:
            shutil.rmtree(gone, ignore_errors=True)
        return True
    except OSError:
        return False
    finally:
        if descriptor >= 0:
            os.close(descriptor)
