"""What a control of a run answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ControlResult:
    """`accepted`, or why nothing was changed."""

    accepted: bool
    status: str
    """accepted, unsupported, not-active, conflict or expired."""
    event_id: str | None
    safe_message: str
