"""The overview, what keeps it up to date, and what programs ask for."""

from __future__ import annotations

import time

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hermes_cli.dashboard.app import Dashboard
from hermes_cli.dashboard.pages.overview import overview_page
from hermes_cli.dashboard.pages.timeline import timeline_section
from hermes_cli.dashboard.streams import status_events
from hermes_cli.faces.background import in_thread
from hermes_cli.faces.overview import Overview
from hermes_cli.faces.timeline import WINDOWS, Timeline, read_timeline
from hermes_cli.serving.exposition import MEDIA_TYPE
from hermes_cli.status.metrics import status_metrics

DEFAULT_WINDOW = "24h"


def routes(dashboard: Dashboard) -> list[Route]:
    here = _Overview(dashboard)
    return [
        Route("/", here.page),
        Route("/timeline", here.timeline),
        Route("/events/status", here.status_stream),
        Route("/api/status", here.status),
        Route("/api/session", here.session),
        Route("/metrics", here.metrics),
        Route("/healthz", here.healthz),
        Route("/static/{version}/{name}", dashboard.assets.serve),
    ]


class _Overview:
    def __init__(self, dashboard: Dashboard) -> None:
        self._dashboard = dashboard

    async def page(self, request: Request) -> Response:
        self._dashboard.require(request, "read")
        overview = await self._dashboard.board.fresh()
        story, window = await self._story(request, overview)
        return self._dashboard.page(overview_page(self._dashboard.place(request), overview, story, window))

    async def timeline(self, request: Request) -> Response:
        """That section of the page alone: every open page takes it when something has happened."""
        self._dashboard.require(request, "read")
        overview = await self._dashboard.board.fresh()
        story, window = await self._story(request, overview)
        place = self._dashboard.place(request)
        return self._dashboard.page(timeline_section(place, story, window, overview.story))

    async def _story(self, request: Request, overview: Overview) -> tuple[Timeline, str]:
        window = request.query_params.get("window", DEFAULT_WINDOW)
        window = window if window in WINDOWS else DEFAULT_WINDOW
        up = {row.profile: row.pid != "" for row in overview.rows if row.profile is not None}
        root = self._dashboard.settings.root
        return await in_thread(lambda: read_timeline(root, up, WINDOWS[window], time.time())), window

    async def status_stream(self, request: Request) -> Response:
        dashboard = self._dashboard
        dashboard.require(request, "read")
        return dashboard.streams.respond(
            status_events(dashboard.board), lambda: dashboard.visitor(request) is not None
        )

    async def status(self, request: Request) -> Response:
        """What `hermes status --json` prints."""
        self._dashboard.require(request, "read")
        report = await in_thread(self._dashboard.look)
        return Response(msgspec.json.encode(report), media_type="application/json")

    async def metrics(self, request: Request) -> Response:
        """The supervision of the whole installation, for Prometheus."""
        self._dashboard.require(request, "read")
        report = await in_thread(self._dashboard.look)
        return Response(status_metrics(report), headers={"content-type": MEDIA_TYPE})

    async def session(self, request: Request) -> Response:
        """Whether the page that asks is still signed in: an event stream cannot say why it was refused."""
        return JSONResponse({"role": self._dashboard.require(request, "read").role})

    async def healthz(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok"})
