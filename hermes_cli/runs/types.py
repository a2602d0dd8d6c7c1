"""The shapes of runs, sessions and events, on disk and in answers. Times are seconds since the epoch."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

RunStatus = Literal[
    "queued",
    "running",
    "awaiting_approval",
    "awaiting_clarify",
    "cancelling",
    "completed",
    "failed",
    "cancelled",
    "interrupted",
    "expired",
]
TerminalState = Literal["completed", "failed", "cancelled", "interrupted", "expired"]

TERMINAL: frozenset[str] = frozenset({"completed", "failed", "cancelled", "interrupted", "expired"})
ACTIVE: frozenset[str] = frozenset({"running", "awaiting_approval", "awaiting_clarify", "cancelling"})
"""At most one run of a session is in one of these."""

Conflict = Literal["reject", "queue"]


class RunRequest(msgspec.Struct, kw_only=True):
    """What a client asks for."""

    message: str
    session_id: str | None = None
    """None begins a new session."""
    attachments: list[str] = []
    workspace: str | None = None
    profile: str | None = None
    provider: str | None = None
    model: str | None = None
    toolsets: list[str] = []
    source: str | None = None
    metadata: dict[str, Any] = {}
    on_conflict: Conflict | None = None
    """What becomes of it where the session has an active run; None is the profile's policy."""
    deadline_seconds: float | None = None


class Run(msgspec.Struct, kw_only=True):
    """One run as the store has it."""

    run_id: str
    session_id: str
    status: RunStatus
    agent: str
    request: RunRequest
    created_at: float
    started_at: float | None = None
    ended_at: float | None = None
    last_seq: int = 0
    """Number of its latest event; 0 before the first."""
    first_seq: int = 1
    """Number of the oldest event that has not been removed by retention."""
    terminal_state: TerminalState | None = None
    process_id: str | None = None
    """The background process that executes it."""
    began: bool = False
    """The process is known to have run: it is never started again."""
    output_cursor: int = 0
    """Bytes of that process's output that are in the journal, written together with their events."""
    cancel_requested_at: float | None = None
    pending_approval_id: str | None = None
    approved: bool = False
    """A person has allowed what is dangerous about it."""
    pending_clarify_id: str | None = None
    deadline_at: float | None = None
    translator: dict[str, Any] = {}
    """What the agent's translator has to know to go on behind `output_cursor`."""
    stalled_since: float | None = None
    """When it last said anything, if that is longer ago than the profile's limit."""
    lease: str | None = None
    """`PID-START-BOOT` of the gateway that has it in its hands."""
    retry_of: str | None = None
    exit_code: int | None = None
    reason: str = ""


class Lease(msgspec.Struct, kw_only=True, frozen=True):
    """Whose the runs of a store are."""

    holder: str
    """`PID-START-BOOT` of the gateway."""
    epoch: int
    """One more with each gateway that took the runs over."""
    taken_at: float
    beat_at: float
    """When the holder last said that it follows its runs; it says so while there are any."""


class Session(msgspec.Struct, kw_only=True):
    """A conversation: an ordered list of runs."""

    session_id: str
    created_at: float
    last_active_at: float
    title: str = ""
    runs: int = 0
    reset_at: float | None = None
    """When its conversation last began anew, because nobody had gone on with it for long."""
    version: int = 1


class Event(msgspec.Struct, kw_only=True):
    """One entry of a run's journal."""

    event_id: str
    """`<run>:<seq>`."""
    seq: int
    run_id: str
    session_id: str
    type: str
    created_at: float
    terminal: bool = False
    payload: dict[str, Any] = {}


class NewEvent(msgspec.Struct, kw_only=True):
    """An event that has no number yet."""

    type: str
    payload: dict[str, Any] = {}
    terminal: TerminalState | None = None
    """Set on the one that ends the run."""


def event_id(run_id: str, seq: int) -> str:
    return f"{run_id}:{seq}"
