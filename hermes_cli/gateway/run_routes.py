"""/v1/runs and /v1/sessions: which path is which verb. The verbs are imported by the first request."""

from __future__ import annotations

from starlette.requests import Request
from starlette.routing import Route

from .run_service import RunService
from .verb_routes import Answer, verb_routes

RUNS = "/v1/runs"
RUN = RUNS + "/{run_id}"
SESSIONS = "/v1/sessions"
SESSION = SESSIONS + "/{session_id}"

PATHS: tuple[tuple[str, str, str], ...] = (
    ("GET", RUNS, "list_runs"),
    ("POST", RUNS, "start_run"),
    ("GET", RUN, "get_run"),
    ("GET", f"{RUN}/events", "run_events"),
    ("POST", f"{RUN}/cancel", "cancel_run"),
    ("POST", f"{RUN}/approval", "decide_approval"),
    ("POST", f"{RUN}/clarifications/{{clarification_id}}/respond", "answer_clarification"),
    ("POST", f"{RUN}/messages", "send_message"),
    ("POST", f"{RUN}/retry", "retry_run"),
    ("GET", SESSIONS, "list_sessions"),
    ("GET", SESSION, "get_session"),
    ("DELETE", SESSION, "delete_session"),
    ("GET", f"{SESSION}/runs", "session_runs"),
    ("GET", f"{SESSION}/log", "session_log"),
    ("POST", f"{SESSION}/goal", "set_goal"),
)
"""Method, path, and the function of `run_verbs` that answers."""


def run_routes(service: RunService) -> list[Route]:
    async def answer(request: Request, verb: str) -> Answer:
        from . import run_verbs

        return await run_verbs.answer(service, request, verb)

    return verb_routes(PATHS, answer)
