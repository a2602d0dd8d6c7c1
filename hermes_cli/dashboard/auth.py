"""What opens the door and for whom, and forms that only we hand out."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from .visitor import Role


@dataclass(frozen=True, slots=True)
class Credentials:
    """The passwords and tokens of both roles; any may be missing."""

    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    read_password: str | None = field(default=None, repr=False)
    read_token: str | None = field(default=None, repr=False)

    def role(self, guess: str) -> Role | None:
        """Whose password or token `guess` is, in constant time."""
        operator = _same(guess, self.password) | _same(guess, self.token)
        reader = _same(guess, self.read_password) | _same(guess, self.read_token)
        return "operator" if operator else "reader" if reader else None

    def role_of_token(self, guess: str) -> Role | None:
        """Whose token: a program has no business with the password."""
        operator, reader = _same(guess, self.token), _same(guess, self.read_token)
        return "operator" if operator else "reader" if reader else None

    def material(self, role: Role) -> bytes:
        """What changes with any secret of the role. Not for keeping: for a digest."""
        mine = (self.password, self.token) if role == "operator" else (self.read_password, self.read_token)
        return b"".join(_digest(secret or "") for secret in mine)


NOBODY = Credentials()
"""None at all: whoever reaches the dashboard may do everything."""


def _same(guess: str, secret: str | None) -> bool:
    """Digests are compared, so that not even the length of the secret shows."""
    equal = hmac.compare_digest(_digest(guess), _digest(secret or ""))
    return equal and bool(secret)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


class Forms:
    """CSRF tokens: a form is accepted only with the token made for the cookie of the same browser."""

    def __init__(self, key: Callable[[], bytes]) -> None:
        self._key = key

    @staticmethod
    def new_cookie() -> str:
        return secrets.token_urlsafe(24)

    def token(self, cookie: str) -> str:
        text = b"form\0" + cookie.encode("utf-8", "surrogatepass")
        return hmac.new(self._key(), text, hashlib.sha256).hexdigest()

    def valid(self, cookie: str | None, token: str) -> bool:
        given = token.encode("utf-8", "surrogatepass")
        return bool(cookie) and hmac.compare_digest(self.token(cookie or "").encode(), given)
