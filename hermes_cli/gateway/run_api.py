"""The bodies that are sent to /v1/runs and /v1/sessions, and the shapes of their answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from hermes_cli.runs.types import (
    TERMINAL,
    Conflict,
    Event,
    Run,
    RunRequest,
    RunStatus,
    Session,
    TerminalState,
)

Name = Annotated[str, Meta(max_length=256)]
Label = Annotated[str, Meta(max_length=256, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/@+-]*$")]
Path = Annotated[str, Meta(max_length=4096)]
Seconds = Annotated[float, Meta(gt=0, le=30 * 86400)]

ControlStatus = Literal["accepted", "unsupported", "not-active", "conflict", "expired"]

_MOST_NAMES = 100


class Body(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a client sends. A key that is not known is a mistake, and named."""


class RunBody(Body):
    """What to run. `attachments`, `provider`, `model` and `toolsets` are for agents that have a use for them:
    /v1/capabilities says which, and a run that names another is refused as `unsupported`."""

    message: str
    session_id: Name | None = None
    """The session to go on with; without one a new one is begun."""
    attachments: Annotated[list[Path], Meta(max_length=_MOST_NAMES)] = []
    """Files that are in the workspace, by their paths from there or by absolute ones."""
    workspace: Path | None = None
    """Absolute; the profile's workspace where there is none."""
    profile: Name | None = None
    """Has to be this gateway's own, where it is said."""
    provider: Label | None = None
    """`agent.provider` if not said."""
    model: Label | None = None
    """`agent.model` if not said."""
    toolsets: Annotated[list[Label], Meta(max_length=_MOST_NAMES)] = []
    source: Name | None = None
    """Which face asks."""
    metadata: dict[str, Any] = {}
    on_conflict: Conflict | None = None
    """What becomes of it where the session is busy; `runs.on_conflict` if not said."""
    deadline_seconds: Seconds | None = None
    """`runs.deadline` if not said."""

    def request(self) -> RunRequest:
        return RunRequest(**{name: getattr(self, name) for name in self.__struct_fields__})


class EmptyBody(Body):
    """Nothing."""


class ApprovalBody(Body):
    decision: Literal["approve", "deny"]
    approval_id: Name | None = None
    """The one that is meant; without it, whichever is pending."""


class ClarificationBody(Body):
    answer: str


class MessageBody(Body):
    message: str


class GoalBody(Body):
    goal: str


class RunStarted(msgspec.Struct, kw_only=True):
    run_id: str
    session_id: str
    stream_id: str
    """What names its events: they are at /v1/runs/{stream_id}/events."""
    status: RunStatus
    started_at: float | None
    cursor: str
    """Where its events begin."""
    active_controls: list[str]
    retry_of: str | None = None


class RunView(msgspec.Struct, kw_only=True):
    """How a run is. Secrets in its message are masked."""

    run_id: str
    session_id: str
    status: RunStatus
    last_event_id: str | None
    terminal_state: TerminalState | None
    active_controls: list[str]
    """What can be asked of it now, and will be done."""
    pending_approval_id: str | None
    pending_clarify_id: str | None
    agent: str
    message: str
    """In lists the beginning alone."""
    workspace: str | None
    attachments: list[str]
    provider: str | None
    model: str | None
    toolsets: list[str]
    source: str | None
    metadata: dict[str, Any]
    created_at: float
    started_at: float | None
    ended_at: float | None
    deadline_at: float | None
    cancel_requested_at: float | None
    stalled: bool
    """It has said nothing for longer than `runs.stalled_after`."""
    stalled_since: float | None
    retry_of: str | None
    exit_code: int | None
    reason: str


class Runs(msgspec.Struct, kw_only=True):
    runs: list[RunView]


class RunEvent(Event, kw_only=True):
    """One event of a run. It never changes, and no number is left out."""


