"""The log of a profile's gateway: as it grows, what was searched for in it, or around a moment."""

from __future__ import annotations

from collections.abc import Sequence

from hermes_cli.dashboard.markup import Content, Html, el
from hermes_cli.faces.log_search import LONGEST, Found, Line, Moment

from . import parts
from .shell import Place

_EMPTY = "\u00a0"


def log_page(place: Place, profile: str, lines: Sequence[str], events: str) -> Html:
    """The last lines, and those that come."""
    command = "hermes gateway start" if profile == "default" else f"hermes -p {profile} gateway start"
    return parts.profile_page(
        place,
        profile,
        "Log",
        _tools(place, profile, follow=True),
        el(
            "p",
            "Nothing has been written here yet. ",
            el("code", command),
            " starts the gateway; what it says appears here.",
            id="log-empty",
            class_="empty",
            hidden=bool(lines),
        ),
        _lines([el("div", line or _EMPTY, class_="line") for line in lines], hidden=not lines),
        events=events,
        script="logs.js",
    )


def search_page(
    place: Place, profile: str, words: str, expression: bool, found: Found | None, error: str
) -> Html:
    """What was found. `found` is None where it could not be searched for, and `error` says why."""
    shown: list[Content] = []
    for hanging_together in found.places if found else ():
        shown += [el("div", "…", class_="hint", aria_hidden="true")] if shown else []
        shown += [_numbered(line) for line in hanging_together]
    return parts.profile_page(
        place,
        profile,
        "Log",
        _tools(place, profile, words, expression),
        el("p", error, class_="error", role="alert") if error else None,
        el("p", _summary(found), role="status", class_="hint") if found else None,
        _lines(shown, hidden=not shown),
        script="logs.js",
    )


def moment_page(place: Place, profile: str, moment: Moment, at: str) -> Html:
    """The lines around a moment, the last one before it marked."""
    marked = moment.marked is not None
    return parts.profile_page(
        place,
        profile,
        "Log",
        _tools(place, profile),
        el(
            "p",
            f"The log around {at}. ",
            el("a", "To the last line before it", href="#there")
            if marked
            else "None of its lines is as old.",
            class_="hint",
        ),
        _lines(
            [_numbered(line, there=line.number == moment.marked) for line in moment.lines],
            hidden=not moment.lines,
        ),
        script="logs.js",
    )


def _tools(
    place: Place, profile: str, words: str = "", expression: bool = False, *, follow: bool = False
) -> Html:
    here = place.profile_url(profile, "logs")
    return el(
        "div",
        el(
            "form",
            parts.field(
                "Search the whole log",
                el("input", id="q", name="q", type="search", value=words, maxlength=LONGEST, required=True),
                "q",
            ),
            el(
                "label",
                el("input", type="checkbox", name="regex", value="1", checked=expression),
                " Regular expression",
            ),
            parts.button("Search"),
            method="get",
            action=here,
            class_="tools",
            role="search",
        ),
        el(
            "label",
            el("input", type="checkbox", id="follow", checked=True),
            " Follow",
            class_="follow",
            hidden=True,
        )
        if follow
        else el("a", "Follow the log", href=here, class_="button"),
        el("a", "Download", href=f"{here}/download", download=True, class_="button end"),
        class_="tools",
    )


def _lines(content: Sequence[Content], *, hidden: bool) -> Html:
    return el(
        "div",
        content,
        id="lines",
        class_="lines",
        role="log",
        aria_live="off",
        aria_label="Log",
        tabindex=0,
        hidden=hidden,
    )


def _numbered(line: Line, *, there: bool = False) -> Html:
    return el(
        "div",
        _marked(line) or _EMPTY,
        class_="line",
        id="there" if there else None,
        data_line=line.number,
        data_tone="bad" if there else None,
    )


def _marked(line: Line) -> list[Content]:
    """The text with what was found in it marked."""
    pieces: list[Content] = []
    end = 0
    for begin, behind in line.hits:
        if behind > begin >= end:
            pieces += [line.text[end:begin], el("mark", line.text[begin:behind])]
            end = behind
    rest = line.text[end:]
    return [*pieces, rest] if rest else pieces


def _summary(found: Found) -> str:
    lines = f"{found.hits} {'line' if found.hits == 1 else 'lines'} of {found.lines}"
    left_out = (
        "" if found.complete else " The search was ended after some seconds: the rest was not looked at."
    )
    if not found.hits:
        return f"Found nowhere in {found.lines} lines.{left_out}"
    shown = sum(bool(line.hits) for place in found.places for line in place)
    only = f", the last {shown} of them below" if shown < found.hits else ""
    return f"Found in {lines}{only}.{left_out}"
