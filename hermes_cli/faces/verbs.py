"""What every face does to profiles: one thing at a time for each, and said how it went."""

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


class VerbError(Exception):
    """It was not done. One sentence, safe to show."""


class BusyError(VerbError):
    """Something else is being done to the same profile."""


@dataclass(slots=True)
class Verbs:
    """The verbs under way, and how the last one ended."""

    operator: Callable[[], Operator]
    """Made when it is needed, in the verb's thread: looking for a service manager may take its time."""
    changed: Callable[[], None]
    clock: Callable[[], float] = time.monotonic
    outcome: str = ""
    failed: bool = False
    _going: dict[str, tuple[str, float]] = field(default_factory=dict)

    def text(self) -> str:
        """What there is to say, one line for each verb under way and one for the last outcome."""
        now = self.clock()
        lines = [
            f"◐ {doing} {profile} … {now - since:.0f} s" for profile, (doing, since) in self._going.items()
        ]
        return "\n".join([*lines, self.outcome] if self.outcome else lines)

    @property
    def going(self) -> bool:
        return bool(self._going)

    async def do(self, verb: Verb, profile: str) -> None:
        """Do `verb`; how it ended, well or not, is in `outcome`."""
        if profile not in self._going:
            self.outcome, self.failed = "", False
        try:
            self._end(f"● {await self.gateway(verb, profile)}", failed=False)
        except VerbError as error:
            self._end(f"✕ {error}", failed=True)

    async def gateway(self, verb: Verb, profile: str) -> str:
        """Do `verb`; what is so now, in words. Raises `VerbError`."""

        def work() -> str:
            getattr(self.operator(), verb)(profile)
            return f"{profile} {_DONE[verb]}"

        return await self.carry_out(_GOING[verb], profile, work)

    async def carry_out(self, doing: str, profile: str, work: Callable[[], str]) -> str:
        """What `work()` says, from a thread, and the time it took. `doing` is what others are told meanwhile.

        Raises `BusyError` while something else is done to `profile` by this face (other faces and commands
        are waited for, by the locks that all of them take), and `VerbError` for whatever went wrong.
        """
        if profile in self._going:
            raise BusyError(f"wait: {self._going[profile][0]} {profile} is still under way")
        began = self.clock()
        self._going[profile] = (doing, began)
        self.changed()
        try:
            said = await in_thread(work)
        except Exception as error:
            # The face stays up whatever a verb meets; the sentence says what it was.
            raise VerbError(plain(str(error), 600) or type(error).__name__) from error
        finally:
            self._going.pop(profile, None)
            self.changed()
        return f"{said} ({self.clock() - began:.1f} s)"

    def _end(self, outcome: str, *, failed: bool) -> None:
        self.outcome, self.failed = outcome, failed
        self.changed()
