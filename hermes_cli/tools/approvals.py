"""Who allowed which dangerous commands: once, for a session, or for good.

The one who decides is never the model: a decision comes in through `resolve`, from whoever talks to a person.
What is allowed for good stands in the profile's config.yaml and is read anew each time, so that a line taken
out of it counts at once.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from hermes_cli.home import Home

Choice = Literal["once", "session", "always", "deny"]
CHOICES: tuple[Choice, ...] = ("once", "session", "always", "deny")
KEY = "tools.approved_commands"

_MOST_PENDING = 256
_MOST_SESSIONS = 1024
_PENDING_SECONDS = 24 * 3600.0
_ONCE_SECONDS = 600.0
_LOCK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Pending:
    """A command that waits for a decision."""

    approval_id: str
    session_key: str | None
    command: str
    pattern_keys: tuple[str, ...]
    asked_at: float


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a decision came to."""

    status: Literal["allowed", "denied", "expired"]
    message: str
    pending: Pending | None = None


class Approvals:
    """The decisions of one profile. Threads may share it."""

    def __init__(self, home: Home | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Without a `home` nothing can be allowed for good. `clock` counts seconds."""
        self._home = home
        self._clock = clock
        self._lock = threading.Lock()
        self._pending: OrderedDict[str, Pending] = OrderedDict()
        self._once: OrderedDict[tuple[str | None, str], tuple[frozenset[str], float]] = OrderedDict()
        self._sessions: OrderedDict[str | None, set[str]] = OrderedDict()

    @property
    def choices(self) -> tuple[Choice, ...]:
        return CHOICES if self._home is not None else ("once", "session", "deny")

    def missing(self, session_key: str | None, command: str, keys: Iterable[str]) -> list[str]:
        """Which of `keys` nobody has allowed for this command, in order. None missing uses up a `once`."""
        wanted = list(keys)
        if not wanted:
            return []
        allowed = self._always()
        with self._lock:
            allowed = allowed | self._sessions.get(session_key, set())
            missing = [key for key in wanted if key not in allowed]
            granted = self._once.get((session_key, command))
            if missing and granted and granted[1] >= self._clock() and set(missing) <= granted[0]:
                del self._once[session_key, command]
                return []
            return missing

    def ask(self, session_key: str | None, command: str, keys: Iterable[str]) -> Pending:
        """Note that `command` waits for a decision. Asking the same again gives the same id."""
        wanted = tuple(keys)
        with self._lock:
            self._forget_old()
            for pending in self._pending.values():
                if (pending.session_key, pending.command, pending.pattern_keys) == (
                    session_key,
                    command,
                    wanted,
                ):
                    return pending
            made = Pending(f"appr_{secrets.token_hex(6)}", session_key, command, wanted, self._clock())
            self._pending[made.approval_id] = made
            return made

    def pending(self, session_key: str | None = None) -> list[Pending]:
        """What waits for a decision, oldest first: of one session, or all."""
        with self._lock:
            self._forget_old()
            return [one for one in self._pending.values() if session_key in (None, one.session_key)]

    def resolve(self, approval_id: str, choice: Choice) -> Resolved:
        """Decide. `once` holds for this very command within ten minutes, in its session.

        Raises `ValueError` for a word that is no choice. If config.yaml cannot be written, `always` holds for
        the session and the message says why.
        """
        if choice not in CHOICES:
            raise ValueError(f"{choice!r} is no decision; it is one of {', '.join(CHOICES)}")
        with self._lock:
            self._forget_old()
            pending = self._pending.pop(approval_id, None)
        if pending is None:
            return Resolved(
                "expired", f"nothing waits for a decision as {approval_id!r}: decided, or too old"
            )
        keys = frozenset(pending.pattern_keys)
        shown = ", ".join(pending.pattern_keys)
        if choice == "deny":
            return Resolved("denied", f"not allowed: {shown}", pending)
        if choice == "once":
            with self._lock:
                self._once[pending.session_key, pending.command] = (keys, self._clock() + _ONCE_SECONDS)
                while len(self._once) > _MOST_PENDING:
                    self._once.popitem(last=False)
            return Resolved("allowed", f"allowed once: {shown}", pending)
        if choice == "always":
            why = self._write(keys)
            if why is None:
                return Resolved("allowed", f"allowed for good: {shown}", pending)
            self._for_session(pending.session_key, keys)
            return Resolved("allowed", f"allowed for this session only, because {why}: {shown}", pending)
        self._for_session(pending.session_key, keys)
        return Resolved("allowed", f"allowed for this session: {shown}", pending)

    def end_session(self, session_key: str | None) -> None:
        """Forget what was allowed for, or asked by, a session."""
        with self._lock:
            self._sessions.pop(session_key, None)
            for waiting in [one for one in self._pending.values() if one.session_key == session_key]:
                del self._pending[waiting.approval_id]
            for once in [key for key in self._once if key[0] == session_key]:
                del self._once[once]

    def _for_session(self, session_key: str | None, keys: frozenset[str]) -> None:
        with self._lock:
            self._sessions.setdefault(session_key, set()).update(keys)
            self._sessions.move_to_end(session_key)
            while len(self._sessions) > _MOST_SESSIONS:
                self._sessions.popitem(last=False)

    def _forget_old(self) -> None:
        since = self._clock() - _PENDING_SECONDS
        while self._pending:
            oldest = next(iter(self._pending.values()))
            if oldest.asked_at >= since and len(self._pending) < _MOST_PENDING:
                return
            del self._pending[oldest.approval_id]

    def _always(self) -> frozenset[str]:
        """What config.yaml allows; nothing where it cannot be read."""
        from hermes_cli.config import inspect_config

        if self._home is None:
            return frozenset()
        value = inspect_config(self._home, {}).values[KEY]
        return frozenset(str(value).replace(",", " ").split())

    def _write(self, keys: frozenset[str]) -> str | None:
        """Add `keys` to config.yaml; why not, if not."""
        from hermes_cli.config import ConfigError
        from hermes_cli.config.editing import set_value
        from hermes_cli.profiles.errors import ProfileError
        from hermes_cli.profiles.lock import profiles_lock

        if self._home is None:
            return "there is no profile to keep it in"
        try:
            with profiles_lock(self._home.root, wait=_LOCK_SECONDS):
                together = ", ".join(sorted(self._always() | keys))
                set_value(self._home, KEY, together)
        except (ConfigError, ProfileError) as error:
            return str(error)
        except OSError as error:
            return f"{self._home.config} cannot be written ({error.strerror or error})"
        return None
