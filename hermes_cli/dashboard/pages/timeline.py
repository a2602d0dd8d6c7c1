"""The timeline: a lane for each gateway, drawn here, and the same as text."""

from __future__ import annotations

import time
from collections.abc import Mapping

from hermes_cli.dashboard.markup import Content, Html, el
from hermes_cli.faces.timeline import Happening, Lane, Moment, Timeline
from hermes_cli.faces.timeline import Place as Spot

from .shell import Place

WORDS: Mapping[str, str] = {"1h": "1 hour", "24h": "24 hours", "7d": "7 days"}

HEIGHT = 20
_TICKS = 4

_CROSS = "M-4,-4L4,4M-4,4L4,-4"
_SQUARE = "M-4,-4H4V4H-4Z"
_DIAMOND = "M0,-5L5,0L0,5L-5,0Z"
_RING = "M-4,0A4,4 0 1 0 4,0A4,4 0 1 0 -4,0Z"
_SHAPES: Mapping[Happening, str] = {
    "ready": _RING,
    "crashed": _CROSS,
    "parked": _SQUARE,
    "draining": _DIAMOND,
    "ended": _RING,
    "registered": _DIAMOND,
    "removed": _DIAMOND,
}


def timeline_section(place: Place, story: Timeline, window: str, position: str) -> Html:
    """The whole section. `window` names the stretch that is shown, `position` what was known of it."""
    return el(
        "section",
        el(
            "div",
            el("h2", "What happened"),
            _windows(place, window),
            class_="tools",
        ),
        _empty(window)
        if not story.lanes
        else [_lanes(place, story), _trouble(place, story), _all(place, story)],
        id="timeline",
        data_story=position,
        aria_label="What happened",
    )


def _windows(place: Place, chosen: str) -> Html:
    links = [
        el(
            "li",
            el(
                "a",
                words,
                href=place.url("/", window=name),
                aria_current="true" if name == chosen else None,
            ),
        )
        for name, words in WORDS.items()
    ]
    return el("nav", el("ul", links), aria_label="How far back", class_="tabs end")


def _empty(window: str) -> Html:
    return el(
        "p",
        f"Nothing happened in the last {WORDS[window]}: starts, crashes and parkings appear here.",
        class_="empty",
    )


def _lanes(place: Place, story: Timeline) -> Html:
    """For the eye and the mouse; what it says stands in the list as well, for those who listen."""
    return el(
        "div",
        el(
            "table",
            el("caption", "When each gateway was up", class_="unseen"),
            el("tbody", [_lane(place, story, lane) for lane in story.lanes]),
            el(
                "tfoot",
                el("tr", el("td"), el("td", _axis(story), class_="track"), el("td")),
                aria_hidden="true",
            ),
            class_="lanes",
        ),
        class_="scroll",
    )


