"""How much word of matches one owner gets of all processes together: 15 in 10 seconds, else silence."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields

from .types import Event, EventType, Owner

MOST = 15
"""Matches told within SPAN."""

SPAN = 10.0
"""Seconds, any of them: the window slides."""

SILENCE = 30.0
"""Seconds without matches once there were more."""


@dataclass
class Flow:
    """The limit of one owner. Time is that of the events, so that what waited while nobody collected is
    judged as it happened; it never goes back, and never ahead of `now`."""

    told: list[float] = field(default_factory=list)
    """When the last matches were told, oldest first."""
    last: float = 0.0
    silence_until: float | None = None
    suppressed: int = 0
    address: dict[str, str | None] = field(default_factory=dict)
    """Of the owner, for the event that ends the silence."""

    def admit(self, event: Event, now: float) -> list[Event]:
        """What is told because of this event, in order: completions and the end of a watching always."""
        at = self._time(event.created_at, now)
        told = self.release(at)
        if event.type != "watch_match":
            return [*told, event]
        if self.silence_until is not None:
            self.suppressed += 1
            return told
        self.told = [past for past in self.told if past > at - SPAN]
        if len(self.told) < MOST:
            self.told.append(at)
            return [*told, event]
        self.silence_until = at + SILENCE
        self.suppressed = 1
        self.told = []
        self.address = {item.name: getattr(event, item.name, None) for item in fields(Owner)}
        message = (
            f"more than {MOST} matches in {SPAN:g} seconds, of all watched processes together: "
            f"no more are told for {SILENCE:g} seconds"
        )
        return [*told, self._own("watch_overflow_tripped", at, message, None)]

    def release(self, now: float) -> list[Event]:
        """The event that ends the silence, if it is over."""
        if self.silence_until is None:
            return []
        # A clock that went back must not make it longer.
        self.silence_until = min(self.silence_until, now + SILENCE)
        if now < self.silence_until:
            return []
        at, count = self.silence_until, self.suppressed
        self.silence_until, self.suppressed = None, 0
        word = "match was" if count == 1 else "matches were"
        return [
            self._own(
                "watch_overflow_released", at, f"matches are told again; {count} {word} suppressed", count
            )
        ]

    def idle(self, now: float) -> bool:
        """Whether there is nothing to remember."""
        return self.silence_until is None and all(past <= now - SPAN for past in self.told)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Flow:
        return cls(**json.loads(text))

    def _time(self, at: float, now: float) -> float:
        if self.last > now:  # the clock went back
            self.last = now
            self.told = [past for past in self.told if past <= now]
        self.last = min(max(at, self.last), now)
        return self.last

    def _own(self, kind: EventType, at: float, message: str, suppressed: int | None) -> Event:
        to = self.address.get
        return Event(
            id=0,
            type=kind,
            session_id=None,
            session_key=to("session_key"),
            created_at=at,
            message=message,
            suppressed=suppressed,
            platform=to("platform"),
            chat_id=to("chat_id"),
            user_id=to("user_id"),
            user_name=to("user_name"),
            thread_id=to("thread_id"),
        )
