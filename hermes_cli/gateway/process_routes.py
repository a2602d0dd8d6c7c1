"""/v1/processes: which path is which verb. The verbs themselves are imported by the first request."""

from __future__ import annotations

from starlette.requests import Request
from starlette.routing import Route

from .process_service import ProcessService
from .verb_routes import Answer, verb_routes

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
"""Method, path, and the function of `process_verbs` that answers; those before `{process_id}` go first."""


def process_routes(service: ProcessService) -> list[Route]:
    async def answer(request: Request, verb: str) -> Answer:
        from . import process_verbs

        return await process_verbs.answer(service, request, verb)

    return verb_routes(PATHS, answer)
