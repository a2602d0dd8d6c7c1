"""The part of the OpenAPI description that is about background processes."""

from __future__ import annotations

from typing import Any

from .process_api import ENVIRONMENTS
from .process_routes import PATHS

_COMPONENTS = "#/components/schemas/"

_INTEGER = {"type": "integer", "minimum": 0}
_TEXT = {"type": "string"}
_SECONDS = {"type": "number", "minimum": 0}

_SUMMARIES: dict[str, tuple[str, str, str | None, tuple[str, ...]]] = {
    # verb: summary, answer, body, refusals
    "list_processes": ("The processes, oldest first", "Processes", None, ()),
    "start": ("Start a command", "Started", "StartBody", ("422", "429")),
    "poll": ("How a process is, and what is new since a cursor", "Polled", None, ("404", "409")),
    "output": ("What is new since a cursor, as it comes", "Polled", None, ("404", "409")),
    "log": ("A page of lines", "Logged", None, ("404", "409")),
    "wait": ("Answered when the process has ended", "Waited", None, ("404", "409")),
    "kill": ("TERM, after the grace time KILL", "Killed", "KillBody", ("404", "409")),
    "write": ("Into stdin, as it is", "Wrote", "WriteBody", ("404", "409", "502")),
    "submit": ("Into stdin, and Enter", "Wrote", "SubmitBody", ("404", "409", "502")),
    "close": ("The end of stdin", "Closed", None, ("404", "409", "502")),
    "resize": ("The size of the process's terminal", "Done", "ResizeBody", ("404", "409", "502")),
    "events": ("An owner's unacknowledged events, oldest first", "Events", None, ("503",)),
    "acknowledge": ("The owner has these events: they go", "Acknowledged", "AcknowledgeBody", ("503",)),
}

_PARAMETERS: dict[str, tuple[tuple[str, str, dict[str, Any]], ...]] = {
    "list_processes": (
        ("session_key", "Those of this session", _TEXT),
        ("task_id", "Those of this task", _TEXT),
    ),
    "poll": (("cursor", "Byte to begin with; without it the end of the output", _INTEGER),),
    "output": (
        ("cursor", "Byte to begin with", {**_INTEGER, "default": 0}),
        ("wait", "Seconds to wait for something new, 60 at most", {**_SECONDS, "default": 0}),
    ),
    "log": (
        ("offset", "Line to begin with, from 0; without it the last ones", _INTEGER),
        ("limit", "Lines, 10,000 at most", {"type": "integer", "minimum": 1, "default": 200}),
    ),
    "wait": (("timeout", "Seconds; cut to TERMINAL_TIMEOUT, 180 if not set, which is said", _SECONDS),),
    "events": (
        ("session_key", "The owner; without it, processes that belong to no session", _TEXT),
        ("after", "The id of the last event seen", {**_INTEGER, "default": 0}),
        ("limit", "Events, 500 at most", {"type": "integer", "minimum": 1, "default": 100}),
        ("wait", "Seconds to wait for an event, 60 at most", {**_SECONDS, "default": 0}),
    ),
}

_WHERE = (
    "environment",
    "Where the processes are; the profile's environment, if not said",
    {"type": "string", "enum": list(ENVIRONMENTS)},
)
_OF_ALL = {"events", "acknowledge"}
"""Events of all environments are in one outbox."""

_WHY = {
    "400": "A body, number or cursor that is none",
    "404": "No such process",
    "409": "The id begins several; the process has ended, or its stdin is closed; or no such environment is "
    "configured",
    "422": "The command cannot be started, or a watch pattern is none",
    "429": "The limit of processes, or of their disk, is reached",
    "502": "The process's keeper does not answer; or the sandbox cannot be used",
    "503": "The gateway is draining, or the outbox cannot be used",
}


def process_paths(refused: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Path to its operations. `refused`: the answers that every guarded path may give."""
    found: dict[str, dict[str, Any]] = {}
    for method, path, verb in PATHS:
        found.setdefault(path, {})[method.lower()] = _operation(verb, method, path, refused)
    return found


def _operation(verb: str, method: str, path: str, refused: dict[str, Any]) -> dict[str, Any]:
    summary, answer, body, refusals = _SUMMARIES[verb]
    content: dict[str, Any] = {"application/json": {"schema": {"$ref": _COMPONENTS + answer}}}
    in_a_place = () if verb in _OF_ALL else ("409", "502")
    codes = {"400", *refusals, *in_a_place, *(("503",) if method == "POST" else ())}
    responses: dict[str, Any] = {
        "201" if verb == "start" else "200": {"description": summary, "content": content},
        **refused,
        **{code: _problem(_WHY[code]) for code in sorted(codes)},
    }
    operation: dict[str, Any] = {
        "operationId": verb if "process" in verb else f"process_{verb}",
        "summary": summary,
        "responses": responses,
    }
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "query", "description": text, "schema": schema}
        for name, text, schema in (*_PARAMETERS.get(verb, ()), *(() if verb in _OF_ALL else (_WHERE,)))
    ]
    if "{process_id}" in path:
        text = "The id, or a beginning of it that is unique: four digits at least"
        where: dict[str, Any] = {"name": "process_id", "in": "path", "required": True}
        parameters.insert(0, {**where, "description": text, "schema": _TEXT})
    if verb == "output":
        operation["description"] = (
            "JSON, or with `Accept: text/event-stream` server-sent events: `output` with session_id, output, "
            "cursor and dropped_bytes, its cursor as id; `end` with how it ended, then the end of the "
            "stream; `closed` at the drain; `error` with a code where the process was removed meanwhile."
        )
        content["text/event-stream"] = {"schema": {}}
        parameters.append(
            {
                "name": "Last-Event-ID",
                "in": "header",
                "description": "Goes before `cursor`",
                "schema": _INTEGER,
            }
        )
    if parameters:
        operation["parameters"] = parameters
    if body is not None:
        schema = {"schema": {"$ref": _COMPONENTS + body}}
        operation["requestBody"] = {"content": {"application/json": schema}}
    return operation


def _problem(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/problem+json": {"schema": {"$ref": _COMPONENTS + "Problem"}}},
    }
