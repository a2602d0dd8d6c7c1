"""What the pages of a profile are made of: their frame, facts, states, tables and forms."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from hermes_cli.dashboard.markup import Content, Html, el
from hermes_cli.faces.overview import MARKS, Tone
from hermes_cli.faces.reach import OK, Reach

from .shell import Place, csrf_field, document

STARTABLE = ("stopped", "parked")
"""Codes of a gateway that is down on purpose: starting it is what helps."""


def profile_page(
    place: Place,
    profile: str,
    title: str,
    *content: Content,
    reach: Reach = OK,
    crumbs: Sequence[tuple[str, str | None]] = (),
    events: str | None = None,
    script: str | None = None,
) -> Html:
    """A page of one profile. `crumbs`: the way to it, words and addresses. `events`: where its stream is.

    Where `reach` is not ok, the page says so, and comes back by itself when the gateway does.
    """
    return document(
        place,
        f"{title} · {profile}",
        el(
            "article",
            _crumbs(place, profile, crumbs),
            el("h1", title),
            reach_notice(place, profile, reach),
            el("p", id="said", role="status", class_="toast", hidden=True),
            *content,
            id="page",
            data_events=events,
            data_failed=reach != OK,
        ),
        scripts=[script] if script else [],
    )


def reach_notice(place: Place, profile: str, reach: Reach) -> Html:
    """Why the gateway cannot be reached and what to do; there, and hidden, where it can be."""
    start = form(place, place.profile_url(profile, "start"), button("Start the gateway"), stay=True)
    return el(
        "div",
        el("p", MARKS["bad"] + " ", el("span", reach.sentence, data_f="sentence"), class_="tone"),
        el("p", el("span", reach.next_step, data_f="next_step"), class_="note"),
        el("div", start, id="start", hidden=reach.code not in STARTABLE) if place.operator else None,
        id="reach",
        role="status",
        class_="notice",
        data_tone="bad",
        data_reach=reach.state,
        hidden=reach == OK,
    )


def part(name: str, *content: Content) -> Html:
    """A piece of the page that a script takes anew from the server when something has changed."""
    return el("div", *content, data_part=name, class_="part")


def facts(pairs: Iterable[tuple[str, Content]]) -> Html:
    """Names and values; those without a value are left out."""
    return el(
        "dl",
        [el("div", el("dt", name), el("dd", value)) for name, value in pairs if value],
        class_="facts",
    )


def pill(tone: Tone, words: str) -> Html:
    """A state: mark and words, and a colour besides."""
    return el("span", el("span", MARKS[tone], aria_hidden="true"), " ", words, class_="pill", data_tone=tone)


def when(seconds: float | None) -> Content:
    """A time of day, UTC, for people and machines."""
    if seconds is None:
        return None
    moment = time.gmtime(seconds)
    return el(
        "time",
        time.strftime("%Y-%m-%d %H:%M:%S", moment),
        datetime=time.strftime("%Y-%m-%dT%H:%M:%SZ", moment),
        title="UTC",
    )


def table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[Content]]) -> Html:
    """Rows of cells; the first of each is its heading. The roles are spelt out because a phone shows rows as
    blocks, which takes them away."""
    head = el("tr", [el("th", name, scope="col", role="columnheader") for name in columns], role="row")
    return el(
        "div",
        el(
            "table",
            el("caption", caption, class_="unseen"),
            el("thead", head, role="rowgroup"),
            el("tbody", [_row(columns, row) for row in rows], role="rowgroup"),
            role="table",
        ),
        class_="scroll",
        # What scrolls must be reached by the keyboard (WCAG 2.1.1).
        tabindex=0,
        role="region",
        aria_label=caption,
    )


def _row(columns: Sequence[str], cells: Sequence[Content]) -> Html:
    first, *rest = cells
    return el(
        "tr",
        el("th", first, scope="row", role="rowheader"),
        [
            el("td", cell, role="cell", data_label=name, class_="wide")
            for name, cell in zip(columns[1:], rest, strict=True)
        ],
        role="row",
    )


def form(place: Place, action: str, *content: Content, class_: str | None = None, stay: bool = False) -> Html:
    """A form that changes something; a script sends it without leaving the page.

    `stay`: with a script, this page remains, wherever the form leads without one.
    """
    return el(
        "form",
        csrf_field(place.csrf),
        *content,
        method="post",
        action=action,
        class_=class_,
        data_send=True,
        data_stay=stay,
    )


def button(words: str, *, name: str | None = None, value: str | None = None, look: str | None = None) -> Html:
    return el("button", words, type="submit", name=name, value=value, class_=look)


def confirmed(place: Place, action: str, words: str, question: str, sure: str, *content: Content) -> Html:
    """A form behind a second step, with or without scripts: `words` open it, `sure` sends it."""
    return el(
        "details",
        el("summary", words),
        form(place, action, el("p", question), *content, button(sure, look="danger"), class_="confirm"),
        class_="confirm",
    )


def hidden(name: str, value: str | None) -> Content:
    return el("input", type="hidden", name=name, value=value) if value else None


def field(label: str, control: Html, for_: str, hint: Content = None) -> Html:
    return el("div", el("label", label, for_=for_), control, hint, class_="field")


def select(name: str, label: str, choices: Sequence[tuple[str, str]], chosen: str) -> Html:
    options = [el("option", words, value=value, selected=value == chosen) for value, words in choices]
    return field(label, el("select", options, id=name, name=name), name)


def filters(action: str, *content: Content) -> Html:
    """A form that looks for something: what it says stands in the address."""
    return el("form", *content, button("Show"), method="get", action=action, class_="tools", role="search")


def later(words: str, href: str | None) -> Content:
    return el("nav", el("a", words, href=href, rel="next"), aria_label="More") if href else None


def empty(*content: Content) -> Html:
    return el("p", *content, class_="empty")


def _crumbs(place: Place, profile: str, crumbs: Sequence[tuple[str, str | None]]) -> Content:
    if not crumbs:
        return None
    steps = [("Overview", place.url()), (profile, place.profile_url(profile)), *crumbs]
    return el(
        "nav",
        el("ol", [el("li", el("a", words, href=href) if href else words) for words, href in steps]),
        aria_label="Where this is",
        class_="crumbs",
    )
