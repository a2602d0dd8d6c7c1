"""A profile's runs: all of them, and one with what it says."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hermes_cli.dashboard.markup import Content, Html, el
from hermes_cli.dashboard.pieces import Piece
from hermes_cli.faces.printable import plain, plain_text
from hermes_cli.faces.reach import Reach
from hermes_cli.faces.run_words import run_look
from hermes_cli.gateway.run_api import RunView

from . import parts
from .shell import Place

STATUSES = (
    ("", "All"),
    ("queued,running,awaiting_approval,awaiting_clarify,cancelling", "Going on"),
    ("awaiting_approval,awaiting_clarify", "Waiting for somebody"),
    ("completed", "Completed"),
    ("failed", "Failed"),
    ("cancelled", "Cancelled"),
    ("interrupted", "Interrupted"),
    ("expired", "Expired"),
)
"""What the list can be narrowed to."""

_TITLE = 120


class RunsView(msgspec.Struct, kw_only=True):
    """The list as it is asked for."""

    runs: list[RunView]
    status: str
    more: str | None
    """The id to go on behind, where there are more."""


class Saying(msgspec.Struct, kw_only=True):
    """What a run has said up to a cursor."""

    pieces: list[Piece]
    cursor: str
    cut: bool = False
    """Its beginning is removed."""
    more: bool = False
    """There is more behind the cursor already."""


class Approval(msgspec.Struct, kw_only=True):
    """What a run waits to be allowed. The texts are safe."""

    approval_id: str
    description: str
    command: str


def runs_page(place: Place, profile: str, view: RunsView | None, reach: Reach, key: str, events: str) -> Html:
    """`key` makes a start that is sent twice one start."""
    here = place.profile_url(profile, "runs")
    return parts.profile_page(
        place,
        profile,
        "Runs",
        _start(place, here, key) if place.operator else None,
        parts.filters(here, parts.select("status", "State", STATUSES, view.status if view else "")),
        parts.part("runs", _table(place, profile, view) if view else None),
        reach=reach,
        events=events,
        script="list.js",
    )


def run_page(
    place: Place,
    profile: str,
    run: RunView | None,
    *,
    saying: Saying | None,
    approval: Approval | None,
    reach: Reach,
    raw: bool,
    run_id: str,
    events: str,
    key: str,
) -> Html:
    """One run. `raw`: its events as they are, not as text."""
    here = place.profile_url(profile, f"runs/{run_id}")
    return parts.profile_page(
        place,
        profile,
        run_id,
        parts.part("run", _head(place, profile, run) if run else None),
        parts.part("controls", _controls(place, here, run, approval, key) if run else None),
        _views(here, raw),
        _raw(saying) if raw else _text(saying),
        _continued(here, saying, raw),
        crumbs=(("Runs", place.profile_url(profile, "runs")), (run_id, None)),
        reach=reach,
        events=events,
        script="run.js",
    )


def _start(place: Place, action: str, key: str) -> Html:
    return parts.form(
        place,
        action,
        parts.hidden("key", key),
        parts.field(
            "Start a run in a new session",
            el("textarea", id="message", name="message", required=True, rows=2, maxlength=100_000),
            "message",
        ),
        el("div", parts.button("Start", look="primary"), class_="actions"),
        class_="panel",
    )


def _table(place: Place, profile: str, view: RunsView) -> Content:
    if not view.runs:
        if view.status:
            return parts.empty("No run is in this state.")
        return parts.empty(
            "This profile's agent has not been asked for anything yet. Start a run above, or say ",
            el("code", f"hermes -p {profile} run start MESSAGE"),
            ".",
        )
    rows = [_row(place, profile, run) for run in view.runs]
    query = {"status": view.status, "before": view.more}
    following = place.profile_url(profile, "runs", **query) if view.more else None
    return [
        parts.table("Runs", ("Run", "State", "Message", "Started", "Ended", "Session"), rows),
        parts.later("Earlier runs", following),
    ]


def _row(place: Place, profile: str, run: RunView) -> list[Content]:
    look = run_look(run)
    return [
        el("a", run.run_id, href=place.profile_url(profile, f"runs/{run.run_id}")),
        [parts.pill(look.tone, look.words), el("span", look.note, class_="note")],
        plain(run.message, _TITLE),
        parts.when(run.started_at or run.created_at),
        parts.when(run.ended_at),
        el("a", run.session_id, href=place.profile_url(profile, f"sessions/{run.session_id}")),
    ]


def _head(place: Place, profile: str, run: RunView) -> Content:
    look = run_look(run)
    session = el("a", run.session_id, href=place.profile_url(profile, f"sessions/{run.session_id}"))
    retried = el("a", run.retry_of, href=place.profile_url(profile, f"runs/{run.retry_of}"))
    return [
        el(
            "p",
            parts.pill(look.tone, look.words),
            el("span", look.note, class_="note"),
            data_status=run.status,
        ),
        el("pre", plain_text(run.message), class_="message"),
        parts.facts(
            (
                ("Session", session),
                ("Agent", plain(run.agent, 60)),
                ("Asked", parts.when(run.created_at)),
                ("Started", parts.when(run.started_at)),
                ("Ended", parts.when(run.ended_at)),
                ("Deadline", parts.when(run.deadline_at) if run.terminal_state is None else None),
                ("Asked by", plain(run.source or "", 60)),
                ("Directory", plain(run.workspace or "", 200)),
                ("Again of", retried if run.retry_of else None),
            )
        ),
    ]


def _controls(place: Place, here: str, run: RunView, approval: Approval | None, key: str) -> Content:
    asked = (
        [
            el("p", "It waits to be allowed: ", el("strong", approval.description)),
            el("pre", approval.command, class_="message"),
        ]
        if approval
        else []
    )
    if not place.operator:
        return el("div", asked, class_="notice", data_tone="busy") if asked else None
    found: list[Content] = []
    if approval and "approval" in run.active_controls:
        answer = parts.form(
            place,
            f"{here}/approval",
            parts.hidden("approval_id", approval.approval_id),
            el(
                "div",
                parts.button("Allow it", name="decision", value="approve", look="danger"),
                parts.button("Deny it", name="decision", value="deny"),
                class_="actions",
            ),
        )
        found.append(el("div", asked, answer, class_="notice", data_tone="busy"))
    if "cancel" in run.active_controls and run.cancel_requested_at is None:
        question = "It ends, down to the last process that it began."
        found.append(parts.confirmed(place, f"{here}/cancel", "Cancel…", question, "Cancel this run"))
    if run.terminal_state is not None:
        found.append(
            parts.form(place, f"{here}/retry", parts.hidden("key", key), parts.button("Run it again"))
        )
    return found


def _views(here: str, raw: bool) -> Html:
    return el(
        "nav",
        el(
            "ul",
            el("li", el("a", "What it says", href=here, aria_current=None if raw else "page")),
            el("li", el("a", "Events", href=f"{here}?view=events", aria_current="page" if raw else None)),
        ),
        aria_label="Views",
        class_="tabs",
    )


def _text(saying: Saying | None) -> Content:
    pieces: Sequence[Piece] = saying.pieces if saying else ()
    return [
        el("p", "Its beginning has been removed.", class_="hint", hidden=not (saying and saying.cut)),
        el(
            "div",
            [
                el("span", one[1]) if one[0] == "text" else el("div", one[2], class_="hint", data_type=one[1])
                for one in pieces
            ],
            id="output",
            class_="terminal",
            role="log",
            aria_live="off",
            aria_label="What the run says",
            tabindex=0,
        ),
    ]


def _raw(saying: Saying | None) -> Content:
    rows = [_event(*one[1:]) for one in saying.pieces] if saying else []
    head = el("tr", [el("th", name, scope="col") for name in ("Number", "Time", "Type", "Payload")])
    return el(
        "div",
        el(
            "table",
            el("caption", "Events", class_="unseen"),
            el("thead", head),
            el("tbody", rows, id="rows"),
        ),
        class_="scroll",
        tabindex=0,
        role="region",
        aria_label="Events",
    )


def _event(seq: int, at: float, kind: str, payload: str) -> Html:
    return el(
        "tr",
        el("th", str(seq), scope="row"),
        el("td", parts.when(at)),
        el("td", kind),
        el("td", el("code", payload) if payload else "", class_="wide"),
    )


def _continued(here: str, saying: Saying | None, raw: bool) -> Content:
    """The next page of it where no script goes on."""
    if saying is None or not saying.more:
        return None
    view = "&view=events" if raw else ""
    return el("noscript", parts.later("What comes next", f"{here}?cursor={saying.cursor}{view}"))
