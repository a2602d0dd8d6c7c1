"""/v1/processes: which path is which verb. The verbs themselves are imported by the first request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from .process_service import ProcessService

ROOT = "/v1/processes"
ONE = ROOT + "/{process_id}"

PATHS: tuple[tuple[str, str, str], ...] = (
    ("GET", ROOT, "list_processes"),
    ("POST", ROOT, "start"),
    ("GET", f"{ROOT}/events", "events"),
    ("POST", f"{ROOT}/events/ack", "acknowledge"),
    ("GET", ONE, "poll"),
    ("GET", f"{ONE}/output", "output"),
    ("GET", f"{ONE}/log", "log"),
    ("GET", f"{ONE}/wait", "wait"),
    ("POST", f"{ONE}/kill", "kill"),
    ("POST", f"{ONE}/write", "write"),
    ("POST", f"{ONE}/submit", "submit"),
    ("POST", f"{ONE}/close", "close"),
    ("POST", f"{ONE}/resize", "resize"),
)
"""Method, path, and the function of `process_verbs` that answers."""


def process_routes(service: ProcessService) -> list[Route]:
    """The routes; those before `{process_id}` go first."""
    by_path: dict[str, dict[str, str]] = {}
    for method, path, name in PATHS:
        by_path.setdefault(path, {})[method] = name
    return [Route(path, _endpoint(service, names), methods=sorted(names)) for path, names in by_path.items()]


def _endpoint(
    service: ProcessService, names: dict[str, str]
) -> Callable[[Request], Awaitable[Response | ASGIApp]]:
    async def answer(request: Request) -> Any:
        from . import process_verbs

        name = names["GET" if request.method == "HEAD" else request.method]
        return await process_verbs.answer(service, request, name)

    return answer
