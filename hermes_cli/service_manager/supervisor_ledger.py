"""The restart policy of the supervisor: what follows an end that nobody asked for."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from .types import RestartPolicy

_BACKUP_LIMIT = 10
"""Starts in the window before a program that keeps a ledger of its own is taken for too broken to keep it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Start again after `delay` seconds; or not at all, for the reason in `parked`."""

    delay: float = 0.0
    parked: str = ""


@dataclass(slots=True)
class Ledger:
    """Counts unclean ends, on the monotonic clock: one that is set back or forth counts nothing wrong."""

    policy: RestartPolicy
    unclean: list[float] = field(default_factory=list)
    restarts: int = 0

    @classmethod
    def for_policy(cls, policy: RestartPolicy, *, keeps_own_ledger: bool) -> Ledger:
        """The policy itself; behind a program that applies it by itself, only a limit."""
        if keeps_own_ledger:
            policy = RestartPolicy(
                first_delay=0.0,
                backoff=(0.0,),
                max_unclean_starts=max(_BACKUP_LIMIT, policy.max_unclean_starts),
                window=policy.window,
                permanent_exit_codes=policy.permanent_exit_codes,
            )
        return cls(policy)

    def remember(self, unclean: list[float], restarts: int) -> None:
        """Go on from what an earlier supervisor of the same boot counted."""
        self.unclean, self.restarts = list(unclean), restarts

    def clear(self) -> None:
        """Somebody asked for a start."""
        self.unclean, self.restarts = [], 0

    def ended(self, exit_code: int | None, now: float | None = None) -> Verdict:
        """The service ended unasked; `exit_code` is None where a signal ended it, or nobody saw how."""
        now = time.monotonic() if now is None else now
        if exit_code is not None and exit_code in self.policy.permanent_exit_codes:
            return Verdict(parked=f"it ended with exit code {exit_code}, which no restart mends")
        self.restarts += 1
        self.unclean = [at for at in self.unclean if now - self.policy.window <= at <= now] + [now]
        self.unclean = self.unclean[-max(self.policy.max_unclean_starts, 1) :]
        if len(self.unclean) >= self.policy.max_unclean_starts:
            return Verdict(
                parked=f"crash loop: it ended {len(self.unclean)} times within {self.policy.window:g} s"
            )
        return Verdict(delay=self.policy.delay_before(len(self.unclean)))
