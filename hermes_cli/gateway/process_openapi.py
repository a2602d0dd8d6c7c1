"""The part of the OpenAPI description that is about background processes."""

from __future__ import annotations

from .openapi_parts import EVENT_STREAM, JSON, SECONDS, TEXT, Part, Verb, header, limit, placeholder, query
from .process_api import ENVIRONMENTS
from .process_routes import PATHS
from .requests import LARGEST

_COUNT = {"type": "integer", "minimum": 0, "maximum": LARGEST}

_WHERE = query(
    "environment",
    "Where the processes are; the profile's environment, if not said",
    {"type": "string", "enum": list(ENVIRONMENTS)},
)
_WAIT = {**SECONDS, "default": 0}

_THERE = ("400", "409", "502")
"""What may be wrong with the environment, or with a number."""
_OF_ONE = (*_THERE, "404")
_TOLD = (*_OF_ONE, "503")
"""Of what changes a process: the gateway may be draining."""

_VERBS = {
    "list_processes": Verb(
        "The processes, oldest first",
        "Processes",
        refusals=_THERE,
        parameters=(
            query("session_key", "Those of this session", TEXT),
            query("task_id", "Those of this task", TEXT),
            _WHERE,
        ),
    ),
    "start": Verb(
        "Start a command",
        "Started",
        "StartBody",
        refusals=(*_THERE, "422", "429", "503"),
        parameters=(_WHERE,),
        statuses=("201",),
        leads_to={"process_id": "session_id"},
    ),
    "poll": Verb(
        "How a process is, and what is new since a cursor",
        "Polled",
        refusals=_OF_ONE,
        parameters=(
            query("cursor", "Byte to begin with; without it the end of the output", _COUNT),
            _WHERE,
        ),
    ),
    "output": Verb(
        "What is new since a cursor, as it comes",
        "Polled",
        refusals=_OF_ONE,
        parameters=(
            query("cursor", "Byte to begin with", {**_COUNT, "default": 0}),
            query("wait", "Seconds to wait for something new, 60 at most", _WAIT),
            _WHERE,
            header("Last-Event-ID", "Goes before `cursor`", _COUNT),
        ),
        media_types=(JSON, EVENT_STREAM),
        description="JSON, or with `Accept: text/event-stream` server-sent events: `output` with session_id, "
        "output, cursor and dropped_bytes, its cursor as id; `end` with how it ended, then the end of the "
        "stream; `closed` at the drain; `error` with a code where the process was removed meanwhile.",
    ),
    "log": Verb(
        "A page of lines",
        "Logged",
        refusals=_OF_ONE,
        parameters=(
            query("offset", "Line to begin with, from 0; without it the last ones", _COUNT),
            limit("Lines", 10_000, 200),
            _WHERE,
        ),
    ),
    "wait": Verb(
        "Answered when the process has ended",
        "Waited",
        refusals=_OF_ONE,
        parameters=(
            query("timeout", "Seconds; cut to TERMINAL_TIMEOUT, 180 if not set, which is said", SECONDS),
            _WHERE,
        ),
    ),
    "kill": Verb(
        "TERM, after the grace time KILL", "Killed", "KillBody", refusals=_TOLD, parameters=(_WHERE,)
    ),
    "write": Verb("Into stdin, as it is", "Wrote", "WriteBody", refusals=_TOLD, parameters=(_WHERE,)),
    "submit": Verb("Into stdin, and Enter", "Wrote", "SubmitBody", refusals=_TOLD, parameters=(_WHERE,)),
    "close": Verb("The end of stdin", "Closed", refusals=_TOLD, parameters=(_WHERE,)),
    "resize": Verb(
        "The size of the process's terminal", "Done", "ResizeBody", refusals=_TOLD, parameters=(_WHERE,)
    ),
    "events": Verb(
        "An owner's unacknowledged events, oldest first",
        "Events",
        refusals=("400", "503"),
        parameters=(
            query("session_key", "The owner; without it, processes that belong to no session", TEXT),
            query("after", "The id of the last event seen", {**_COUNT, "default": 0}),
            limit("Events", 500),
            query("wait", "Seconds to wait for an event, 60 at most", _WAIT),
        ),
    ),
    "acknowledge": Verb(
        "The owner has these events: they go", "Acknowledged", "AcknowledgeBody", refusals=("400", "503")
    ),
}

PROCESSES = Part(
    routes=PATHS,
    verbs=_VERBS,
    placeholders={
        "process_id": placeholder(
            "process_id", "The id, or a beginning of it that is unique: four digits at least"
        )
    },
    why={
        "400": "A body, number or cursor that is none",
        "404": "No such process",
        "409": "The id begins several; the process has ended, or its stdin is closed; or no such environment "
        "is configured",
        "413": "The body is too large",
        "422": "The command cannot be started, or a watch pattern is none",
        "429": "The limit of processes, or of their disk, is reached",
        "502": "The process's keeper does not answer; or the sandbox cannot be used",
        "503": "The gateway is draining, or the outbox cannot be used",
    },
    noun="process",
)

ONE_OF = {"StartBody": ("command", "argv"), "WriteBody": ("data", "data_base64")}
"""Bodies that need exactly one of two keys, which their types do not say."""
