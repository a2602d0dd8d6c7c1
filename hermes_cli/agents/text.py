"""Output as text: what a run's process says becomes deltas, and its end the run's."""

from __future__ import annotations

from typing import Any

from hermes_cli.runs.types import NewEvent, TerminalState

from .types import Ended

_LONGEST = 16 << 10
"""Characters of one delta: a page of events stays small."""


class TextTranslator:
    """Each piece of output is a delta. Without a state: where it stands is the output's cursor."""

    def __init__(self, state: dict[str, Any]) -> None:
        self._state = state

    @property
    def state(self) -> dict[str, Any]:
        return self._state

    def feed(self, text: str) -> list[NewEvent]:
        pieces = (text[start : start + _LONGEST] for start in range(0, len(text), _LONGEST))
        return [NewEvent(type="delta", payload={"text": piece}) for piece in pieces]

    def finish(self, ended: Ended) -> list[NewEvent]:
        return [end_event(ended)]


def end_event(ended: Ended) -> NewEvent:
    """The terminal event for a process that nobody cancelled."""
    if ended.state == "lost":
        return _terminal("interrupted", ended)
    if ended.state == "killed":
        return _terminal("cancelled", ended)
    return _terminal("completed" if ended.exit_code == 0 else "failed", ended)


def _terminal(state: TerminalState, ended: Ended) -> NewEvent:
    payload = {"exit_code": ended.exit_code, "signal": ended.signal, "reason": ended.reason or None}
    return NewEvent(
        type=state,
        payload={name: value for name, value in payload.items() if value is not None},
        terminal=state,
    )
