"""Who gets in: credentials, sessions with an end, forms that only we hand out, a limit on guessing."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

SESSION_LIFETIME = 12 * 3600.0
"""Seconds after signing in, whatever happens in between."""

FAILURES = 5
FAILURES_OF_ALL = 60
"""Wrong guesses in `WINDOW`, from one address and from all together."""

WINDOW = 60.0

_MAX_SESSIONS = 256
_MAX_ADDRESSES = 1024

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Credentials:
    """The password and the token that open the door; either may be missing."""

    password: str | None
    token: str | None

    def match(self, guess: str) -> bool:
        """Whether `guess` is the password or the token, in constant time."""
        return bool(_same(guess, self.password) | _same(guess, self.token))

    def match_token(self, guess: str) -> bool:
        return _same(guess, self.token)


def _same(guess: str, secret: str | None) -> bool:
    """Digests are compared, so that not even the length of the secret shows."""
    equal = hmac.compare_digest(_digest(guess), _digest(secret or ""))
    return equal and bool(secret)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


class Sessions:
    """Who has signed in: random ids, kept here as digests only, gone with this process."""

    def __init__(self, clock: Clock = time.monotonic, lifetime: float = SESSION_LIFETIME) -> None:
        self._ends: OrderedDict[bytes, float] = OrderedDict()
        self._clock = clock
        self.lifetime = lifetime

    def open(self) -> str:
        """A new session's id. The oldest is ended where there are too many."""
        session = secrets.token_urlsafe(32)
        self._ends[_digest(session)] = self._clock() + self.lifetime
        while len(self._ends) > _MAX_SESSIONS:
            self._ends.popitem(last=False)
        return session

    def valid(self, session: str | None) -> bool:
        if not session:
            return False
        key = _digest(session)
        end = self._ends.get(key)
        if end is not None and end <= self._clock():
            del self._ends[key]
            return False
        return end is not None

    def close(self, session: str) -> None:
        self._ends.pop(_digest(session), None)


class Forms:
    """CSRF tokens: a form is accepted only with the token made for the cookie of the same browser."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    @staticmethod
    def new_cookie() -> str:
        return secrets.token_urlsafe(24)

    def token(self, cookie: str) -> str:
        return hmac.new(self._key, cookie.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()

    def valid(self, cookie: str | None, token: str) -> bool:
        return bool(cookie) and hmac.compare_digest(self.token(cookie or "").encode(), token.encode())


class Attempts:
    """Slows guessing: so many failures from an address, so many from everywhere, in a sliding window."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._by_address: OrderedDict[str, deque[float]] = OrderedDict()
        self._all: deque[float] = deque(maxlen=FAILURES_OF_ALL)

    def wait(self, address: str) -> float:
        """Seconds until `address` may try again; 0 for at once."""
        now = self._clock()
        mine = self._by_address.get(address, deque())
        waits = [
            failures[-limit] + WINDOW - now
            for failures, limit in ((mine, FAILURES), (self._all, FAILURES_OF_ALL))
            if len(failures) >= limit
        ]
        return max(0.0, *waits, 0.0)

    def failed(self, address: str) -> None:
        now = self._clock()
        self._all.append(now)
        self._by_address.setdefault(address, deque(maxlen=FAILURES)).append(now)
        self._by_address.move_to_end(address)
        while len(self._by_address) > _MAX_ADDRESSES:
            self._by_address.popitem(last=False)

    def succeeded(self, address: str) -> None:
        self._by_address.pop(address, None)
