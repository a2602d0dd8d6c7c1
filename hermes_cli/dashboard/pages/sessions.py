"""A profile's conversations: all of them, and one with what is said next."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hermes_cli.dashboard.markup import Content, Html, el
from hermes_cli.faces.conversation import Conversation, Turn
from hermes_cli.faces.printable import plain
from hermes_cli.faces.reach import Reach
from hermes_cli.faces.run_words import run_look
from hermes_cli.gateway.run_api import SessionView

from . import parts
from .shell import Place

_WHO = {"message": "You", "answer": "Agent"}


class SessionsView(msgspec.Struct, kw_only=True):
    sessions: list[SessionView]
    more: str | None
    """The id to go on behind, where there are more."""


def sessions_page(
    place: Place, profile: str, view: SessionsView | None, reach: Reach, key: str, events: str
) -> Html:
    here = place.profile_url(profile, "sessions")
    return parts.profile_page(
        place,
        profile,
        "Sessions",
        _say(place, here, key, "Begin a session") if place.operator else None,
        parts.part("sessions", _table(place, profile, view) if view else None),
        reach=reach,
        events=events,
        script="list.js",
    )


def session_page(
    place: Place,
    profile: str,
    session_id: str,
    found: Conversation | None,
    reach: Reach,
    key: str,
    events: str,
) -> Html:
    here = place.profile_url(profile, f"sessions/{session_id}")
    return parts.profile_page(
        place,
        profile,
        (found and found.title) or session_id,
        parts.part("turns", _turns(place, profile, found) if found else None),
        _answer(),
        _say(place, f"{here}/messages", key, "Say something") if place.operator and found else None,
        _more(place, here) if found else None,
        crumbs=(("Sessions", place.profile_url(profile, "sessions")), (session_id, None)),
        reach=reach,
        events=events,
        script="session.js",
    )


def _say(place: Place, action: str, key: str, label: str) -> Html:
    """`key` makes a message that is sent twice one message; it is another after each."""
    return parts.form(
        place,
        action,
        parts.part("key", parts.hidden("key", key)),
        parts.field(
            label,
            el("textarea", id="message", name="message", required=True, rows=3, maxlength=100_000),
            "message",
        ),
        el("div", parts.button("Send", look="primary"), class_="actions"),
        class_="panel",
    )


def _table(place: Place, profile: str, view: SessionsView) -> Content:
    if not view.sessions:
        return parts.empty(
            "Nobody has talked with this profile's agent yet. Say something above, or ",
            el("code", f"hermes -p {profile} chat"),
            ".",
        )
    following = place.profile_url(profile, "sessions", before=view.more) if view.more else None
    return [
        parts.table(
            "Sessions",
            ("Session", "About", "Runs", "Now", "Last active"),
            [_row(place, profile, session) for session in view.sessions],
        ),
        parts.later("Earlier sessions", following),
    ]


def _row(place: Place, profile: str, session: SessionView) -> Sequence[Content]:
    active = session.active_run_id
    return (
        el("a", session.session_id, href=place.profile_url(profile, f"sessions/{session.session_id}")),
        plain(session.title, 160),
        str(session.runs),
        el("a", parts.pill("busy", "answering"), href=place.profile_url(profile, f"runs/{active}"))
        if active
        else "",
        parts.when(session.last_active_at),
    )


def _turns(place: Place, profile: str, found: Conversation) -> Content:
    left_out = found.left_out
    return [
        el("p", f"{left_out} earlier turns are in the export.", class_="hint") if left_out else None,
        el("ol", [_turn(place, profile, turn) for turn in found.turns], class_="turns"),
        _now(place, profile, found),
        None if found.turns else parts.empty("Nothing has been said here yet."),
    ]


def _turn(place: Place, profile: str, turn: Turn) -> Content:
    if turn.kind == "reset":
        return el("li", el("p", "The conversation began anew here.", class_="hint"), data_role="reset")
    if turn.kind == "answer" and turn.at is None:
        return None  # it stands below, as it comes
    run = el("a", turn.status or "run", href=place.profile_url(profile, f"runs/{turn.run_id}"))
    return el(
        "li",
        el(
            "header",
            el("strong", _WHO[turn.kind]),
            parts.when(turn.at),
            run if turn.kind == "answer" else None,
        ),
        el("div", turn.text, class_="text"),
        el("p", turn.note, class_="note"),
        class_="turn",
        data_role="user" if turn.kind == "message" else "agent",
        data_run=turn.run_id,
    )


def _now(place: Place, profile: str, found: Conversation) -> Content:
    """What is going on, and where it can be stopped or allowed."""
    if found.active is None:
        return None
    look = run_look(found.active)
    where = place.profile_url(profile, f"runs/{found.active.run_id}")
    return el(
        "p",
        parts.pill(look.tone, look.words),
        " ",
        el("a", "Look at the run", href=where),
        ": what it says so far, and what can be asked of it.",
        data_active=found.active.run_id,
    )


def _answer() -> Html:
    """Where a script puts the answer that comes."""
    return el(
        "div",
        id="output",
        class_="terminal",
        role="log",
        aria_live="polite",
        aria_label="The answer as it comes",
        tabindex=0,
        hidden=True,
    )


def _more(place: Place, here: str) -> Html:
    question = "The session goes, with its runs and its log, for good."
    return el(
        "div",
        el("a", "Export", href=f"{here}/export", download=True, class_="button"),
        parts.confirmed(place, f"{here}/delete", "Delete…", question, "Delete this session")
        if place.operator
        else None,
        class_="tools",
    )
