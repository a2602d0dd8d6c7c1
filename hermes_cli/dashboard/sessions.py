"""Who has signed in, kept in small files: a restart of the dashboard signs nobody out.

Below `<root home>/dashboard/`, for its owner alone: `key`, and `sessions/DIGEST` for each session. A cookie
holds 256 random bits; the file has their digest for its name, so that who reads the files gets in nowhere.
Files and no signed cookie, because signing out must end a session and a signature cannot be taken back;
a file for each, because then two dashboards on one home share them without a lock.

A session ends by time, by signing out, and when the password or token of its role is changed: the file has a
scrypt digest of what was valid then (slow on purpose: the volume may be backed up where the secret is not).
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path

from hermes_cli.home import CorruptFileError, Record, load, save, write_atomic
from hermes_cli.service_manager.filelock import BINARY, CLOEXEC, NOFOLLOW, NONBLOCK

from .auth import Credentials
from .visitor import Role

LIFETIME = 12 * 3600.0
"""Seconds after signing in, whatever happens in between."""

MAX_SESSIONS = 256

_KEY_BYTES = 32

Clock = Callable[[], float]


class SessionRecord(Record, kw_only=True):
    """One session's file."""

    role: Role
    credentials: str
    """Digest of the secrets of the role when it began."""
    began_at: float
    ends_at: float
    """Seconds since the epoch, both."""


class Sessions:
    """The sessions of the installation, for as many dashboards as look."""

    def __init__(
        self,
        directory: Path,
        credentials: Credentials,
        clock: Clock = time.time,
        lifetime: float = LIFETIME,
    ) -> None:
        self.lifetime = lifetime
        self._directory = directory
        self._credentials = credentials
        self._clock = clock
        self._key = b""
        self._digests: dict[Role, str] = {}
        self._unwritten: dict[str, SessionRecord] = {}
        """What the disk would not take: it is good for the life of this process."""

    @property
    def key(self) -> bytes:
        """The installation's own secret, which no page shows. Made at its first use."""
        if not self._key:
            self._key = _read_key(self._directory / "key") or self._make_key()
        return self._key

    def open(self, role: Role) -> str:
        """A new session's id, for a cookie. Where there are too many, the oldest ends."""
        session = secrets.token_urlsafe(32)
        now = self._clock()
        record = SessionRecord(
            role=role, credentials=self._digest_of(role), began_at=now, ends_at=now + self.lifetime
        )
        self._prune()
        path = self._path(session)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            save(path, record)
        except OSError:
            self._unwritten[path.name] = record
        return session

    def role(self, session: str | None) -> Role | None:
        """What the session is good for; None where there is none, or no longer."""
        if not session:
            return None
        path = self._path(session)
        try:
            record = self._unwritten.get(path.name) or load(path, SessionRecord)
        except CorruptFileError:
            return None
        if record is None:
            return None
        # A clock that was set back must not make it last for longer than it was given.
        if not record.ends_at - self.lifetime <= self._clock() < record.ends_at:
            self.close(session)
            return None
        current = hmac.compare_digest(record.credentials, self._digest_of(record.role))
        return record.role if current else None

    def close(self, session: str) -> None:
        """End it, here and for every other dashboard of the installation."""
        path = self._path(session)
        self._unwritten.pop(path.name, None)
        with contextlib.suppress(OSError):
            path.unlink()

    def _path(self, session: str) -> Path:
        digest = hashlib.sha256(session.encode("utf-8", "surrogatepass")).hexdigest()
        return self._directory / "sessions" / digest

    def _prune(self) -> None:
        """Remove what has ended, and the oldest of what is too much."""
        now = self._clock()
        living: list[tuple[float, Path]] = []
        with contextlib.suppress(OSError):
            for path in (self._directory / "sessions").iterdir():
                with contextlib.suppress(OSError, CorruptFileError):
                    record = load(path, SessionRecord)
                    if record is not None and now < record.ends_at:
                        living.append((record.began_at, path))
                        continue
                with contextlib.suppress(OSError):
                    path.unlink()
        for _, path in sorted(living)[: max(0, len(living) - MAX_SESSIONS + 1)]:
            with contextlib.suppress(OSError):
                path.unlink()
        while len(self._unwritten) >= MAX_SESSIONS:
            self._unwritten.pop(next(iter(self._unwritten)))

    def _digest_of(self, role: Role) -> str:
        if role not in self._digests:
            # 16 MiB and some 40 ms, once: the interactive parameters of scrypt's paper (Percival 2009).
            secret = self._credentials.material(role)
            self._digests[role] = hashlib.scrypt(secret, salt=self.key, n=1 << 14, r=8, p=1).hex()
        return self._digests[role]

    def _make_key(self) -> bytes:
        """A new key, or the one that another dashboard has made meanwhile."""
        key = secrets.token_bytes(_KEY_BYTES)
        path = self._directory / "key"
        made = path.with_name(f".key.{os.getpid()}")
        with contextlib.suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if os.path.lexists(path):
                path.unlink()  # it was no key
            write_atomic(made, key, mode=0o600)
            try:
                os.link(made, path)
            except FileExistsError:
                key = _read_key(path) or key
            finally:
                made.unlink()
        return key


def _read_key(path: Path) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | NOFOLLOW | NONBLOCK | CLOEXEC | BINARY)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file, contextlib.suppress(OSError):
        key = file.read(_KEY_BYTES + 1)
        return key if len(key) == _KEY_BYTES else None
    return None
