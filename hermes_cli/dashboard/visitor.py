"""Who asks, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["reader", "operator"]
Right = Literal["read", "operate"]


@dataclass(frozen=True, slots=True)
class Visitor:
    """One who may at least look."""

    role: Role
    session: str | None = None
    """The id in the cookie, where one has signed in by the form."""
    by_token: bool = False
    """Whether the request itself carries the token. No page elsewhere can make a browser send one."""

    def may(self, right: Right) -> bool:
        return right == "read" or self.role == "operator"
