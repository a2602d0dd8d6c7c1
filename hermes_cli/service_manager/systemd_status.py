"""What `systemctl show` says of units, as properties and as the library's status."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .types import ServiceStatus

PROPERTIES = (
    "Id,LoadState,ActiveState,SubState,Result,FragmentPath,NeedDaemonReload,MainPID,"
    "ExecMainStartTimestampMonotonic,ExecMainExitTimestampMonotonic,ExecMainCode,ExecMainStatus,"
    "ActiveEnterTimestampMonotonic,InactiveEnterTimestampMonotonic,NRestarts,"
    "TimeoutStartUSec,TimeoutStopUSec,RestartPreventExitStatus,StartLimitBurst,StartLimitIntervalUSec"
)

_EXITED, _KILLED, _DUMPED = "1", "2", "3"
"""ExecMainCode: si_code of waitid(2)."""

_UNITS = {
    "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0,
    "month": 2629800.0, "y": 31557600.0,
}  # fmt: skip
"""Of a time span as systemd prints it: systemd.time(7)."""

_STEP = 0.05
"""Seconds by which the clock may wander against the monotonic one before times are told anew."""

_offset = 0.0


class UnitState(NamedTuple):
    """One look at a unit. Times are seconds since the epoch, spans seconds."""

    load: str
    active: str
    sub: str
    result: str
    fragment: str
    needs_reload: bool
    pid: int | None
    started: float | None
    ended: float | None
    ready: float | None
    down: float | None
    exit_code: int | None
    exit_signal: str | None
    restarts: int | None
    start_timeout: float
    stop_timeout: float
    permanent: tuple[int, ...]
    limit: int
    """So many starts are made in `window`, and not one more."""
    window: str

    @property
    def up(self) -> bool:
        """Ready, as far as systemd can tell."""
        return self.active in ("active", "reloading", "refreshing")

    @property
    def waiting_to_restart(self) -> bool:
        return "auto-restart" in self.sub

    @property
    def at_rest(self) -> bool:
        """Nothing of it runs, and nothing is going to."""
        return self.active in ("inactive", "failed") and self.pid is None and not self.waiting_to_restart

    @property
    def crash_loop(self) -> bool:
        """It reached its start limit. If its last run failed, systemd keeps the result of that."""
        return self.result == "start-limit-hit" or (self.restarts or 0) >= self.limit > 0

    @property
    def given_up(self) -> bool:
        """It failed in a way that is followed by no restart; not just by a stop that went wrong."""
        if self.active != "failed" or self.waiting_to_restart:
            return False
        return self.exit_code in self.permanent or self.crash_loop

    def why_given_up(self) -> str:
        if self.exit_code in self.permanent:
            return f"it ended with exit code {self.exit_code}"
        return f"a crash loop ({self.limit} starts in {self.window}, {self.last_end()})"

    def last_end(self) -> str:
        if self.exit_signal:
            return f"last ended by {self.exit_signal}"
        return "it never ran" if self.exit_code is None else f"last exit code {self.exit_code}"

    def in_words(self) -> str:
        """As systemd says it, for the message of a timeout."""
        words = f"{self.active} ({self.sub})"
        if self.pid is not None:
            words += f", pid {self.pid}"
        return words if self.result == "success" else f"{words}, {self.result}"


def parse_show(text: str) -> list[UnitState]:
    """Read `systemctl show -p PROPERTIES UNIT…`: blocks in the order of the units, an empty line between two.

    Raises ValueError for anything else.
    """
    return [_unit_state(block) for block in _blocks(text)]


def parse_span(text: str) -> float:
    """Seconds of a time span as systemd prints it ("1min 30s", "500ms", "infinity"); raises ValueError."""
    if text == "infinity":
        return float("inf")
    total = 0.0
    for word in text.split():
        found = re.fullmatch(r"([0-9.]+)([a-z]*)", word)
        if found is None or (found.group(2) or "s") not in _UNITS:
            raise ValueError(f"not a time span of systemd's: {text!r}")
        total += float(found.group(1)) * _UNITS[found.group(2) or "s"]
    return total


def to_status(name: str, state: UnitState, note: str | None) -> ServiceStatus:
    """The library's status. `note` is what the marker of a parked service says, None where there is none."""
    if state.load == "not-found":
        return ServiceStatus(name, registered=False)
    parked = state.given_up or (note is not None and state.at_rest)
    detail = state.in_words()
    if state.load not in ("loaded", "masked"):
        detail = f"systemd could not load its unit ({state.load}): systemd-analyze verify {state.fragment}"
    elif state.load == "masked":
        detail = f"masked, {detail}"
    elif state.given_up:
        detail = f"parked: {state.why_given_up()}"
    elif parked and note is not None:
        detail = f"parked before the last boot: {in_words(note)}"
    return ServiceStatus(
        name=name,
        registered=True,
        running=state.pid is not None,
        ready=state.up and state.pid is not None,
        wanted=state.up or state.active == "activating",
        parked=parked,
        pid=state.pid,
        since=state.started if state.pid is not None else state.ended or state.down,
        ready_since=state.ready if state.up else None,
        exit_code=state.exit_code,
        exit_signal=state.exit_signal,
        restarts=state.restarts,
        detail=detail,
    )