class EventPage(msgspec.Struct, kw_only=True):
    run_id: str
    events: list[RunEvent]
    cursor: str
    """Behind the last of `events`: what to ask with next."""
    last_event_id: str | None
    """The run's latest event; what is between it and `cursor` is there already."""
    status: RunStatus
    terminal_state: TerminalState | None
    """Set when the run has ended. There is nothing more once `cursor` is `last_event_id` then."""


class Controlled(msgspec.Struct, kw_only=True):
    """What became of a control. Unless `accepted`, nothing was changed."""

    accepted: bool
    status: ControlStatus
    event_id: str | None
    safe_message: str


class SessionView(msgspec.Struct, kw_only=True):
    session_id: str
    title: str
    runs: int
    created_at: float
    last_active_at: float
    reset_at: float | None
    """When its conversation last began anew, because nobody had gone on with it for a day."""
    active_run_id: str | None
    latest_run_id: str | None


class Sessions(msgspec.Struct, kw_only=True):
    sessions: list[SessionView]


class SessionDeleted(msgspec.Struct, kw_only=True):
    session_id: str
    runs: int
    """How many went with it."""
    status: Literal["deleted"] = "deleted"


BODIES: tuple[type[Body], ...] = (
    *(RunBody, EmptyBody, ApprovalBody, ClarificationBody, MessageBody, GoalBody),
)
ANSWERS: tuple[Any, ...] = (
    *(RunStarted, RunView, Runs, EventPage, RunEvent, Controlled, SessionView, Sessions, SessionDeleted),
)


def active_controls(run: Run, agent_controls: frozenset[str]) -> list[str]:
    """What can be asked of the run as it is."""
    if run.status in TERMINAL:
        return []
    found = {"cancel"}
    if run.pending_approval_id is not None:
        found |= {"approval"} & agent_controls
    if run.pending_clarify_id is not None:
        found |= {"clarify"} & agent_controls
    if run.status == "running":
        found |= {"message", "goal"} & agent_controls
    return sorted(found)


def last_event_id(run: Run) -> str | None:
    return f"{run.run_id}:{run.last_seq}" if run.last_seq else None


def run_started(run: Run, agent_controls: frozenset[str]) -> RunStarted:
    return RunStarted(
        run_id=run.run_id,
        session_id=run.session_id,
        stream_id=run.run_id,
        status=run.status,
        started_at=run.started_at,
        cursor=f"{run.run_id}:0",
        active_controls=active_controls(run, agent_controls),
        retry_of=run.retry_of,
    )


def run_view(run: Run, agent_controls: frozenset[str], message: str) -> RunView:
    """`message`: the run's, with its secrets masked."""
    return RunView(
        run_id=run.run_id,
        session_id=run.session_id,
        status=run.status,
        last_event_id=last_event_id(run),
        terminal_state=run.terminal_state,
        active_controls=active_controls(run, agent_controls),
        pending_approval_id=run.pending_approval_id,
        pending_clarify_id=run.pending_clarify_id,
        agent=run.agent,
        message=message,
        workspace=run.request.workspace,
        attachments=run.request.attachments,
        provider=run.request.provider,
        model=run.request.model,
        toolsets=run.request.toolsets,
        source=run.request.source,
        metadata=run.request.metadata,
        created_at=run.created_at,
        started_at=run.started_at,
        ended_at=run.ended_at,
        deadline_at=run.deadline_at,
        cancel_requested_at=run.cancel_requested_at,
        stalled=run.stalled_since is not None,
        stalled_since=run.stalled_since,
        retry_of=run.retry_of,
        exit_code=run.exit_code,
        reason=run.reason,
    )


def session_view(session: Session, active: str | None, latest: str | None, title: str) -> SessionView:
    """`title`: the session's, with its secrets masked."""
    return SessionView(
        session_id=session.session_id,
        title=title,
        runs=session.runs,
        created_at=session.created_at,
        last_active_at=session.last_active_at,
        reset_at=session.reset_at,
        active_run_id=active,
        latest_run_id=latest,
    )
