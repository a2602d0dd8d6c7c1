"""Routes of a table of paths and verbs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

Answer = Response | ASGIApp

Verbs = Callable[[Request, str], Awaitable[Answer]]
"""Answers a request as the verb of that name."""


def verb_routes(paths: Iterable[tuple[str, str, str]], verbs: Verbs) -> list[Route]:
    """One for each path of method, path and verb, in their order: the first that fits is taken."""
    by_path: dict[str, dict[str, str]] = {}
    for method, path, name in paths:
        by_path.setdefault(path, {})[method] = name
    return [Route(path, _endpoint(verbs, names), methods=sorted(names)) for path, names in by_path.items()]


def _endpoint(verbs: Verbs, names: dict[str, str]) -> Callable[[Request], Awaitable[Answer]]:
    async def answer(request: Request) -> Answer:
        return await verbs(request, names["GET" if request.method == "HEAD" else request.method])

    return answer
