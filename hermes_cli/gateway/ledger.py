"""The start-up ledger: whether a gateway starts at once, waits, or is parked as a crash loop.

Init-independent, because some inits cannot count: it knows only what the last run left in its home.
"""

from __future__ import annotations

from dataclasses import dataclass

from hermes_cli.service_manager.types import RestartPolicy

from .records import IntentRecord, State, StateRecord

CLEAN_ENDS: frozenset[State] = frozenset({"stopped", "failed"})
"""States a gateway leaves behind on purpose; any other was cut off."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When and where a start happens."""

    now: float
    """Seconds since the epoch."""
    boot_id: str
    init_start: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the ledger says about this start."""

    delay: float
    """Seconds to wait before starting."""
    unclean_starts: list[float]
    """What belongs into the state: oldest first, within the window, this start included if it is unclean."""
    restarts: int
    crash_loop: str | None = None
    """Why it is not to start at all."""


def judge(
    previous: StateRecord | None, intent: IntentRecord | None, moment: Moment, policy: RestartPolicy
) -> Verdict:
    """Judge a start at `moment` after `previous`, under what the operator asked for last."""
    requested = _requested_at(intent, moment.now)
    unclean = ended_uncleanly(previous, moment)
    if previous is None:
        return Verdict(0.0, [], 0)
    # A clock that was set back leaves entries in the future: they would count forever.
    oldest = max(moment.now - policy.window, requested)
    kept = sorted(at for at in previous.unclean_starts if oldest <= at <= moment.now)
    restarts = previous.restarts if previous.started_at >= requested else 0
    if unclean and previous.started_at >= requested:
        kept.append(moment.now)
        restarts += 1
    else:
        unclean = False
    kept = kept[-policy.max_unclean_starts :]
    if unclean and len(kept) >= policy.max_unclean_starts:
        return Verdict(0.0, kept, restarts, crash_loop=_sentence(len(kept), policy.window))
    return Verdict(policy.delay_before(len(kept)) if unclean else 0.0, kept, restarts)


def ended_uncleanly(previous: StateRecord | None, moment: Moment) -> bool:
    """Whether the last run was cut off, and not merely ended together with its container or machine."""
    if previous is None or previous.state in CLEAN_ENDS:
        return False
    return previous.boot_id == moment.boot_id and previous.init_start in (0, moment.init_start)


def _requested_at(intent: IntentRecord | None, now: float) -> float:
    if intent is None or intent.intent != "running" or intent.requested_at > now:
        return 0.0
    return intent.requested_at


def _sentence(count: int, window: float) -> str:
    return (
        f"crash loop: it ended uncleanly {count} times within {window:g} s; "
        "its log shows the last words of each"
    )
