"""The command agent: any program from the configuration, the message as its last argument or on its stdin."""

from __future__ import annotations

import json
from typing import Any, Literal

from hermes_cli.processes.types import StartRequest
from hermes_cli.runs.errors import BadRequestError
from hermes_cli.runs.types import NewEvent, RunRequest

from .text import TextTranslator, end_event
from .types import Control, Danger, Ended, Translator

_LONGEST_LINE = 256 << 10
"""Characters of a line that is held until its end shows whether it is an event."""

RESERVED = frozenset({"completed", "failed", "cancelled", "interrupted", "expired", "started"})
"""Types that only the runner may write: they say what became of a run."""

PLACEHOLDER = "{message}"


class CommandAgent:
    """`argv` as configured. The message replaces the word `{message}`, or comes last, or goes into stdin."""

    name = "command"
    controls: frozenset[Control] = frozenset({"cancel"})

    def __init__(self, argv: tuple[str, ...], message: Literal["argument", "stdin"] = "argument") -> None:
        self._argv = argv
        self._message = message

    @property
    def takes_stdin(self) -> bool:
        return self._message == "stdin"

    def danger(self, request: RunRequest) -> Danger | None:
        return None

    def process(self, request: RunRequest, workspace: str) -> StartRequest:
        if "\0" in request.message:
            raise BadRequestError("the message holds a NUL byte, which no program can be given")
        argv = self._argv
        if not self.takes_stdin:
            if PLACEHOLDER in argv:
                argv = tuple(request.message if word == PLACEHOLDER else word for word in argv)
            else:
                argv = (*argv, request.message)
        return StartRequest(argv=argv, cwd=workspace, stdin="open" if self.takes_stdin else "null")

    def translator(self, state: dict[str, Any]) -> Translator:
        return LineTranslator(state)


class LineTranslator:
    """Lines of JSON with a `type` are events as they are; everything else is text."""

    def __init__(self, state: dict[str, Any]) -> None:
        self._rest: str = state.get("rest", "")
        self._inside: bool = state.get("inside", False)
        """The beginning of the present line has been told as text."""

    @property
    def state(self) -> dict[str, Any]:
        return {key: value for key, value in (("rest", self._rest), ("inside", self._inside)) if value}

    def feed(self, text: str) -> list[NewEvent]:
        events: list[NewEvent] = []
        text = self._rest + text
        if self._inside:
            head, newline, text = text.partition("\n")
            events += TextTranslator({}).feed(head + newline)
            self._inside = not newline
        *lines, self._rest = text.split("\n")
        events += _events(line + "\n" for line in lines)
        # The beginning of a line that is no object needs no wait for its end.
        if self._rest and (not self._rest.startswith("{") or len(self._rest) > _LONGEST_LINE):
            events += TextTranslator({}).feed(self._rest)
            self._rest, self._inside = "", True
        return events

    def finish(self, ended: Ended) -> list[NewEvent]:
        events = _events([self._rest]) if self._rest else []
        self._rest = ""
        return [*events, end_event(ended)]


def _events(lines: Any) -> list[NewEvent]:
    """Neighbouring text becomes one delta."""
    found: list[NewEvent] = []
    text = ""
    for line in lines:
        event = _event(line)
        if event is None:
            text += line
            continue
        found += TextTranslator({}).feed(text)
        text = ""
        found.append(event)
    return found + TextTranslator({}).feed(text)


def _event(line: str) -> NewEvent | None:
    if not line.startswith("{"):
        return None
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    kind = value.pop("type", None) if isinstance(value, dict) else None
    if not isinstance(kind, str) or not 0 < len(kind) <= 64 or kind in RESERVED:
        return None
    return NewEvent(type=kind, payload=value)
