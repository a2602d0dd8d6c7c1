"""The log of a profile's gateway: followed, searched, downloaded, looked at around a moment."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import closing, suppress
from datetime import UTC, datetime
from functools import partial
from itertools import islice

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from hermes_cli.dashboard.app import Dashboard
from hermes_cli.dashboard.pages.logs import log_page, moment_page, search_page
from hermes_cli.dashboard.streams import cursor_of, log_events
from hermes_cli.faces.background import in_thread
from hermes_cli.faces.log_search import Moment, SearchError, around, search, whole_log
from hermes_cli.faces.log_tail import LogTail, gateway_tail
from hermes_cli.faces.printable import plain
from hermes_cli.home import Home
from hermes_cli.service_manager.errors import ServiceError

LINES = 200
"""Lines on a new page."""

_BATCH = 1000
"""Lines of a download that are read at once."""


def routes(dashboard: Dashboard) -> list[Route]:
    here = _Logs(dashboard)
    base = "/profiles/{profile}/logs"
    return [
        Route(base, here.page),
        Route(f"{base}/events", here.stream),
        Route(f"{base}/download", here.download),
    ]


class _Logs:
    def __init__(self, dashboard: Dashboard) -> None:
        self._dashboard = dashboard

    async def page(self, request: Request) -> Response:
        self._dashboard.require(request, "read")
        home = await self._dashboard.home(request)
        if request.query_params.get("q"):
            return await self._found(request, home)
        if request.query_params.get("around"):
            return await self._moment(request, home)
        lines, cursor = await in_thread(partial(_latest, home))
        place = self._dashboard.place(request)
        events = place.profile_url(home.profile, "logs/events", cursor=cursor)
        return self._dashboard.page(log_page(place, home.profile, lines, events))

    async def stream(self, request: Request) -> Response:
        dashboard = self._dashboard
        dashboard.require(request, "read")
        home = await dashboard.home(request)
        cursor = cursor_of(request.headers.get("last-event-id"), request.query_params.get("cursor"))
        tail = await in_thread(lambda: gateway_tail(home, lines=LINES, cursor=cursor))
        return dashboard.streams.respond(log_events(tail), lambda: dashboard.visitor(request) is not None)

    async def download(self, request: Request) -> Response:
        """All that is kept of it, archives first, as it was written."""
        self._dashboard.require(request, "read")
        home = await self._dashboard.home(request)
        headers = {"content-disposition": f'attachment; filename="gateway-{home.profile}.log"'}
        return StreamingResponse(_whole(home), 200, headers, "text/plain; charset=utf-8")

    async def _found(self, request: Request, home: Home) -> Response:
        words = request.query_params["q"]
        expression = request.query_params.get("regex") == "1"
        found, error = None, ""
        try:
            found = await in_thread(lambda: search(home, words, expression=expression))
        except SearchError as refused:
            error = f"{str(refused)[:1].upper()}{str(refused)[1:]}."
        except (OSError, ServiceError) as broken:
            error = f"The log cannot be read: {plain(str(broken), 600)}."
        place, shown = self._dashboard.place(request), plain(words, 200)
        page = search_page(place, home.profile, shown, expression, found, error)
        return self._dashboard.page(page, 200 if found else 400)

    async def _moment(self, request: Request, home: Home) -> Response:
        at = _moment(request.query_params["around"])

        def look() -> Moment:
            return around(whole_log(home), at.timestamp())

        try:
            moment = await in_thread(look)
        except (OSError, ServiceError) as broken:
            raise HTTPException(500, f"The log cannot be read: {plain(str(broken), 600)}.") from broken
        place = self._dashboard.place(request)
        said = at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        return self._dashboard.page(moment_page(place, home.profile, moment, said))


def _moment(given: str) -> datetime:
    """ISO 8601, UTC where it does not say. A plus that the address has made a space is one."""
    try:
        found = datetime.fromisoformat(given.strip().replace(" ", "+") if "T" in given else given)
        found = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
        found.astimezone(UTC).timestamp()
    except (ValueError, OverflowError) as error:
        raise HTTPException(400, "That is no time, such as 2026-11-21T13:00:00Z.") from error
    return found


def _latest(home: Home) -> tuple[list[str], str]:
    """The last lines, safe to show, and the cursor behind them."""
    tail: LogTail = gateway_tail(home, lines=LINES)
    with closing(tail):
        lines = [plain(line) for line in tail.read()]
        return lines, str(tail.cursor)


async def _whole(home: Home) -> AsyncGenerator[bytes, None]:
    lines = whole_log(home)
    try:
        while batch := await in_thread(lambda: list(islice(lines, _BATCH))):
            yield "".join(f"{line}\n" for line in batch).encode("utf-8", "replace")
    except (OSError, ServiceError) as error:
        yield f"[the rest could not be read: {plain(str(error), 600)}]\n".encode()
    finally:
        with suppress(ValueError):  # the reader left while a thread still reads: it closes behind it
            lines.close()
