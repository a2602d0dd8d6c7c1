"""The part of the OpenAPI description that is about runs and sessions."""

from __future__ import annotations

from typing import get_args

from hermes_cli.runs.types import RunStatus

from .openapi_parts import EVENT_STREAM, JSON, SECONDS, TEXT, Part, Verb, header, limit, placeholder, query
from .run_routes import PATHS
from .run_stream import MOST_EVENTS

_STATUS = "|".join(get_args(RunStatus))

_OF_ALL = ("400", "404", "409", "503")
_BEGINNING = (*_OF_ALL, "422", "429")

_ID = "The id, or a beginning of it that is unique: four digits at least"
_BEFORE = query("before", "Those that come behind this one: its id", TEXT)
_KEY = header(
    "Idempotency-Key",
    "1 to 255 visible ASCII characters; the same key is the same run",
    {**TEXT, "pattern": r"^[\x21-\x7e]{1,255}$"},
)
_STARTED = {"run_id": "run_id", "session_id": "session_id"}
"""What can be asked of a run that was started."""

_VERBS = {
    "list_runs": Verb(
        "Runs, the latest first",
        "Runs",
        refusals=_OF_ALL,
        parameters=(
            query("session_id", "Those of this session", TEXT),
            query(
                "status",
                "Those with one of these statuses, separated by commas",
                {**TEXT, "pattern": f"^({_STATUS})?(,({_STATUS})?)*$"},
            ),
            _BEFORE,
            limit("How many", 100),
        ),
    ),
    "start_run": Verb(
        "Start a run",
        "RunStarted",
        "RunBody",
        refusals=_BEGINNING,
        parameters=(_KEY,),
        statuses=("200", "201"),
        leads_to=_STARTED,
        description="201, or 200 where the Idempotency-Key was used for the same request before: its run is "
        "answered, and nothing is started.",
    ),
    "get_run": Verb("How a run is", "RunView", refusals=_OF_ALL),
    "run_events": Verb(
        "A run's events behind a cursor, as they come",
        "EventPage",
        refusals=(*_OF_ALL, "410"),
        parameters=(
            query(
                "cursor",
                "The one of the last page, or the id of the last event seen",
                {**TEXT, "default": "0"},
            ),
            limit("How many", MOST_EVENTS),
            query("wait", "Seconds to wait for something new, 60 at most", {**SECONDS, "default": 0}),
            header("Last-Event-ID", "Goes before `cursor`", TEXT),
        ),
        media_types=(JSON, EVENT_STREAM),
        description="JSON, or with `Accept: text/event-stream` server-sent events without a name: a RunEvent "
        "each, with its event_id as id. Behind the terminal one `end` comes, then the end of the stream; at "
        "the drain `closed`: come back with the cursor; `error` with a code where the run was removed "
        "meanwhile.",
    ),
    "cancel_run": Verb(
        "Ask a run to end, down to its last descendant",
        "Controlled",
        "EmptyBody",
        refusals=_OF_ALL,
        description="Twice is harmless. The intent is on disk before anything is told to end.",
    ),
    "decide_approval": Verb(
        "Allow or deny what a run waits for", "Controlled", "ApprovalBody", refusals=_OF_ALL
    ),
    "answer_clarification": Verb(
        "Answer what a run asks", "Controlled", "ClarificationBody", refusals=_OF_ALL
    ),
    "send_message": Verb(
        "Say something to a run that goes on", "Controlled", "MessageBody", refusals=_OF_ALL
    ),
    "retry_run": Verb(
        "A new run of the same request, once the old one has ended",
        "RunStarted",
        "EmptyBody",
        refusals=_BEGINNING,
        parameters=(_KEY,),
        statuses=("200", "201"),
        leads_to=_STARTED,
    ),
    "list_sessions": Verb(
        "Sessions, the most recently active first",
        "Sessions",
        refusals=_OF_ALL,
        parameters=(_BEFORE, limit("How many", 100)),
    ),
    "get_session": Verb("A session", "SessionView", refusals=_OF_ALL),
    "delete_session": Verb("Remove a session with its runs and its log", "SessionDeleted", refusals=_OF_ALL),
    "session_runs": Verb(
        "A session's runs: the active one, then the latest",
        "Runs",
        refusals=_OF_ALL,
        parameters=(_BEFORE, limit("How many", 100)),
    ),
    "session_log": Verb(
        "A session's conversation as JSON lines", refusals=_OF_ALL, media_types=("application/x-ndjson",)
    ),
    "set_goal": Verb("Give a session a goal", "Controlled", "GoalBody", refusals=_OF_ALL),
}

RUNS = Part(
    routes=PATHS,
    verbs=_VERBS,
    placeholders={
        "run_id": placeholder("run_id", _ID),
        "session_id": placeholder("session_id", _ID),
        "clarification_id": placeholder("clarification_id", "The pending_clarify_id of the run"),
    },
    why={
        "400": "A body, a number, a cursor, a status or a workspace that is none",
        "404": "No such run, or no such session",
        "409": "The session is busy with run_id; the key was used for another request, run_id; the run has "
        "not ended; or the id begins several",
        "410": "The cursor is before events that were removed: `snapshot` is what is left of them, `cursor` "
        "where to go on",
        "413": "The body is too large",
        "422": "No process can be made of the request",
        "429": "As many runs wait as may",
        "503": "The gateway is draining, or the store of runs cannot be used",
    },
)
