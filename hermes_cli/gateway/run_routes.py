"""/v1/runs and /v1/sessions: which path is which verb. The verbs are imported by the first request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from .run_service import RunService

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
    """The routes."""
    by_path: dict[str, dict[str, str]] = {}
    for method, path, name in PATHS:
        by_path.setdefault(path, {})[method] = name
    return [Route(path, _endpoint(service, names), methods=sorted(names)) for path, names in by_path.items()]


def _endpoint(
    service: RunService, names: dict[str, str]
) -> Callable[[Request], Awaitable[Response | ASGIApp]]:
    async def answer(request: Request) -> Any:
        from . import run_verbs

        name = names["GET" if request.method == "HEAD" else request.method]
        return await run_verbs.answer(service, request, name)

    return answer
