"""The overview: every service in a table, and the log of one gateway."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from hermes_cli.dashboard.markup import Content, Html, el
from hermes_cli.faces.overview import Overview, Row

from .shell import Place, document

_COLUMNS = (
    ("name", "Gateway"),
    ("wanted", "Wanted"),
    ("actual", "Actual"),
    ("ready", "Ready"),
    ("pid", "PID"),
    ("uptime", "Uptime"),
    ("restarts", "Restarts"),
    ("last_exit", "Last exit"),
    ("port", "Port"),
)
_SERVICE_COLUMNS = ("name", "wanted", "actual", "ready", "pid", "uptime")

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
)


def overview_page(place: Place, overview: Overview, gateway: str, lines: Sequence[str], cursor: str) -> Html:
    """The whole page. `lines` are the latest of the log of `gateway`, `cursor` is behind them."""
    gateways = [row for row in overview.rows if row.profile is not None]
    services = [row for row in overview.rows if row.profile is None]
    return document(
        place,
        "Gateways",
        el(
            "section",
            el("h1", "Gateways"),
            _summary(overview),
            _table(place, "gateways", "Gateways", [name for name, _ in _COLUMNS], gateways, gateway),
            _first_steps(gateways),
            aria_label="Gateways",
        ),
        el(
            "section",
            el("h2", "Services of the container"),
            _table(place, "services", "Services of the container", _SERVICE_COLUMNS, services, gateway),
            id="service-section",
            hidden=not services,
        ),
        _log(place, gateways, gateway, lines, cursor),
        el("noscript", el("p", f"As of {_utc()}. Reload the page to see what is new.", class_="hint")),
        scripts=("overview.js", "log.js"),
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


def _table(
    place: Place, name: str, caption: str, columns: Sequence[str], rows: Sequence[Row], chosen: str
) -> Html:
    titles = dict(_COLUMNS)
    if name == "services":
        titles["name"] = "Service"
    blank = _BLANK if name == "gateways" else msgspec.structs.replace(_BLANK, profile=None)
    head = el(
        "tr", [el("th", titles[column], scope="col", role="columnheader") for column in columns], role="row"
    )
    return el(
        "div",
        # The roles are spelt out because a phone shows rows as blocks, which takes them away.
        el(
            "table",
            el("caption", caption, class_="unseen"),
            el("thead", head, role="rowgroup"),
            el(
                "tbody",
                [_row(place, columns, titles, row, row.profile == chosen) for row in rows],
                id=name,
                role="rowgroup",
            ),
            role="table",
        ),
        el("template", _row(place, columns, titles, blank, False), id=f"{name}-row"),
        class_="scroll",
    )


def _row(place: Place, columns: Sequence[str], titles: dict[str, str], row: Row, chosen: bool) -> Html:
    return el(
        "tr",
        [_cell(place, column, titles[column], row, chosen) for column in columns],
        role="row",
        data_service=row.service,
        data_tone=row.tone,
        data_since=row.since,
    )


def _cell(place: Place, column: str, title: str, row: Row, chosen: bool) -> Html:
    if column == "name":
        content: Content = el("span", row.name, data_f="name")
        if row.profile is not None:
            content = el(
                "a",
                row.name,
                href=f"{place.url(gateway=row.profile)}#log",
                data_f="name",
                aria_current="true" if chosen else None,
            )
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


def _first_steps(gateways: Sequence[Row]) -> Html:
    """What to do while there is only the gateway that is always there."""
    return el(
        "p",
        "Another profile gets a gateway of its own: ",
        el("code", "hermes profile create NAME"),
        ", then ",
        el("code", "hermes -p NAME gateway start"),
        ".",
        class_="hint",
        id="first-steps",
        hidden=len(gateways) > 1,
    )


def _log(place: Place, gateways: Sequence[Row], gateway: str, lines: Sequence[str], cursor: str) -> Html:
    command = "hermes gateway start" if gateway == "default" else f"hermes -p {gateway} gateway start"
    chooser = el(
        "form",
        el("label", "Log of", for_="gateway"),
        el(
            "select",
            [el("option", row.name, value=row.profile, selected=row.profile == gateway) for row in gateways],
            id="gateway",
            name="gateway",
        ),
        el("button", "Show", type="submit"),
        el(
            "label",
            el("input", type="checkbox", id="follow", checked=True),
            " Follow",
            class_="follow",
            hidden=True,
        ),
        method="get",
        action=place.url(),
        class_="chooser",
    )
    return el(
        "section",
        el("h2", f"Log of {gateway}"),
        chooser,
        el(
            "p",
            "Nothing has been written here yet. ",
            el("code", command),
            " starts the gateway; what it says appears here.",
            id="log-empty",
            class_="empty",
            hidden=bool(lines),
        ),
        el(
            "div",
            [el("div", line or "\u00a0", class_="line") for line in lines],
            id="lines",
            class_="lines",
            role="log",
            aria_live="off",
            aria_label=f"Log of {gateway}",
            tabindex=0,
            hidden=not lines,
        ),
        id="log",
        data_events=place.url("/events/log", gateway=gateway, cursor=cursor),
    )


def _utc() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
