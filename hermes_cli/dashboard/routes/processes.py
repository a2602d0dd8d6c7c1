"""Background processes: the list, one with its output as it comes, and what can be done with it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial
from typing import cast

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from hermes_cli.dashboard.app import Dashboard
from hermes_cli.dashboard.asking import looked, ordered
from hermes_cli.dashboard.followers import OutputFollower
from hermes_cli.dashboard.following import changes, digest, followed
from hermes_cli.dashboard.pages.processes import STATUSES, Filter, Output, process_page, processes_page
from hermes_cli.faces.background import in_thread
from hermes_cli.faces.printable import plain, plain_text
from hermes_cli.faces.reach import FAILURES
from hermes_cli.gateway.client import GatewayAnswerError, GatewayClient
from hermes_cli.gateway.process_api import ENVIRONMENTS, EnvironmentName, StartBody
from hermes_cli.gateway.process_client import ProcessClient
from hermes_cli.processes.types import Killed, Listing

SHOWN = 256 << 10
"""Bytes of output that stand in a new page."""


def routes(dashboard: Dashboard) -> list[Route]:
    here = _Processes(dashboard)
    base = "/profiles/{profile}/processes"
    one = base + "/{process_id}"
    return [
        Route(base, here.list, methods=["GET"]),
        Route(base, here.start, methods=["POST"]),
        Route(f"{base}/events", here.list_stream),
        Route(one, here.page, methods=["GET"]),
        Route(f"{one}/events", here.stream),
        Route(f"{one}/log", here.log),
        Route(f"{one}/input", here.input, methods=["POST"]),
        Route(f"{one}/kill", here.kill, methods=["POST"]),
    ]


class _Processes:
    def __init__(self, dashboard: Dashboard) -> None:
        self._dashboard = dashboard

    async def list(self, request: Request) -> Response:
        dashboard = self._dashboard
        dashboard.require(request, "read")
        home = await dashboard.home(request)
        chosen, environment = _filter(request), _environment(request.query_params.get("environment"))
        rows, reach = await looked(home, lambda client: _rows(client, environment))
        place = dashboard.place(request)
        cursor = digest(_shown(rows)) if rows is not None else None
        events = place.profile_url(home.profile, "processes/events", environment=environment, cursor=cursor)
        return dashboard.page(processes_page(place, home.profile, rows, chosen, reach, events))

    async def list_stream(self, request: Request) -> Response:
        dashboard = self._dashboard
        dashboard.require(request, "read")
        client = GatewayClient(await dashboard.home(request))
        environment, shown = (
            _environment(request.query_params.get("environment")),
            request.query_params.get("cursor"),
        )
        events = followed(client.home, lambda: changes(lambda: _shown(_rows(client, environment)), shown))
        return dashboard.streams.respond(events, lambda: dashboard.visitor(request) is not None)

    async def start(self, request: Request) -> Response:
        fields = await self._dashboard.form(request, limit=64 * 1024)
        home = await self._dashboard.home(request)
        command = fields.get("command", "").strip()
        if not command:
            raise HTTPException(400, "Say which command is to be started.")
        environment = _environment(fields.get("environment"))
        body = StartBody(
            command=command, cwd=fields.get("cwd", "").strip() or None, pty=fields.get("pty") == "yes"
        )
        started = await ordered(home, lambda client: client.processes.within(environment).start(body))
        query = f"?environment={environment}" if environment else ""
        return self._dashboard.done(
            request,
            f"{started.session_id} has been started.",
            f"/profiles/{home.profile}/processes/{started.session_id}{query}",
        )

    async def page(self, request: Request) -> Response:
        dashboard = self._dashboard
        dashboard.require(request, "read")
        home = await dashboard.home(request)
        given, environment = _one(request)
        found, reach = await looked(home, lambda client: _looked_at(client, given, environment))
        row, output = found or (None, None)
        process_id = row.session_id if row else plain(given, 64)
        place = dashboard.place(request)
        events = place.profile_url(
            home.profile,
            f"processes/{process_id}/events",
            environment=environment,
            cursor=str(output.cursor) if output else None,
        )
        return dashboard.page(
            process_page(place, home.profile, process_id, row, output, environment, reach, events)
        )

    async def stream(self, request: Request) -> Response:
        dashboard = self._dashboard
        dashboard.require(request, "read")
        client = GatewayClient(await dashboard.home(request))
        given, environment = _one(request)
        cursor = _cursor(request.headers.get("last-event-id") or request.query_params.get("cursor") or "0")
        follower = OutputFollower(client, given, cursor, environment)
        events = followed(client.home, follower.attempt)
        return dashboard.streams.respond(events, lambda: dashboard.visitor(request) is not None)

    async def log(self, request: Request) -> Response:
        """Its whole output, as far as it is kept, as a file."""
        self._dashboard.require(request, "read")
        home = await self._dashboard.home(request)
        given, environment = _one(request)
        row = await ordered(home, lambda client: _row(client.processes.within(environment), given))
        headers = {"content-disposition": f'attachment; filename="{row.session_id}.log"'}
        pages = _log(GatewayClient(home).processes.within(environment), row.session_id)
        return StreamingResponse(pages, 200, headers, "text/plain; charset=utf-8")

    async def input(self, request: Request) -> Response:
        fields = await self._dashboard.form(request, limit=64 * 1024)
        home, given = await self._dashboard.home(request), request.path_params["process_id"]
        environment, text, verb = (
            _environment(fields.get("environment")),
            fields.get("text", ""),
            fields.get("verb"),
        )

        def order(client: GatewayClient) -> str:
            processes = client.processes.within(environment)
            if verb == "close":
                closed = processes.close(given)
                return "Its stdin is closed." if closed.status == "closed" else "It was closed already."
            wrote = (
                processes.submit(given, text) if verb == "submit" else processes.write(given, text.encode())
            )
            if wrote.status == "partial":
                return f"It does not read: only {wrote.bytes_written} bytes went in."
            return f"{wrote.bytes_written} bytes went in."

        if verb not in ("submit", "write", "close"):
            raise HTTPException(400, "Say whether to send a line, to write or to close.")
        return self._back(request, await ordered(home, order), environment)

    async def kill(self, request: Request) -> Response:
        fields = await self._dashboard.form(request)
        home, given = await self._dashboard.home(request), request.path_params["process_id"]
        environment = _environment(fields.get("environment"))
        killed = await ordered(home, lambda client: client.processes.within(environment).kill(given))
        if killed.status == "error":
            raise HTTPException(409, f"It was not killed: {plain(killed.message or 'it goes on', 600)}.")
        return self._back(request, _in_words(killed), environment)

    def _back(self, request: Request, sentence: str, environment: str | None) -> Response:
        query = f"?environment={environment}" if environment else ""
        where = f"/profiles/{request.path_params['profile']}/processes/{request.path_params['process_id']}"
        return self._dashboard.done(request, sentence, where + query)


def _in_words(killed: Killed) -> str:
    if killed.status == "already_exited":
        return "It had ended already."
    return "It was killed." if killed.ended < 2 else f"It was killed, {killed.ended} processes in all."


def _filter(request: Request) -> Filter:
    query = request.query_params
    status = query.get("status", "")
    return Filter(
        status=status if status in dict(STATUSES) else "",
        words=plain(query.get("q", "").strip(), 200),
        environment=_environment(query.get("environment")),
    )


def _environment(given: str | None) -> EnvironmentName | None:
    return cast(EnvironmentName, given) if given in ENVIRONMENTS else None


def _one(request: Request) -> tuple[str, EnvironmentName | None]:
    return request.path_params["process_id"], _environment(request.query_params.get("environment"))


def _cursor(given: str) -> int:
    if not (given.isascii() and given.isdigit() and len(given) < 19):
        raise HTTPException(400, "That is no place in the output of a process.")
    return int(given)


def _rows(client: GatewayClient, environment: EnvironmentName | None) -> list[Listing]:
    """The latest first, those that run before those that ended."""
    rows = client.processes.within(environment).list().processes
    return sorted(rows, key=lambda row: (row.status != "running", -row.started_at))


def _shown(rows: list[Listing]) -> list[tuple[object, ...]]:
    """What the list shows of each: not what changes with every look."""
    return [
        (row.session_id, row.status, row.exit_code, row.signal, row.reason, row.descendants) for row in rows
    ]


def _row(processes: ProcessClient, given: str) -> Listing:
    """The process; raises `GatewayAnswerError` as the gateway does where there is none."""
    process_id = processes.poll(given).session_id
    for row in processes.list().processes:
        if row.session_id == process_id:
            return row
    raise GatewayAnswerError(404, "not_found", f"there is no process {process_id!r} any more")


def _looked_at(
    client: GatewayClient, given: str, environment: EnvironmentName | None
) -> tuple[Listing, Output]:
    processes = client.processes.within(environment)
    row = _row(processes, given)
    begin = max(0, row.cursor - SHOWN)
    found = processes.poll(row.session_id, begin)
    pieces, skipped = [found.output], begin + found.dropped_bytes
    while found.more and sum(map(len, pieces)) < 2 * SHOWN:
        found = processes.poll(row.session_id, found.cursor)
        pieces.append(found.output)
        skipped += found.dropped_bytes
    return row, Output(text=plain_text("".join(pieces)), cursor=found.cursor, skipped=skipped)


async def _log(processes: ProcessClient, process_id: str) -> AsyncGenerator[bytes, None]:
    """The output that was there at the beginning of the download; secrets masked, as everywhere."""
    cursor, end = 0, None
    while end is None or cursor < end:
        try:
            found = await in_thread(partial(processes.poll, process_id, cursor))
        except FAILURES as error:
            yield f"\n[the rest could not be read: {plain(str(error), 600)}]\n".encode()
            return
        end = found.end_of_output if end is None else end
        if found.dropped_bytes:
            yield f"[{found.dropped_bytes} bytes were dropped here for the limit]\n".encode()
        yield found.output.encode()
        if found.cursor == cursor:
            return
        cursor = found.cursor