def _lane(place: Place, story: Timeline, lane: Lane) -> Html:
    def x(at: float) -> str:
        return f"{100 * (at - story.since) / (story.until - story.since):.2f}%"

    bars = [
        el(
            "rect",
            x=x(stretch.since),
            y=HEIGHT // 2 - 3,
            width=x(story.since + stretch.until - stretch.since),
            height=6,
            rx=2,
            class_="up",
        )
        for stretch in lane.up
    ]
    # What is drawn last lies on top: that a start followed must not cover the crash.
    by_weight = sorted(lane.places, key=lambda spot: spot.worst.explained_by_log)
    spots = [_spot(place, lane.profile, spot, x(spot.at)) for spot in by_weight]
    drawing = el(
        "svg",
        el("line", x1="0", x2="100%", y1=HEIGHT // 2, y2=HEIGHT // 2, class_="base"),
        bars,
        spots,
        width="100%",
        height=HEIGHT,
        class_="timeline",
        aria_hidden="true",
        focusable="false",
    )
    counted = f"{lane.crashes} crash{'' if lane.crashes == 1 else 'es'}" if lane.crashes else ""
    return el(
        "tr",
        el("th", el("a", lane.profile, href=place.profile_url(lane.profile, "logs")), scope="row"),
        el("td", drawing, class_="track"),
        el("td", counted, class_="hint"),
    )


def _spot(place: Place, profile: str, spot: Spot, x: str) -> Html:
    worst = spot.worst
    others = f", and {spot.moments - 1} more" if spot.moments > 1 else ""
    shape: Content = [
        el("title", f"{_clock(worst)} {profile} {worst.words}{others}"),
        el("path", d=_SHAPES[worst.happening]),
    ]
    if worst.explained_by_log:
        # By keyboard the list leads there.
        shape = el("a", shape, href=_log(place, worst), tabindex=-1)
    # A drawing of its own at x: lengths may be percentages there, while paths know none (SVG 2, 8.9).
    inner = el("svg", shape, x=x, y=HEIGHT // 2, class_="mark", data_tone=worst.tone, overflow="visible")
    return el("g", inner, data_happening=worst.happening)


def _axis(story: Timeline) -> Html:
    marks = []
    for step in range(_TICKS + 1):
        at = story.since + (story.until - story.since) * step / _TICKS
        anchor = "start" if step == 0 else "end" if step == _TICKS else "middle"
        marks.append(el("text", _tick(story, at), x=f"{100 * step / _TICKS:g}%", y=14, text_anchor=anchor))
    return el("svg", marks, width="100%", height=HEIGHT, class_="timeline axis")


def _tick(story: Timeline, at: float) -> str:
    if story.until - story.since > 2 * 86400:
        return time.strftime("%m-%d %H:%M", time.gmtime(at))
    return time.strftime("%H:%M", time.gmtime(at)) + (" UTC" if at >= story.until else "")


def _trouble(place: Place, story: Timeline) -> Content:
    if not story.troubles:
        return None
    left = story.total_troubles - len(story.troubles)
    return el(
        "ul",
        [
            el(
                "li",
                el("span", moment.mark, class_="mark", data_tone=moment.tone, aria_hidden="true"),
                " ",
                _when(moment),
                " ",
                el("strong", moment.profile),
                f" {moment.words} ",
                _log_link(place, moment),
            )
            for moment in story.troubles
        ],
        el("li", f"{left} more in the list", class_="note") if left > 0 else None,
        class_="moments",
    )


def _all(place: Place, story: Timeline) -> Html:
    left = story.total - len(story.moments)
    rows = [
        el(
            "tr",
            el("td", _when(moment)),
            el("th", moment.profile, scope="row"),
            el(
                "td",
                el("span", moment.mark, class_="mark", data_tone=moment.tone, aria_hidden="true"),
                " ",
                moment.words,
                class_="wide",
            ),
            el("td", _log_link(place, moment) if moment.explained_by_log else None),
        )
        for moment in story.moments
    ]
    head = [el("th", title, scope="col") for title in ("Time (UTC)", "Gateway", "What", "Why")]
    return el(
        "details",
        el("summary", _how_many(len(story.moments), left)),
        el(
            "div",
            el(
                "table",
                el("caption", "What happened, the latest first", class_="unseen"),
                el("thead", el("tr", head)),
                el("tbody", rows),
            ),
            class_="scroll",
            tabindex=0,
            role="region",
            aria_label="What happened, the latest first",
        ),
        el("p", f"{left} older ones are in the supervision log.", class_="hint") if left else None,
        id="events",
    )


def _how_many(shown: int, left: int) -> str:
    if left:
        return f"The latest {shown} events"
    return "The one event" if shown == 1 else f"All {shown} events"


def _log_link(place: Place, moment: Moment) -> Html:
    # The words that are seen come first: who speaks to the page says them (WCAG 2.5.3).
    label = f"Show its log, of {moment.profile} around {_clock(moment)}"
    return el("a", "Show its log", href=_log(place, moment), aria_label=label)


def _log(place: Place, moment: Moment) -> str:
    return place.profile_url(moment.profile, "logs", around=moment.time)


def _when(moment: Moment) -> Html:
    return el("time", _clock(moment), datetime=moment.time, title="UTC")


def _clock(moment: Moment) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(moment.at))
