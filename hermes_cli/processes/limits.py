"""How many processes a profile may have, how long finished ones are kept, and what they may weigh."""

from __future__ import annotations

import os
from dataclasses import dataclass

DEFAULT_WAIT = 180.0


@dataclass(frozen=True)
class Limits:
    """Times in seconds, sizes in bytes."""

    tracked: int = 64
    """Processes, running and finished together. Running ones are never removed to make room."""
    kept_after_end: float = 30 * 60
    kept_with_news: float = 7 * 86400
    """How long a finished one is kept whose events nobody has collected."""
    disk: int = 1 << 30
    longest_wait: float = DEFAULT_WAIT
    protects_for: float = 24 * 3600
    """A process that is older does not keep its conversation from being reset."""

    @classmethod
    def from_environment(cls) -> Limits:
        """The defaults, with `TERMINAL_TIMEOUT` seconds as the longest wait."""
        try:
            longest = float(os.environ.get("TERMINAL_TIMEOUT", ""))
        except ValueError:
            longest = DEFAULT_WAIT
        return cls(longest_wait=longest if 0 < longest < 86400 * 7 else DEFAULT_WAIT)
