"""The part of the OpenAPI description that is about runs and sessions."""

from __future__ import annotations

from typing import Any

from .run_routes import PATHS

_COMPONENTS = "#/components/schemas/"

_TEXT = {"type": "string"}
_SECONDS = {"type": "number", "minimum": 0, "default": 0}


def _limit(most: int) -> tuple[str, str, dict[str, Any]]:
    schema = {"type": "integer", "minimum": 1, "default": 100}
    return "limit", f"How many, {most} at most", schema


_VERBS: dict[str, tuple[str, str, str | None, tuple[str, ...]]] = {
    # verb: summary, answer, body, refusals
    "list_runs": ("Runs, the latest first", "Runs", None, ("404", "409")),
    "start_run": ("Start a run", "RunStarted", "RunBody", ("404", "409", "422", "429")),
    "get_run": ("How a run is", "RunView", None, ("404", "409")),
    "run_events": ("A run's events behind a cursor, as they come", "EventPage", None, ("404", "409", "410")),
    "cancel_run": (
        "Ask a run to end, down to its last descendant",
        "Controlled",
        "EmptyBody",
        ("404", "409"),
    ),
    "decide_approval": (
        "Allow or deny what a run waits for",
        "Controlled",
        "ApprovalBody",
        ("404", "409"),
    ),
    "answer_clarification": (
        "Answer what a run asks",
        "Controlled",
        "ClarificationBody",
        ("404", "409"),
    ),
    "send_message": ("Say something to a run that goes on", "Controlled", "MessageBody", ("404", "409")),
    "retry_run": (
        "A new run of the same request, once the old one has ended",
        "RunStarted",
        "EmptyBody",
        ("404", "409", "422", "429"),
    ),
    "list_sessions": ("Sessions, the most recently active first", "Sessions", None, ("404", "409")),
    "get_session": ("A session", "SessionView", None, ("404", "409")),
    "delete_session": (
        "Remove a session with its runs and its log",
        "SessionDeleted",
        None,
        ("404", "409"),
    ),
    "session_runs": ("A session's runs: the active one, then the latest", "Runs", None, ("404", "409")),
    "session_log": ("A session's conversation as JSON lines", "", None, ("404", "409")),
    "set_goal": ("Give a session a goal", "Controlled", "GoalBody", ("404", "409")),
}

_BEFORE = ("before", "Those that come behind this one: its id", _TEXT)

_PARAMETERS: dict[str, tuple[tuple[str, str, dict[str, Any]], ...]] = {
    "list_runs": (
        ("session_id", "Those of this session", _TEXT),
        ("status", "Those with one of these statuses, separated by commas", _TEXT),
        _BEFORE,
        _limit(100),
    ),
    "run_events": (
        ("cursor", "The one of the last page, or the id of the last event seen", {**_TEXT, "default": "0"}),
        _limit(1000),
        ("wait", "Seconds to wait for something new, 60 at most", _SECONDS),
    ),
    "list_sessions": (_BEFORE, _limit(100)),
    "session_runs": (_BEFORE, _limit(100)),
}

_DESCRIPTIONS = {
    "run_events": (
        "JSON, or with `Accept: text/event-stream` server-sent events without a name: a RunEvent each, with "
        "its event_id as id. Behind the terminal one `end` comes, then the end of the stream; at the drain "
        "`closed`: come back with the cursor; `error` with a code where the run was removed meanwhile."
    ),
    "start_run": (
        "201, or 200 where the Idempotency-Key was used for the same request before: its run is answered, "
        "and nothing is started."
    ),
    "cancel_run": "Twice is harmless. The intent is on disk before anything is told to end.",
}

_HEADERS: dict[str, tuple[str, str]] = {
    "start_run": ("Idempotency-Key", "1 to 255 visible characters; the same key is the same run"),
    "retry_run": ("Idempotency-Key", "1 to 255 visible characters; the same key is the same run"),
    "run_events": ("Last-Event-ID", "Goes before `cursor`"),
}

_WHY = {
    "400": "A body, a number, a cursor, a status or a workspace that is none",
    "404": "No such run, or no such session",
    "409": "The session is busy with run_id; the key was used for another request, run_id; the run has not "
    "ended; or the id begins several",
    "410": "The cursor is before events that were removed: `snapshot` is what is left of them, `cursor` "
    "where to go on",
    "422": "No process can be made of the request",
    "429": "As many runs wait as may",
    "503": "The gateway is draining, or the store of runs cannot be used",
}

_IDS = {
    "run_id": "The id, or a beginning of it that is unique: four digits at least",
    "session_id": "The id, or a beginning of it that is unique: four digits at least",
    "clarification_id": "The pending_clarify_id of the run",
}


def run_paths(refused: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Path to its operations. `refused`: the answers that every guarded path may give."""
    found: dict[str, dict[str, Any]] = {}
    for method, path, verb in PATHS:
        found.setdefault(path, {})[method.lower()] = _operation(verb, path, refused)
    return found


def _operation(verb: str, path: str, refused: dict[str, Any]) -> dict[str, Any]:
    summary, answer, body, refusals = _VERBS[verb]
    content: dict[str, Any] = {"application/json": {"schema": {"$ref": _COMPONENTS + answer}}}
    if verb == "session_log":
        content = {"application/x-ndjson": {"schema": {}}}
    if verb == "run_events":
        content["text/event-stream"] = {"schema": {}}
    good = {"description": summary, "content": content}
    responses: dict[str, Any] = {"200": good}
    if answer == "RunStarted":
        responses["201"] = good
    responses |= refused
    responses |= {code: _problem(_WHY[code]) for code in sorted({"400", "503", *refusals})}
    operation: dict[str, Any] = {"operationId": verb, "summary": summary, "responses": responses}
    if verb in _DESCRIPTIONS:
        operation["description"] = _DESCRIPTIONS[verb]
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "description": text, "schema": _TEXT}
        for name, text in _IDS.items()
        if f"{{{name}}}" in path
    ]
    parameters += [
        {"name": name, "in": "query", "description": text, "schema": schema}
        for name, text, schema in _PARAMETERS.get(verb, ())
    ]
    if verb in _HEADERS:
        name, text = _HEADERS[verb]
        parameters.append({"name": name, "in": "header", "description": text, "schema": _TEXT})
    if parameters:
        operation["parameters"] = parameters
    if body is not None:
        schema = {"schema": {"$ref": _COMPONENTS + body}}
        operation["requestBody"] = {
            "required": body != "EmptyBody",
            "content": {"application/json": schema},
        }
    return operation


def _problem(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/problem+json": {"schema": {"$ref": _COMPONENTS + "Problem"}}},
    }