def read_note(marker: Path) -> str | None:
    """What is noted of a parked service; None where it is not parked, or not for this user to know."""
    try:
        return marker.read_text("utf-8", "replace")[:200].strip()
    except OSError:
        return None


def in_words(note: str) -> str:
    """The note of systemd_park.sh, REASON STATUS, as a sentence's end."""
    reason, _, status = note.partition(" ")
    if reason == "crash-loop":
        return f"a crash loop (last exit status {status})"
    return f"it ended with exit code {status}" if status else "the reason was lost"


def _blocks(text: str) -> Iterator[dict[str, str]]:
    block: dict[str, str] = {}
    for line in [*text.splitlines(), ""]:
        name, equals, value = line.partition("=")
        if equals:
            block[name] = value
        elif block:
            yield block
            block = {}


def _unit_state(block: dict[str, str]) -> UnitState:
    try:
        pid = int(block.get("MainPID", "0"))
        started = _epoch(block.get("ExecMainStartTimestampMonotonic"))
        code, status = block.get("ExecMainCode", "0"), int(block.get("ExecMainStatus", "0"))
        return UnitState(
            load=block["LoadState"],
            active=block["ActiveState"],
            sub=block.get("SubState", ""),
            result=block.get("Result", "success"),
            fragment=block.get("FragmentPath", ""),
            needs_reload=block.get("NeedDaemonReload") == "yes",
            pid=pid or None,
            started=started,
            ended=_epoch(block.get("ExecMainExitTimestampMonotonic")),
            ready=_epoch(block.get("ActiveEnterTimestampMonotonic")),
            down=_epoch(block.get("InactiveEnterTimestampMonotonic")),
            exit_code=status if code == _EXITED else None,
            exit_signal=_signal_name(status) if code in (_KILLED, _DUMPED) else None,
            restarts=int(block["NRestarts"]) if "NRestarts" in block else None,
            start_timeout=parse_span(block.get("TimeoutStartUSec", "infinity")),
            stop_timeout=parse_span(block.get("TimeoutStopUSec", "infinity")),
            permanent=tuple(
                int(word) for word in block.get("RestartPreventExitStatus", "").split() if word.isdecimal()
            ),
            limit=int(block.get("StartLimitBurst", "0")),
            window=block.get("StartLimitIntervalUSec", "?"),
        )
    except (KeyError, ValueError) as error:
        raise ValueError(f"not what systemctl show was asked for ({error})") from error


def _epoch(microseconds: str | None) -> float | None:
    """A monotonic timestamp of systemd's as seconds since the epoch; 0 means never.

    systemctl prints its other timestamps for people, in the local zone and to the second.
    """
    global _offset
    if not microseconds or microseconds == "0":
        return None
    offset = time.time() - time.monotonic()
    if abs(offset - _offset) > _STEP:
        _offset = offset  # kept otherwise, so that one moment is told as one time
    return _offset + int(microseconds) / 1e6


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
