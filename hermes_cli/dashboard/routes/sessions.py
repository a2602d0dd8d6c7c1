"""Conversations: the list, one as it goes on, what is said in it, its export and its end."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from hermes_cli.dashboard.app import Dashboard
from hermes_cli.dashboard.asking import looked, ordered
from hermes_cli.dashboard.followers import SessionFollower
from hermes_cli.dashboard.following import changes, digest, followed
from hermes_cli.dashboard.pages.sessions import SessionsView, session_page, sessions_page
from hermes_cli.faces.conversation import read, send
from hermes_cli.faces.gateway_stream import body
from hermes_cli.faces.printable import plain
from hermes_cli.gateway.asking import part
from hermes_cli.gateway.client import GatewayClient

from .runs import LARGEST_MESSAGE, SOURCE, message_of

PAGE = 50
"""Sessions in a list."""


def routes(dashboard: Dashboard) -> list[Route]:
    here = _Sessions(dashboard)
    base = "/profiles/{profile}/sessions"
    one = base + "/{session_id}"
    return [
        Route(base, here.list, methods=["GET"]),
        Route(base, here.say, methods=["POST"]),
        Route(f"{base}/events", here.list_stream),
        Route(one, here.page, methods=["GET"]),
        Route(f"{one}/events", here.stream),
        Route(f"{one}/messages", here.say, methods=["POST"]),
        Route(f"{one}/export", here.export),
        Route(f"{one}/delete", here.delete, methods=["POST"]),
    ]


class _Sessions:
    def __init__(self, dashboard: Dashboard) -> None:
        self._dashboard = dashboard

    async def list(self, request: Request) -> Response:
        dashboard = self._dashboard
        dashboard.require(request, "read")
        home = await dashboard.home(request)
        before = request.query_params.get("before")
        view, reach = await looked(home, lambda client: _sessions(client, before))
        place = dashboard.place(request)
        events = place.profile_url(
            home.profile, "sessions/events", before=before, cursor=digest(view) if view else None
        )
        return dashboard.page(sessions_page(place, home.profile, view, reach, _key(), events))

    async def list_stream(self, request: Request) -> Response:
        dashboard = self._dashboard
        dashboard.require(request, "read")
        client = GatewayClient(await dashboard.home(request))
        before, shown = request.query_params.get("before"), request.query_params.get("cursor")
        events = followed(client.home, lambda: changes(lambda: _sessions(client, before), shown))
        return dashboard.streams.respond(events, lambda: dashboard.visitor(request) is not None)

    async def page(self, request: Request) -> Response:
        dashboard = self._dashboard
        dashboard.require(request, "read")
        home, given = await dashboard.home(request), request.path_params["session_id"]
        found, reach = await looked(home, lambda client: read(client.runs, given))
        session_id = found.session.session_id if found else plain(given, 64)
        place = dashboard.place(request)
        shown = digest(found.turns) if found else None
        events = place.profile_url(home.profile, f"sessions/{session_id}/events", shown=shown)
        return dashboard.page(session_page(place, home.profile, session_id, found, reach, _key(), events))

    async def stream(self, request: Request) -> Response:
        dashboard = self._dashboard
        dashboard.require(request, "read")
        client = GatewayClient(await dashboard.home(request))
        query = request.query_params
        cursor = request.headers.get("last-event-id") or query.get("cursor") or None
        follower = SessionFollower(client, request.path_params["session_id"], query.get("shown"), cursor)
        events = followed(client.home, follower.attempt)
        return dashboard.streams.respond(events, lambda: dashboard.visitor(request) is not None)

    async def say(self, request: Request) -> Response:
        """Begin a session, or go on with one."""
        fields = await self._dashboard.form(request, limit=LARGEST_MESSAGE)
        home, given = await self._dashboard.home(request), request.path_params.get("session_id")
        message, key = message_of(fields), fields.get("key")
        run = await ordered(home, lambda client: send(client.runs, given, message, source=SOURCE, key=key))
        return self._dashboard.done(request, "Sent.", f"/profiles/{home.profile}/sessions/{run.session_id}")

    async def export(self, request: Request) -> Response:
        """What was said, as a file of JSON lines."""
        self._dashboard.require(request, "read")
        home, given = await self._dashboard.home(request), request.path_params["session_id"]
        session = await ordered(home, lambda client: client.runs.session(given))
        headers = {"content-disposition": f'attachment; filename="{session.session_id}.jsonl"'}
        return StreamingResponse(
            _log(GatewayClient(home), session.session_id), 200, headers, "application/x-ndjson"
        )

    async def delete(self, request: Request) -> Response:
        await self._dashboard.form(request)
        home, given = await self._dashboard.home(request), request.path_params["session_id"]
        gone = await ordered(home, lambda client: client.runs.delete_session(given))
        return self._dashboard.done(
            request,
            f"{gone.session_id} has been deleted, with {gone.runs} runs.",
            f"/profiles/{home.profile}/sessions",
        )


def _key() -> str:
    return secrets.token_hex(16)


def _sessions(client: GatewayClient, before: str | None) -> SessionsView:
    found = client.runs.sessions(before=before, limit=PAGE)
    return SessionsView(sessions=found, more=found[-1].session_id if len(found) == PAGE else None)


async def _log(client: GatewayClient, session_id: str) -> AsyncGenerator[bytes, None]:
    async with aclosing(body(client, f"/v1/sessions/{part(session_id)}/log")) as pieces:
        async for piece in pieces:
            yield piece
