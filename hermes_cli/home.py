"""Every path below a home, and the atomic reading and writing of its small files."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from .service_manager.filelock import BINARY, CLOEXEC, NOFOLLOW, NONBLOCK
from .service_manager.names import DEFAULT_PROFILE, validate_profile_name

_SUN_PATH = 107
"""Bytes a Unix socket's path may have (unix(7): sun_path holds 108 with its NUL)."""

FALLBACK_SOCKETS = Path("/run/hermes/sockets")
"""Where control sockets go that cannot be in their home."""

_MARKS = ("config.yaml", ".env", "profile.json", "gateway_intent.json")
"""A directory with none of these is no profile's home, whatever its name."""


class HomeError(Exception):
    """A home, or a small file in one, cannot be used. The message says which and what to do."""


class CorruptFileError(HomeError):
    """A small file holds something other than what Hermes wrote there."""

    def __init__(self, path: Path, cause: str) -> None:
        super().__init__(
            f"{path} is not readable as what Hermes wrote there ({cause}); move it away or mend it"
        )
        self.path = path


class Record(msgspec.Struct, kw_only=True, omit_defaults=False):
    """A small file's contents. Subclasses add fields; keys they do not know survive a rewrite."""

    version: int = 1


RecordT = TypeVar("RecordT", bound=Record)


def root_home() -> Path:
    """`$HERMES_HOME`, else ~/.hermes: the home of `default`, and the place of all profiles."""
    configured = os.environ.get("HERMES_HOME")
    return Path(configured) if configured else Path.home() / ".hermes"


@dataclass(frozen=True, slots=True)
class Home:
    """One profile's home. Attributes are paths; nothing is created or read by looking at them."""

    profile: str
    root: Path

    @classmethod
    def of(cls, profile: str = DEFAULT_PROFILE, root: Path | None = None) -> Home:
        """The home of `profile`; raises `InvalidNameError` for a name no profile can have."""
        return cls(validate_profile_name(profile), root if root is not None else root_home())

    @property
    def path(self) -> Path:
        return self.root if self.profile == DEFAULT_PROFILE else self.root / "profiles" / self.profile

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def env(self) -> Path:
        return self.path / ".env"

    @property
    def soul(self) -> Path:
        return self.path / "SOUL.md"

    @property
    def intent(self) -> Path:
        return self.path / "gateway_intent.json"

    @property
    def state(self) -> Path:
        return self.path / "gateway_state.json"

    @property
    def parked(self) -> Path:
        return self.path / "parked.json"

    @property
    def run_dir(self) -> Path:
        return self.path / "run"

    @property
    def lock(self) -> Path:
        """Held (flock) by the gateway for as long as it lives; holds its pid."""
        return self.run_dir / "gateway.lock"

    @property
    def activity(self) -> Path:
        """What the gateway has in hand just now; see `gateway.activity`."""
        return self.run_dir / "activity.json"

    @property
    def socket(self) -> Path:
        """The control socket; below /run/hermes where this path is too long for one."""
        path = self.run_dir / "gateway.sock"
        if len(os.fsencode(path)) <= _SUN_PATH:
            return path
        return self.fallback_socket

    @property
    def fallback_socket(self) -> Path:
        """Where the socket goes when the home's file system has none, or its path is too long."""
        import hashlib

        digest = hashlib.blake2s(os.fsencode(self.path), digest_size=8).hexdigest()
        return FALLBACK_SOCKETS / f"{digest}.sock"

    @property
    def processes(self) -> Path:
        """One directory for each background process of this profile."""
        return self.path / "processes"

    @property
    def state_db(self) -> Path:
        """Runs, their events and their sessions. The gateway is the one writer."""
        return self.path / "state.db"

    @property
    def runs_settled(self) -> Path:
        """Says that no run in `state_db` is open, for as long as that file looks as it did then."""
        return self.path / "runs_settled.json"

    @property
    def sessions(self) -> Path:
        """One readable log for each session, written from `state_db`."""
        return self.path / "sessions"

    @property
    def workspace(self) -> Path:
        """Where runs work that name no directory, unless `agent.workspace` does."""
        return self.path / "workspace"

    @property
    def dashboard(self) -> Path:
        """Who has signed in at the dashboard, of the root home's profile alone."""
        return self.root / "dashboard"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def gateway_log(self) -> Path:
        """The s6-log directory of this profile's gateway; `current` is the live file."""
        return self.logs / "gateways" / self.profile

    @property
    def supervision_log(self) -> Path:
        return self.logs / "supervision.jsonl"

    @property
    def boot_log(self) -> Path:
        return self.logs / "container-boot.log"


