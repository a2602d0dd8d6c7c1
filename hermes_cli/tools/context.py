"""Who calls a tool, from where, and how to reach the caller while it works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hermes_cli.processes.types import Owner


@dataclass(frozen=True, slots=True)
class Progress:
    """What a command has done since the last time, for the caller's eyes."""

    session_id: str
    status: str
    uptime_seconds: float
    output: str
    """New output; at most 64 KiB, the rest comes next time."""


@dataclass(frozen=True, slots=True)
class ToolContext:
    """One call's surroundings."""

    owner: Owner = field(default_factory=Owner)
    """Processes belong to it; with a session_key, or else a task_id, no others can be seen or touched."""
    workspace: str | None = None
    """Absolute directory where commands run that name none, and that relative ones start from."""
    home_directory: str | None = None
    """What `~` means where the commands run; None where that is not known."""
    interrupted: Callable[[], bool] | None = None
    """Says that the caller wants its answer now: a foreground command is ended, a wait is not continued."""
    progress: Callable[[Progress], None] | None = None
    """Called every check_interval seconds, from a thread of the tool's."""
