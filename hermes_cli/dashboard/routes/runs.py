"""Runs: the list, one run as it goes on, and what can be asked of it."""

from __future__ import annotations

import secrets
from contextlib import suppress

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hermes_cli.dashboard.app import Dashboard
from hermes_cli.dashboard.asking import looked, ordered
from hermes_cli.dashboard.followers import RunFollower
from hermes_cli.dashboard.following import changes, digest, followed
from hermes_cli.dashboard.pages.runs import STATUSES, Approval, RunsView, Saying, run_page, runs_page
from hermes_cli.dashboard.pieces import Pieces
from hermes_cli.faces.printable import plain, plain_text
from hermes_cli.gateway.client import GatewayAnswerError, GatewayClient
from hermes_cli.gateway.run_api import Controlled, RunBody, RunEvent, RunView

PAGE = 50
"""Runs in a list."""

_EVENTS = 1000
_PAGES = 4
"""Pages of so many events that stand in a new page; the stream brings the rest."""

LARGEST_MESSAGE = 512 * 1024
"""Bytes of a form with a message, which is the longer for being encoded."""

SOURCE = "dashboard"


def routes(dashboard: Dashboard) -> list[Route]:
    here = _Runs(dashboard)
    base = "/profiles/{profile}/runs"
    one = base + "/{run_id}"
    return [
        Route(base, here.list, methods=["GET"]),
        Route(base, here.start, methods=["POST"]),
        Route(f"{base}/events", here.list_stream),
        Route(one, here.page, methods=["GET"]),
        Route(f"{one}/events", here.stream),
        Route(f"{one}/cancel", here.cancel, methods=["POST"]),
        Route(f"{one}/approval", here.decide, methods=["POST"]),
        Route(f"{one}/retry", here.retry, methods=["POST"]),
    ]


class _Runs:
    def __init__(self, dashboard: Dashboard) -> None:
        self._dashboard = dashboard

    async def list(self, request: Request) -> Response:
        dashboard = self._dashboard
        dashboard.require(request, "read")
        home = await dashboard.home(request)
        status, before = _status(request), request.query_params.get("before")
        view, reach = await looked(home, lambda client: _runs(client, status, before))
        place = dashboard.place(request)
        query = {"status": status, "before": before, "cursor": digest(_shown(view)) if view else None}
        events = place.profile_url(home.profile, "runs/events", **query)
        return dashboard.page(runs_page(place, home.profile, view, reach, _key(), events))

    async def list_stream(self, request: Request) -> Response:
        dashboard = self._dashboard
        dashboard.require(request, "read")
        home = await dashboard.home(request)
        client = GatewayClient(home)
        status, before = _status(request), request.query_params.get("before")
        shown = request.query_params.get("cursor")
        events = followed(home, lambda: changes(lambda: _shown(_runs(client, status, before)), shown))
        return dashboard.streams.respond(events, lambda: dashboard.visitor(request) is not None)

    async def start(self, request: Request) -> Response:
        fields = await self._dashboard.form(request, limit=LARGEST_MESSAGE)
        home = await self._dashboard.home(request)
        message = message_of(fields)
        body = RunBody(message=message, source=SOURCE)
        run = await ordered(home, lambda client: client.runs.start(body, key=fields.get("key")))
        return self._dashboard.done(
            request, f"{run.run_id} has been started.", f"/profiles/{home.profile}/runs/{run.run_id}"
        )

    async def page(self, request: Request) -> Response:
        dashboard = self._dashboard
        dashboard.require(request, "read")
        home = await dashboard.home(request)
        run_id, query = request.path_params["run_id"], request.query_params
        raw, cursor = query.get("view") == "events", query.get("cursor") or "0"
        found, reach = await looked(home, lambda client: _one(client, run_id, cursor, raw))
        run, saying, approval = found or (None, None, None)
        place = dashboard.place(request)
        shown = run.run_id if run else plain(run_id, 64)
        events = place.profile_url(
            home.profile,
            f"runs/{shown}/events",
            cursor=saying.cursor if saying else cursor,
            view="events" if raw else None,
        )
        return dashboard.page(
            run_page(
                place,
                home.profile,
                run,
                saying=saying,
                approval=approval,
                reach=reach,
                raw=raw,
                run_id=shown,
                events=events,
                key=_key(),
            )
        )

    async def stream(self, request: Request) -> Response:
        dashboard = self._dashboard
        dashboard.require(request, "read")
        home = await dashboard.home(request)
        query = request.query_params
        cursor = request.headers.get("last-event-id") or query.get("cursor") or "0"
        raw = query.get("view") == "events"
        follower = RunFollower(GatewayClient(home), request.path_params["run_id"], cursor, raw=raw)
        events = followed(home, follower.attempt)
        return dashboard.streams.respond(events, lambda: dashboard.visitor(request) is not None)

    async def cancel(self, request: Request) -> Response:
        await self._dashboard.form(request)
        home, run_id = await self._dashboard.home(request), request.path_params["run_id"]
        return self._controlled(request, await ordered(home, lambda client: client.runs.cancel(run_id)))

    async def decide(self, request: Request) -> Response:
        fields = await self._dashboard.form(request)
        home, run_id = await self._dashboard.home(request), request.path_params["run_id"]
        decision = fields.get("decision")
        if decision not in ("approve", "deny"):
            raise HTTPException(400, "The answer is to allow it or to deny it.")
        approve, approval = decision == "approve", fields.get("approval_id")
        answer = await ordered(home, lambda client: client.runs.decide(run_id, approve, approval))
        return self._controlled(request, answer)

    async def retry(self, request: Request) -> Response:
        fields = await self._dashboard.form(request)
        home, run_id = await self._dashboard.home(request), request.path_params["run_id"]
        run = await ordered(home, lambda client: client.runs.retry(run_id, key=fields.get("key")))
        return self._dashboard.done(
            request, f"{run.run_id} has been started.", f"/profiles/{home.profile}/runs/{run.run_id}"
        )

    def _controlled(self, request: Request, answer: Controlled) -> Response:
        """Back to the run; 409 with the reason where nothing was changed."""
        message = plain(answer.safe_message, 600)
        if not answer.accepted:
            raise HTTPException(409, f"{message[:1].upper()}{message[1:].removesuffix('.')}.")
        profile, run_id = request.path_params["profile"], request.path_params["run_id"]
        return self._dashboard.done(request, message, f"/profiles/{profile}/runs/{run_id}")


