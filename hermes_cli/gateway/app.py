"""The gateway's HTTP interface: which path answers what."""

from __future__ import annotations

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from hermes_cli import __version__
from hermes_cli.serving.exposition import MEDIA_TYPE as METRICS_TYPE
from hermes_cli.serving.exposition import render
from hermes_cli.serving.protocol import MAX_CONNECTIONS, MAX_HEADER_BYTES, REQUEST_DEADLINE

from .api import AgentCapabilities, Capabilities, Limits
from .gate import Gate
from .metrics import gateway_metrics
from .process_routes import process_routes
from .requests import MalformedRequestError, whole
from .responses import json_response, problem_response
from .run_routes import run_routes
from .runtime import Runtime

MAX_BODY_BYTES = 1 << 20


def make_app(runtime: Runtime) -> ASGIApp:
    """The ASGI app of the gateway that `runtime` describes."""

    async def healthz(request: Request) -> Response:
        return json_response(msgspec.json.encode(runtime.health()))

    async def readyz(request: Request) -> Response:
        health = runtime.health()
        return json_response(msgspec.json.encode(health), 200 if health.status == "ok" else 503)

    async def metrics(request: Request) -> Response:
        found = [*gateway_metrics(runtime), *await runtime.processes.metrics(), *runtime.runs.metrics()]
        return Response(render(found), headers={"content-type": METRICS_TYPE})

    async def status(request: Request) -> Response:
        return json_response(msgspec.json.encode(runtime.status()))

    async def capabilities(request: Request) -> Response:
        limits = Limits(
            body_bytes=MAX_BODY_BYTES,
            header_bytes=MAX_HEADER_BYTES,
            connections=MAX_CONNECTIONS,
            request_seconds=REQUEST_DEADLINE,
        )
        agent = runtime.runs.agent
        found = Capabilities(
            hermes_version=__version__,
            profile=runtime.home.profile,
            limits=limits,
            agent=AgentCapabilities(
                name=agent.name, controls=sorted(agent.controls), inputs=sorted(agent.inputs)
            ),
        )
        return json_response(msgspec.json.encode(found))

    async def events(request: Request) -> Response:
        if runtime.draining:
            return problem_response("draining", "this gateway is shutting down")
        # A browser that comes back asks for the address it began with: what it has seen is in the header.
        given = (request.query_params.get("cursor"), request.headers.get("last-event-id"))
        try:
            cursor = [0, *(whole("cursor", text) for text in given if text is not None)][-1]
        except MalformedRequestError as error:
            return problem_response("bad_request", f"{error}: the id of the last event seen")
        return StreamingResponse(runtime.journal.stream(cursor), media_type="text/event-stream")

    async def openapi(request: Request) -> Response:
        from .openapi import document

        return json_response(msgspec.json.encode(document()))

    routes = [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", metrics),
        Route("/v1/status", status),
        Route("/v1/capabilities", capabilities),
        Route("/v1/events", events),
        *process_routes(runtime.processes),
        *run_routes(runtime.runs),
        Route("/openapi.json", openapi),
    ]
    # A path with a slash too many is another path: a redirect would name the Host header's choice.
    return Gate(Refusals(Router(routes, redirect_slashes=False, max_body_size=MAX_BODY_BYTES)), runtime)


class Refusals:
    """Turns the router's HTTPException into a problem: all that is needed here of Starlette's own app."""

    def __init__(self, router: Router) -> None:
        self._router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # With an app in the scope, the router raises what it would else answer in plain text.
        scope["app"] = self
        try:
            await self._router(scope, receive, send)
        except HTTPException as error:
            await _refused(scope, error)(scope, receive, send)


def _refused(scope: Scope, error: HTTPException) -> Response:
    code, detail = {
        404: ("not_found", "there is nothing here; /openapi.json lists what there is"),
        405: ("method_not_allowed", f"{scope['method'][:16]} is not for this path"),
        413: ("body_too_large", f"a body may have {MAX_BODY_BYTES} bytes"),
    }.get(error.status_code, ("bad_request", str(error.detail)))
    response = problem_response(code, detail)
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response
