"""The overview: every service in a table, what can be done to it, and what happened."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import msgspec

from hermes_cli.dashboard.markup import Content, Html, el
from hermes_cli.faces.overview import Overview, Row, Verb
from hermes_cli.faces.timeline import Timeline

from .shell import Place, csrf_field, document
from .timeline import timeline_section

_GATEWAY_COLUMNS: Mapping[str, str] = {
    "name": "Gateway",
    "wanted": "Wanted",
    "actual": "Actual",
    "ready": "Ready",
    "uptime": "Uptime",
    "restarts": "Restarts",
    "last_exit": "Last exit",
    "port": "Port",
    "memory": "Memory",
    "cpu": "CPU",
    "runs": "Runs",
    "processes": "Processes",
}
_SERVICE_COLUMNS: Mapping[str, str] = {
    "name": "Service",
    "wanted": "Wanted",
    "actual": "Actual",
    "ready": "Ready",
    "uptime": "Uptime",
    "memory": "Memory",
    "cpu": "CPU",
    "pid": "PID",
}
_VERBS: Mapping[Verb, tuple[str, str]] = {
    "start": ("Start", "start"),
    "unpark": ("Unpark", "start"),
    "stop": ("Stop", "stop"),
    "restart": ("Restart", "restart"),
}
"""What the button says, and the last part of the address it is sent to."""

_BLANK = Row(
    service="",
    profile="",
    name="",
    wanted="",
    actual="",
    tone="idle",
    mark="",
    ready="",
    pid="",
    since=None,
    restarts="",
    last_exit="",
    parked="",
    port="",
    memory="",
    cpu="",
    runs="",
    processes="",
    note="",
    verbs=[],
)


def overview_page(place: Place, overview: Overview, story: Timeline, window: str) -> Html:
    """The whole page. `window` names the stretch of time that `story` tells."""
    gateways = [row for row in overview.rows if row.profile is not None]
    services = [row for row in overview.rows if row.profile is None]
    return document(
        place,
        "Overview",
        el(
            "section",
            el(
                "div",
                el("h1", "Gateways"),
                el("a", "New profile", href=place.url("/create-profile"), class_="button end")
                if place.operator
                else None,
                class_="tools",
            ),
            _summary(overview),
            el("p", id="said", role="status", class_="toast", hidden=True),
            _table(place, "gateways", "Gateways", _GATEWAY_COLUMNS, gateways),
            _first_steps(place, gateways),
            el("form", csrf_field(place.csrf), id="verbs", method="post", action=place.url())
            if place.operator
            else None,
            aria_label="Gateways",
        ),
        timeline_section(place, story, window, overview.story),
        el(
            "section",
            el("h2", "Services of the container"),
            _table(place, "services", "Services of the container", _SERVICE_COLUMNS, services),
            id="service-section",
            hidden=not services,
        ),
        el("noscript", el("p", f"As of {_utc()}. Reload the page to see what is new.", class_="hint")),
        scripts=["overview.js"],
    )


def _summary(overview: Overview) -> Content:
    return [
        el(
            "p",
            el("span", overview.mark, aria_hidden="true", data_f="mark"),
            " ",
            el("span", overview.summary, data_f="summary"),
            id="summary",
            class_="summary",
            data_tone=overview.tone,
            role="status",
        ),
        el(
            "ul",
            [el("li", problem) for problem in overview.problems],
            id="problems",
            class_="problems",
            hidden=not overview.problems,
        ),
    ]


def _table(place: Place, name: str, caption: str, columns: Mapping[str, str], rows: Sequence[Row]) -> Html:
    blank = _BLANK if name == "gateways" else msgspec.structs.replace(_BLANK, profile=None)
    acting = name == "gateways" and place.operator
    titles = [*columns.values(), *(["Actions"] if acting else [])]
    head = el("tr", [el("th", title, scope="col", role="columnheader") for title in titles], role="row")
    return el(
        "div",
        # The roles are spelt out because a phone shows rows as blocks, which takes them away.
        el(
            "table",
            el("caption", caption, class_="unseen"),
            el("thead", head, role="rowgroup"),
            el("tbody", [_row(place, columns, row) for row in rows], id=name, role="rowgroup"),
            role="table",
        ),
        el("template", _row(place, columns, blank), id=f"{name}-row"),
        class_="scroll",
        # What scrolls must be reached by the keyboard (WCAG 2.1.1).
        tabindex=0,
        role="region",
        aria_label=caption,
    )


def _row(place: Place, columns: Mapping[str, str], row: Row) -> Html:
    acting = row.profile is not None and place.operator
    return el(
        "tr",
        [_cell(place, column, title, row) for column, title in columns.items()],
        _actions(place, row) if acting else None,
        role="row",
        data_service=row.service,
        data_tone=row.tone,
        data_since=row.since,
    )


def _cell(place: Place, column: str, title: str, row: Row) -> Html:
    if column == "name":
        content: Content = el("span", row.name, data_f="name")
        if row.profile is not None:
            content = el("a", row.name, href=place.profile_url(row.profile, "logs"), data_f="name")
        return el("th", content, scope="row", role="rowheader")
    if column == "actual":
        content = [
            el("span", row.mark, aria_hidden="true", data_f="mark", class_="mark"),
            " ",
            el("span", row.actual, data_f="actual"),
            el("span", row.note, data_f="note", class_="note"),
        ]
        return el("td", content, role="cell", data_label=title, class_="actual")
    text = row.uptime() if column == "uptime" else str(getattr(row, column))
    return el("td", el("span", text, data_f=column), role="cell", data_label=title)


def _actions(place: Place, row: Row) -> Html:
    """Every button is there; those that make no sense now are hidden, and the script shows them in turn."""
    profile = row.profile or ""
    buttons = [
        el(
            "button",
            words,
            form="verbs",
            formaction=place.profile_url(profile, path),
            data_verb=verb,
            aria_label=f"{words} {row.name}",
            hidden=verb not in row.verbs,
        )
        for verb, (words, path) in _VERBS.items()
    ]
    delete = el(
        "a",
        "Delete…",
        href=place.profile_url(profile, "delete"),
        class_="button quiet",
        data_delete=True,
        aria_label=f"Delete {row.name}…",
        hidden=profile == "default",
    )
    content = el("div", buttons, delete, class_="actions")
    return el("td", content, role="cell", data_label="Actions", class_="actions")


def _first_steps(place: Place, gateways: Sequence[Row]) -> Html:
    """What to do while there is only the gateway that is always there."""
    here = (
        [el("a", "make one here", href=place.url("/create-profile")), ", or by "] if place.operator else None
    )
    return el(
        "p",
        "Another profile gets a gateway of its own: ",
        here,
        el("code", "hermes profile create NAME"),
        ", then ",
        el("code", "hermes -p NAME gateway start"),
        ".",
        class_="hint",
        id="first-steps",
        hidden=len(gateways) > 1,
    )


def _utc() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
