"""Output as text: what a run's process says becomes deltas, and its end the run's."""

from __future__ import annotations

from typing import Any

from hermes_cli.runs.errors import BadRequestError
from hermes_cli.runs.types import NewEvent, TerminalState

from .types import Ended

_LONGEST = 16 << 10
"""Characters of one delta: a page of events stays small."""


_LONGEST_ARGUMENT = (128 << 10) - 16
"""Bytes of one argument: execve(2), MAX_ARG_STRLEN, and a little for what is put before it."""


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

    def gap(self) -> list[NewEvent]:
        return []

    def finish(self, ended: Ended) -> list[NewEvent]:
        return [end_event(ended)]


def check_text(message: str) -> None:
    """Raises `BadRequestError` for what cannot be written as UTF-8."""
    try:
        message.encode()
    except UnicodeError:
        raise BadRequestError("the message holds what is no character (a lone surrogate)") from None


def check_argument(message: str) -> None:
    """Raises `BadRequestError` for what cannot be an argument of a program."""
    check_text(message)
    if "\0" in message:
        raise BadRequestError("the message holds a NUL byte, which no program can be given")
    if len(message.encode()) > _LONGEST_ARGUMENT:
        raise BadRequestError(
            f"the message is longer than the {_LONGEST_ARGUMENT >> 10} KiB that an argument may have; "
            "put it into a file and name that"
        )


def end_event(ended: Ended) -> NewEvent:
    """The terminal event for a process that nobody cancelled."""
    if ended.state != "exited":
        return _terminal("interrupted", ended)
    return _terminal("completed" if ended.exit_code == 0 else "failed", ended)


def _terminal(state: TerminalState, ended: Ended) -> NewEvent:
    payload = {"exit_code": ended.exit_code, "signal": ended.signal, "reason": ended.reason or None}
    return NewEvent(
        type=state,
        payload={name: value for name, value in payload.items() if value is not None},
        terminal=state,
    )