def message_of(fields: dict[str, str]) -> str:
    """What a form says to the agent; raises 400 where it says nothing."""
    message = fields.get("message", "").replace("\r\n", "\n").strip()
    if not message:
        raise HTTPException(400, "Write something for the agent first.")
    return message


def _key() -> str:
    return secrets.token_hex(16)


def _status(request: Request) -> str:
    """One of the choices of the list; anything else is all."""
    given = request.query_params.get("status", "")
    return given if given in dict(STATUSES) else ""


def _runs(client: GatewayClient, status: str, before: str | None) -> RunsView:
    statuses = tuple(status.split(",")) if status else ()
    found = client.runs.recent(statuses=statuses, before=before, limit=PAGE)
    return RunsView(runs=found, status=status, more=found[-1].run_id if len(found) == PAGE else None)


def _shown(view: RunsView) -> list[tuple[object, ...]]:
    """What the list shows of each: not what changes with every event."""
    return [
        (run.run_id, run.status, run.started_at, run.ended_at, run.stalled, run.exit_code, run.reason)
        for run in view.runs
    ]


def _one(
    client: GatewayClient, given: str, cursor: str, raw: bool
) -> tuple[RunView, Saying, Approval | None]:
    run = client.runs.get(given)
    pieces = Pieces(raw=raw)
    saying = Saying(pieces=[], cursor=cursor)
    approval = None
    for _ in range(_PAGES):
        try:
            page = client.runs.page(run.run_id, saying.cursor, limit=_EVENTS)
        except GatewayAnswerError as error:
            if error.code != "cursor_expired":
                raise
            saying.cut, saying.cursor = True, str(error.problem["cursor"])
            if not raw:
                saying.pieces.append(["text", plain_text(str(error.problem["snapshot"]))])
            continue
        saying.pieces += pieces.of(page.events)
        saying.cursor, saying.more = page.cursor, page.cursor != page.last_event_id
        approval = _pending(run, page.events) or approval
        if not saying.more or not page.events:
            break
    return run, saying, approval or _known(run)


def _pending(run: RunView, events: list[RunEvent]) -> Approval | None:
    """What the run waits to be allowed, if one of these events says it."""
    for one in events:
        with suppress(KeyError):
            if one.type == "approval_requested" and one.payload["approval_id"] == run.pending_approval_id:
                return Approval(
                    approval_id=str(one.payload["approval_id"]),
                    description=plain(str(one.payload["description"]), 600),
                    command=plain_text(str(one.payload["command"])),
                )
    return None


def _known(run: RunView) -> Approval | None:
    """The same where the events did not say it: shown from behind it."""
    if run.pending_approval_id is None:
        return None
    return Approval(
        approval_id=run.pending_approval_id, description="see its message", command=plain_text(run.message)
    )
