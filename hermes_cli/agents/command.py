"""The command agent: any program from the configuration, the message as an argument or on its stdin."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from hermes_cli.config.command_line import fill, placeholders
from hermes_cli.processes.types import StartRequest
from hermes_cli.runs.errors import BadRequestError
from hermes_cli.runs.types import NewEvent, RunRequest

from .assignment import Assignment
from .text import TextTranslator, check_argument, check_text, end_event
from .types import INPUTS, Control, Danger, Ended, Input, Translator

_LONGEST_LINE = 256 << 10
"""Characters of a line that is held until its end shows whether it is an event."""

RESERVED = frozenset(
    {"completed", "failed", "cancelled", "interrupted", "expired", "started", "cancelling", "stalled"}
    | {"resumed", "output_dropped", "approval_requested", "approval_granted", "approval_denied"}
)
"""Types that only the runner may write: they say what became of a run."""

_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_.:/-]{0,63}")

_MOST_NESTED = 200
"""Brackets of a line that is taken without a look at how deep they are nested."""


class CommandAgent:
    """`argv` as configured, its placeholders filled. A message that has none comes last, or on stdin."""

    name = "command"
    controls: frozenset[Control] = frozenset({"cancel"})

    def __init__(
        self,
        argv: tuple[str, ...],
        message: Literal["argument", "stdin"] = "argument",
        inputs: Iterable[Input] = (),
    ) -> None:
        """`inputs`: what the program reads from its environment; what `argv` names is used, too."""
        self._argv = argv
        self._message = message
        self._named = placeholders(argv)
        self.inputs: frozenset[Input] = frozenset(inputs) | (INPUTS & self._named)

    @property
    def takes_stdin(self) -> bool:
        return self._message == "stdin"

    def danger(self, request: RunRequest) -> Danger | None:
        return None

    def process(self, assignment: Assignment) -> StartRequest:
        if not self._argv:
            raise BadRequestError("the profile has no command any more that its runs could execute")
        for name, value in (("model", assignment.model), ("provider", assignment.provider)):
            if name in self._named and not value:
                raise BadRequestError(
                    f"the command of this profile wants a {name}: name one with the run, or set agent.{name}"
                )
        argv = fill(self._argv, assignment.values())
        if self.takes_stdin:
            check_text(assignment.message)
        else:
            check_argument(assignment.message)
            if "message" not in self._named:
                argv = (*argv, assignment.message)
        return StartRequest(
            argv=argv,
            cwd=assignment.workspace,
            stdin="open" if self.takes_stdin else "null",
            environment=assignment.variables(),
        )

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

    def gap(self) -> list[NewEvent]:
        events, self._rest = TextTranslator({}).feed(self._rest), ""
        self._inside = True  # what comes is most likely the rest of a line whose beginning is gone
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
        value = msgspec.json.decode(line.encode())
        if line.count("{") + line.count("[") > _MOST_NESTED:
            msgspec.json.encode(functools.reduce(lambda inner, _: [inner], range(_MOST_NESTED), value))
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    kind = value.pop("type", None) if isinstance(value, dict) else None
    if not isinstance(kind, str) or not _TYPE.fullmatch(kind) or kind in RESERVED:
        return None
    if kind == "delta" and not isinstance(value.get("text"), str):
        return None
    return NewEvent(type=kind, payload=value)
