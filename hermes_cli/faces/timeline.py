"""What supervision did in a stretch of time: when each gateway was up, and what happened to it."""

from __future__ import annotations

from collections import deque
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

LISTED = 100
TROUBLES = 5
"""Events that are listed: all of them, and those that went wrong."""

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
    crashes: int


class Timeline(msgspec.Struct, kw_only=True):
    """What happened in the window, by profile and as lists. Bounded, however much it was."""

    since: float
    until: float
    lanes: list[Lane]
    """In the order of the profiles given; those of which there is nothing to draw are left out."""
    moments: list[Moment]
    """The latest `LISTED` of the window, the latest first."""
    total: int
    """How many there were."""
    troubles: list[Moment]
    """The latest `TROUBLES` that a gateway's log explains, the latest first."""
    total_troubles: int


def timeline(
    events: Iterable[SupervisionEvent], profiles: Mapping[str, bool], window: float, now: float
) -> Timeline:
    """`events` (oldest first) of `profiles` in the `window` seconds before `now`.

    `profiles` says of each whether it is up now: the log has no word of an end that took the whole container.
    Events of other profiles are left out: they were deleted, and have no log to look into.
    """
    since = now - window
    drawings = {profile: _Drawing(since, now) for profile in profiles}
    moments: deque[Moment] = deque(maxlen=LISTED)
    troubles: deque[Moment] = deque(maxlen=TROUBLES)
    total = total_troubles = 0
    for event in events:
        drawing = drawings.get(event.profile)
        moment = _moment(event, now) if drawing is not None else None
        if drawing is None or moment is None:
            continue
        drawing.add(moment)
        if moment.at >= since:
            moments.append(moment)
            total += 1
            if moment.explained_by_log:
                troubles.append(moment)
                total_troubles += 1
    lanes = [drawing.lane(profile, profiles[profile]) for profile, drawing in drawings.items()]
    return Timeline(
        since=since,
        until=now,
        lanes=[lane for lane in lanes if lane.up or lane.places],
        moments=_latest_first(moments),
        total=total,
        troubles=_latest_first(troubles),
        total_troubles=total_troubles,
    )


def _latest_first(moments: Iterable[Moment]) -> list[Moment]:
    # Several write the log, each with the time it had: neighbours may have changed places.
    return sorted(moments, key=lambda moment: moment.at)[::-1]


class _Drawing:
    """A lane as its events come."""

    def __init__(self, since: float, until: float) -> None:
        self._since, self._until = since, until
        self._step = (until - since) / STEPS
        self._up: list[Stretch] = []
        self._places: dict[int, Place] = {}
        self._crashes = 0
        self._began: float | None = None
        self._heard = since

    def add(self, moment: Moment) -> None:
        self._heard = moment.at
        if moment.happening == "ready":
            # Ready while up: the container ended without a word and came back. Nobody knows when.
            self._began = moment.at if self._began is None else self._began
        elif moment.happening in _ENDS_UPTIME:
            self._end(moment.at)
        if moment.at >= self._since:
            self._crashes += moment.happening == "crashed"
            self._place(moment)

    def lane(self, profile: str, is_up: bool) -> Lane:
        """What is left open is up until now, or until something was heard of it last."""
        self._end(self._until if is_up else self._heard)
        return Lane(profile=profile, up=self._up, places=list(self._places.values()), crashes=self._crashes)

    def _end(self, at: float) -> None:
        if self._began is None:
            return
        began, self._began = max(self._began, self._since), None
        if at <= began:
            return
        last = self._up[-1] if self._up else None
        if last is not None and began - last.until < self._step / 8:
            last.until = at  # the gap could not be seen
        else:
            self._up.append(Stretch(since=began, until=at))

    def _place(self, moment: Moment) -> None:
        step = int((moment.at - self._since) / self._step)
        place = self._places.get(step)
        if place is None:
            self._places[step] = Place(at=moment.at, worst=moment, moments=1)
            return
        place.moments += 1
        if _weight(moment) >= _weight(place.worst):
            place.at, place.worst = moment.at, moment


def _moment(event: SupervisionEvent, now: float) -> Moment | None:
    """None for what cannot be understood, and for what is yet to come."""
    happening = _NAMES.get(event.event)
    try:
        at = datetime.fromisoformat(event.ts).timestamp()
    except (ValueError, OverflowError):
        return None
    if happening is None or at > now:
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
