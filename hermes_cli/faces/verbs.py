"""Start, stop and restart for every face: one at a time for each gateway, and said how it went."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from .background import in_thread
from .printable import plain

Verb = Literal["start", "stop", "restart"]

_GOING: dict[Verb, str] = {"start": "starting", "stop": "stopping", "restart": "restarting"}
_DONE: dict[Verb, str] = {"start": "is ready", "stop": "is down", "restart": "is ready again"}


class Operator(Protocol):
    """What does the verbs: `gateway.lifecycle.Lifecycle`. Each returns when it is so, or raises."""

    def start(self, profile: str) -> None: ...
    def stop(self, profile: str) -> None: ...
    def restart(self, profile: str) -> None: ...


@dataclass(slots=True)
class Verbs:
    """The verbs under way, and how the last one ended."""

    operator: Callable[[], Operator]
    """Made when it is needed, in the verb's thread: looking for a service manager may take its time."""
    changed: Callable[[], None]
    clock: Callable[[], float] = time.monotonic
    outcome: str = ""
    failed: bool = False
    _going: dict[str, tuple[Verb, float]] = field(default_factory=dict)

    def text(self) -> str:
        """What there is to say, one line for each verb under way and one for the last outcome."""
        now = self.clock()
        lines = [
            f"◐ {_GOING[verb]} {profile} … {now - since:.0f} s"
            for profile, (verb, since) in self._going.items()
        ]
        return "\n".join([*lines, self.outcome] if self.outcome else lines)

    @property
    def going(self) -> bool:
        return bool(self._going)

    async def do(self, verb: Verb, profile: str) -> None:
        """Do `verb`; errors end up in `outcome`."""
        if profile in self._going:
            self._end(f"✕ wait: {_GOING[self._going[profile][0]]} {profile} is still under way", failed=True)
            return
        began = self.clock()
        self._going[profile] = (verb, began)
        self.outcome, self.failed = "", False
        self.changed()
        try:
            await in_thread(lambda: getattr(self.operator(), verb)(profile))
        except Exception as error:
            # The face stays up whatever a verb meets; the sentence says what it was.
            self._end(f"✕ {plain(str(error), 600) or type(error).__name__}", failed=True)
        else:
            self._end(f"● {profile} {_DONE[verb]} ({self.clock() - began:.1f} s)", failed=False)
        finally:
            self._going.pop(profile, None)
            self.changed()

    def _end(self, outcome: str, *, failed: bool) -> None:
        self.outcome, self.failed = outcome, failed
        self.changed()