def load(path: Path, kind: type[RecordT]) -> RecordT | None:
    """The record in `path`, or None where there is no such file; `CorruptFileError` for anything else."""
    try:
        data = _read_no_follow(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CorruptFileError(path, error.strerror or str(error)) from error
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptFileError(path, str(error)) from error


def save(path: Path, record: Record) -> None:
    """Write `record`, atomically and synced, keeping the keys of the old file that it does not know."""
    merged = _unknown_keys(path, type(record)) | msgspec.to_builtins(record)
    write_atomic(path, msgspec.json.format(msgspec.json.encode(merged), indent=2) + b"\n", mode=0o600)


def write_atomic(path: Path, data: bytes, *, mode: int) -> None:
    """Replace `path` by `data` in one step: readers see the old or the new, even after a power cut."""
    temporary = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NOFOLLOW | CLOEXEC | BINARY, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if hasattr(os, "fchmod"):
                os.fchmod(descriptor, mode)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_directory(path.parent)


def profile_names(root: Path | None = None) -> Iterator[str]:
    """`default`, then the other profiles by name; what is no profile (see `not_a_profile`) is left out."""
    yield DEFAULT_PROFILE
    for name, objection in profile_entries(root):
        if objection is None:
            yield name


def profile_entries(root: Path | None = None) -> Iterator[tuple[str, str | None]]:
    """All of `profiles/` by name, hidden files aside, each with why it is no profile (None if it is one)."""
    directory = (root if root is not None else root_home()) / "profiles"
    try:
        names = sorted(entry.name for entry in directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        if not name.startswith("."):
            yield name, not_a_profile(directory / name)


def not_a_profile(path: Path) -> str | None:
    """What `path`, an entry of `profiles/`, is instead of a profile's home, in words; None if it is one."""
    try:
        validate_profile_name(path.name)
    except ValueError:
        return "something whose name no profile can have"
    if path.name == DEFAULT_PROFILE:
        return f"something named like the profile {DEFAULT_PROFILE!r}, whose home is elsewhere"
    if path.is_symlink():
        return "a symbolic link"
    if not path.is_dir():
        return "a file"
    if any(os.path.lexists(path / mark) for mark in _MARKS):
        return None
    try:
        with os.scandir(path) as entries:
            return "a directory without config.yaml" if any(entries) else "an empty directory"
    except OSError as error:
        return f"a directory that cannot be read ({error.strerror})"


def _read_no_follow(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | NOFOLLOW | CLOEXEC | NONBLOCK | BINARY)
    with os.fdopen(descriptor, "rb") as file:
        return file.read(1 << 20)


def _unknown_keys(path: Path, kind: type[Record]) -> dict[str, object]:
    try:
        old = msgspec.json.decode(_read_no_follow(path))
    except (OSError, msgspec.DecodeError):
        return {}
    if not isinstance(old, dict):
        return {}
    known = {field.encode_name for field in msgspec.structs.fields(kind)}
    return {key: value for key, value in old.items() if key not in known}


def sync_directory(directory: Path) -> None:
    """Make renames and removals in `directory` survive a power cut (fsync(2)); Windows does it by itself."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
