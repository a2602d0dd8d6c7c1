"""What supervision did in a stretch of time: when each gateway was up, and what happened to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from hermes_cli.gateway.supervision_log import SupervisionEvent, read_events
from hermes_cli.home import Home
from hermes_cli.status import exit_in_words

from .overview import Tone
from .printable import plain

Happening = Literal["ready", "crashed", "parked", "draining", "ended", "registered", "removed"]

WINDOWS: Mapping[str, float] = {"1h": 3600.0, "24h": 86400.0, "7d": 7 * 86400.0}
"""The stretches on offer, in seconds, by the name they have in an address."""

MARKS: Mapping[Happening, str] = {
    "ready": "●",
    "crashed": "✕",
    "parked": "■",
    "draining": "◐",
    "ended": "○",
    "registered": "△",
    "removed": "▽",
}
"""A shape for each, so that colour never carries the meaning alone."""

_TONES: Mapping[Happening, Tone] = {
    "ready": "good",
    "crashed": "bad",
    "parked": "bad",
    "draining": "busy",
    "ended": "idle",
    "registered": "idle",
    "removed": "idle",
}
_NAMES: Mapping[str, Happening] = {
    "ready": "ready",
    "crashed": "crashed",
    "parked": "parked",
    "draining": "draining",
    "exited": "ended",
    "registered": "registered",
    "unregistered": "removed",
}
_ENDS_UPTIME = frozenset({"crashed", "parked", "ended", "removed"})

STEPS = 120
"""Places on a lane: what happens again at the same place is counted, not drawn again."""

_MAX_DETAIL = 300


class Moment(msgspec.Struct, kw_only=True):
    """One event in words that are safe to show."""

    profile: str
    at: float
    """Seconds since the epoch; the log knows whole ones."""
    time: str
    """The same in UTC, ISO 8601, as a log page takes it in `around=`."""
    happening: Happening
    tone: Tone
    mark: str
    words: str
    explained_by_log: bool
    """Whether the gateway's own log around this time says why."""


class Stretch(msgspec.Struct, kw_only=True):
    """A time in which a gateway was up."""

    since: float
    until: float


class Place(msgspec.Struct, kw_only=True):
    """What happened in one step of a lane; where several things did, the worst is shown."""

    at: float
    worst: Moment
    moments: int


class Lane(msgspec.Struct, kw_only=True):
    """One gateway's part of the picture."""

    profile: str
    up: list[Stretch]
    places: list[Place]


class Timeline(msgspec.Struct, kw_only=True):
    """Everything in the window, by profile and as one list."""

    since: float
    until: float
    lanes: list[Lane]
    """In the order of the profiles given; those of which nothing is known are left out."""
    moments: list[Moment]
    """All in the window, the latest first."""

    def crashes(self) -> int:
        return sum(moment.happening == "crashed" for moment in self.moments)


def timeline(
    events: Iterable[SupervisionEvent], profiles: Mapping[str, bool], window: float, now: float
) -> Timeline:
    """`events` (oldest first) of `profiles` in the `window` seconds before `now`.

    `profiles` says of each whether it is up now: the log has no word of an end that took the whole container.
    Events of other profiles are left out: they were deleted, and have no log to look into.
    """
    since = now - window
    known: dict[str, list[Moment]] = {profile: [] for profile in profiles}
    for event in events:
        if event.profile in known and (moment := _moment(event)) is not None:
            known[event.profile].append(moment)
    lanes = [
        _lane(profile, moments, since, now, profiles[profile])
        for profile, moments in known.items()
        if moments
    ]
    shown = [moment for moments in known.values() for moment in moments if since <= moment.at <= now]
    return Timeline(
        since=since,
        until=now,
        lanes=[lane for lane in lanes if lane.up or lane.places],
        moments=sorted(shown, key=lambda moment: moment.at, reverse=True),
    )


def _moment(event: SupervisionEvent) -> Moment | None:
    happening = _NAMES.get(event.event)
    try:
        at = datetime.fromisoformat(event.ts).timestamp()
    except (ValueError, OverflowError):
        return None
    if happening is None:
        return None
    return Moment(
        profile=event.profile,
        at=at,
        time=event.ts,
        happening=happening,
        tone=_TONES[happening],
        mark=MARKS[happening],
        words=_words(happening, event),
        explained_by_log=happening in ("crashed", "parked"),
    )


def _words(happening: Happening, event: SupervisionEvent) -> str:
    detail = plain(event.detail or "", _MAX_DETAIL)
    if happening == "parked":
        return f"parked: {detail or exit_in_words(event.code, event.signal) or 'its log says why'}"
    if happening in ("crashed", "ended"):
        how = exit_in_words(event.code, plain(event.signal, 20) if event.signal else None)
        return ", ".join(part for part in (happening, how, detail) if part)
    return happening


def _lane(profile: str, moments: list[Moment], since: float, until: float, is_up: bool) -> Lane:
    up: list[Stretch] = []
    began: float | None = None
    for moment in moments:
        if moment.at > until:
            break
        if moment.happening == "ready":
            # Ready while up: the container ended without a word and came back. Nobody knows when.
            began = moment.at if began is None else began
        elif moment.happening in _ENDS_UPTIME and began is not None:
            up.append(Stretch(since=max(began, since), until=moment.at))
            began = None
    if began is not None:
        # Up until something is heard of it, at least; else until now.
        last = until if is_up else min(moments[-1].at, until)
        up.append(Stretch(since=max(began, since), until=last))
    return Lane(
        profile=profile,
        up=[stretch for stretch in up if stretch.until > since],
        places=_places([moment for moment in moments if since <= moment.at <= until], since, until),
    )


def _places(moments: Iterable[Moment], since: float, until: float) -> list[Place]:
    width = (until - since) / STEPS
    places: dict[int, Place] = {}
    for moment in moments:
        step = int((moment.at - since) / width)
        place = places.get(step)
        if place is None:
            places[step] = Place(at=moment.at, worst=moment, moments=1)
        else:
            place.moments += 1
            if _weight(moment) >= _weight(place.worst):
                place.at, place.worst = moment.at, moment
    return list(places.values())


def _weight(moment: Moment) -> int:
    return ("idle", "good", "busy", "bad").index(moment.tone)


def read_timeline(root: Path, profiles: Mapping[str, bool], window: float, now: float) -> Timeline:
    """`timeline` of what the supervision log has. Two files of a megabyte at most: not for an event loop."""
    return timeline(read_events(root), profiles, window, now)


def log_position(root: Path) -> str:
    """Different once the supervision log has something more; empty while there is none."""
    try:
        found = Home.of(root=root).supervision_log.stat()
    except OSError:
        return ""
    return f"{found.st_ino}-{found.st_size}"
