"""The overview, what keeps it up to date, and what programs ask for."""

from __future__ import annotations

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hermes_cli.dashboard.app import Dashboard
from hermes_cli.dashboard.pages.overview import overview_page
from hermes_cli.dashboard.streams import cursor_of, log_events, status_events
from hermes_cli.faces.background import in_thread
from hermes_cli.faces.log_tail import LogTail
from hermes_cli.faces.printable import plain
from hermes_cli.home import Home
from hermes_cli.service_manager.names import DEFAULT_PROFILE

LINES = 200
"""Lines of a log on a new page."""


def routes(dashboard: Dashboard) -> list[Route]:
    here = _Overview(dashboard)
    return [
        Route("/", here.page),
        Route("/events/status", here.status_stream),
        Route("/events/log", here.log_stream),
        Route("/api/status", here.status),
        Route("/api/session", here.session),
        Route("/healthz", here.healthz),
        Route("/static/{version}/{name}", dashboard.assets.serve),
    ]


class _Overview:
    def __init__(self, dashboard: Dashboard) -> None:
        self._dashboard = dashboard
        self._root = dashboard.settings.root

    async def page(self, request: Request) -> Response:
        self._dashboard.require(request, "read")
        overview = await self._dashboard.board.fresh()
        gateway = _chosen(request, overview.profiles() or [DEFAULT_PROFILE])
        tail = LogTail(Home.of(gateway, self._root).gateway_log, lines=LINES)
        try:
            lines = [plain(line) for line in tail.read()]
            place = self._dashboard.place(request)
            return self._dashboard.page(overview_page(place, overview, gateway, lines, str(tail.cursor)))
        finally:
            tail.close()

    async def status_stream(self, request: Request) -> Response:
        dashboard = self._dashboard
        dashboard.require(request, "read")
        return dashboard.streams.respond(
            status_events(dashboard.board), lambda: dashboard.visitor(request) is not None
        )

    async def log_stream(self, request: Request) -> Response:
        dashboard = self._dashboard
        dashboard.require(request, "read")
        gateway = _chosen(request, (await dashboard.board.fresh()).profiles())
        cursor = cursor_of(request.headers.get("last-event-id"), request.query_params.get("cursor"))
        tail = LogTail(Home.of(gateway, self._root).gateway_log, lines=LINES, cursor=cursor)
        return dashboard.streams.respond(log_events(tail), lambda: dashboard.visitor(request) is not None)

    async def status(self, request: Request) -> Response:
        """What `hermes status --json` prints."""
        self._dashboard.require(request, "read")
        report = await in_thread(self._dashboard.look)
        return Response(msgspec.json.encode(report), media_type="application/json")

    async def session(self, request: Request) -> Response:
        """Whether the page that asks is still signed in: an event stream cannot say why it was refused."""
        return JSONResponse({"role": self._dashboard.require(request, "read").role})

    async def healthz(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok"})


def _chosen(request: Request, profiles: list[str]) -> str:
    """The gateway that the address names; the first where it names none."""
    name = request.query_params.get("gateway", "")
    if not name:
        return profiles[0] if profiles else DEFAULT_PROFILE
    if name not in profiles:
        raise HTTPException(404, f"There is no gateway {plain(name, 60)!r}: it may have been deleted.")
    return name
