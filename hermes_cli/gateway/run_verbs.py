"""The verbs on runs and sessions over HTTP: read the request, ask the runner, word the answer."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hermes_cli.processes.errors import ProcessError
from hermes_cli.runs import sessions
from hermes_cli.runs.errors import (
    BadCursorError,
    BadRequestError,
    KeyReusedError,
    RunError,
    SessionBusyError,
)
from hermes_cli.runs.runner import ControlResult, Runner
from hermes_cli.runs.types import Run
from hermes_cli.serving.problems import CODES

from . import run_api as api
from .process_stream import EventStream, disconnected
from .requests import MalformedRequestError, body, limit, seconds
from .responses import json_response, problem_response
from .run_service import RunService
from .run_stream import MOST_EVENTS, Reader, event_frames, next_page
from .verb_routes import Answer

_MOST_ROWS = 100
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_EXTRAS = 16 << 10
"""Bytes of a run's metadata, attachments and toolsets: they are in every list."""
_PREVIEW = 500
"""Characters of a message in a list."""

_WORDED = {"shutting_down": "draining", "run_ended": "run_error"}
"""Codes of errors that have another as a problem."""


async def answer(service: RunService, request: Request, name: str) -> Answer:
    """The answer of the verb `name`; a problem where it is refused."""
    try:
        return await _VERBS[name](service, request)
    except SessionBusyError as error:
        return problem_response(error.code, str(error), run_id=error.run_id)
    except KeyReusedError as error:
        return problem_response(error.code, str(error), run_id=error.run_id)
    except RunError as error:
        code = _WORDED.get(error.code, error.code)
        return problem_response(code if code in CODES else RunError.code, str(error))
    except ProcessError as error:
        return problem_response(error.code if error.code in CODES else ProcessError.code, str(error))
    except MalformedRequestError as error:
        return problem_response("bad_request", str(error))


# Runs


async def start_run(service: RunService, request: Request) -> Response:
    asked = await body(request, api.RunBody)
    _check(service, asked)
    runner = await service.runner()
    run, new = await runner.submit(asked.request(), key=_key(request))
    return _json(api.run_started(run, _controls(runner, run)), 201 if new else 200)


async def retry_run(service: RunService, request: Request) -> Response:
    await body(request, api.EmptyBody)
    runner, run_id = await _run(service, request)
    old = await runner.get(run_id)
    if old.terminal_state is None:
        return problem_response("run_active", f"{run_id} has not ended; cancel it first", run_id=run_id)
    run, new = await runner.retry(run_id, key=_key(request))
    return _json(api.run_started(run, _controls(runner, run)), 201 if new else 200)


async def list_runs(service: RunService, request: Request) -> Response:
    query = request.query_params
    runner = await service.runner()
    statuses = [word for text in query.getlist("status") for word in text.split(",") if word]
    most, before, session = limit(request, 100, _MOST_ROWS), query.get("before"), query.get("session_id")

    def step(store: Any) -> list[Run]:
        return store.runs(  # type: ignore[no-any-return]
            session_id=None if session is None else sessions.find_session(store, session),
            statuses=statuses,
            before=None if before is None else sessions.find_run(store, before),
            limit=most,
        )

    return _json(_rows(service, runner, await runner.journal.read(step)))


async def get_run(service: RunService, request: Request) -> Response:
    runner, run_id = await _run(service, request)
    run = await runner.get(run_id)
    return _json(api.run_view(run, _controls(runner, run), service.masked(run.request.message)))


async def run_events(service: RunService, request: Request) -> Answer:
    runner, run_id = await _run(service, request)
    resumed = request.headers.get("last-event-id")
    cursor = resumed or request.query_params.get("cursor") or "0"
    most = limit(request, 100, MOST_EVENTS)
    wait = seconds(request, "wait") or 0.0
    try:
        after = await runner.journal.read(lambda store: store.check_cursor(run_id, cursor))
    except BadCursorError as error:
        return await _bad_cursor(runner, run_id, error)
    reader = Reader(service, runner, run_id, after)
    if "text/event-stream" in request.headers.get("accept", ""):
        return EventStream(event_frames(reader), when_gone=reader.gone.set)
    import asyncio

    gone = asyncio.ensure_future(disconnected(request.receive))
    gone.add_done_callback(lambda done: None if done.cancelled() else reader.gone.set())
    try:
        return _json(await next_page(reader, most, wait))
    finally:
        gone.cancel()


async def _bad_cursor(runner: Runner, run_id: str, error: BadCursorError) -> Response:
    if error.kind != "expired":
        return problem_response(error.code, str(error))
    run = await runner.get(run_id)
    snapshot = await runner.journal.read(lambda store: store.snapshot(run_id))
    left = f"{run_id}:{run.first_seq - 1}"
    return problem_response(error.code, str(error), cursor=left, snapshot=snapshot or "")


# Controls


async def cancel_run(service: RunService, request: Request) -> Response:
    await body(request, api.EmptyBody)
    runner, run_id = await _run(service, request)
    return _controlled(await runner.cancel(run_id))


async def decide_approval(service: RunService, request: Request) -> Response:
    asked = await body(request, api.ApprovalBody)
    runner, run_id = await _run(service, request)
    if "approval" not in _controls(runner, await runner.get(run_id)):
        return _controlled(runner.unsupported("approval"))
    return _controlled(await runner.decide(run_id, asked.approval_id, asked.decision == "approve"))


async def answer_clarification(service: RunService, request: Request) -> Response:
    await body(request, api.ClarificationBody)
    runner, _ = await _run(service, request)
    return _controlled(runner.unsupported("clarify"))


async def send_message(service: RunService, request: Request) -> Response:
    await body(request, api.MessageBody)
    runner, _ = await _run(service, request)
    return _controlled(runner.unsupported("message"))


async def set_goal(service: RunService, request: Request) -> Response:
    await body(request, api.GoalBody)
    runner, _ = await _session(service, request)
    return _controlled(runner.unsupported("goal"))


# Sessions


async def list_sessions(service: RunService, request: Request) -> Response:
    runner = await service.runner()
    most, before = limit(request, 100, _MOST_ROWS), request.query_params.get("before")

    def step(store: Any) -> list[api.SessionView]:
        found = None if before is None else sessions.find_session(store, before)
        return [
            _session_view(service, store, one.session_id)
            for one in sessions.sessions(store, before=found, limit=most)
        ]

    return _json(api.Sessions(sessions=await runner.journal.read(step)))


async def get_session(service: RunService, request: Request) -> Response:
    runner, session_id = await _session(service, request)
    return _json(await runner.journal.read(lambda store: _session_view(service, store, session_id)))


async def session_runs(service: RunService, request: Request) -> Response:
    """The active one first, then the latest."""
    runner, session_id = await _session(service, request)
    most, before = limit(request, 100, _MOST_ROWS), request.query_params.get("before")
    found = await runner.journal.read(
        lambda store: sessions.runs_of(
            store,
            session_id,
            before=None if before is None else sessions.find_run(store, before),
            limit=most,
        )
    )
    return _json(_rows(service, runner, found))


async def session_log(service: RunService, request: Request) -> Response:
    from starlette.responses import FileResponse

    _, session_id = await _session(service, request)
    path = await service.write_log(session_id)
    if not path.exists():
        return Response(b"", headers={"content-type": "application/x-ndjson"})
    return FileResponse(path, media_type="application/x-ndjson")


async def delete_session(service: RunService, request: Request) -> Response:
    _, session_id = await _session(service, request)
    count = await service.delete_session(session_id)
    return _json(api.SessionDeleted(session_id=session_id, runs=count))


_VERBS: dict[str, Callable[[RunService, Request], Awaitable[Answer]]] = {
    verb.__name__: verb
    for verb in (
        *(start_run, retry_run, list_runs, get_run, run_events, cancel_run, decide_approval),
        *(answer_clarification, send_message, set_goal),
        *(list_sessions, get_session, session_runs, session_log, delete_session),
    )
}


# What requests say


async def _run(service: RunService, request: Request) -> tuple[Runner, str]:
    runner = await service.runner()
    given = str(request.path_params["run_id"])
    return runner, await runner.journal.read(lambda store: sessions.find_run(store, given))


async def _session(service: RunService, request: Request) -> tuple[Runner, str]:
    runner = await service.runner()
    given = str(request.path_params["session_id"])
    return runner, await runner.journal.read(lambda store: sessions.find_session(store, given))


def _check(service: RunService, body: api.RunBody) -> None:
    """What a type does not say."""
    own = service.home.profile
    if body.profile not in (None, own):
        raise BadRequestError(f"this is the gateway of profile {own!r}, not of {body.profile!r}")
    if "\0" in body.message:
        raise BadRequestError("the message holds a NUL byte, which no program can be given")
    try:
        size = len(msgspec.json.encode((body.metadata, body.attachments, body.toolsets)))
    except (OverflowError, RecursionError) as error:
        raise BadRequestError(f"the metadata cannot be kept: {error}") from error
    if size > _EXTRAS:
        raise BadRequestError(
            f"metadata, attachments and toolsets may have {_EXTRAS} bytes together as JSON; these have {size}"
        )


def _key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        raise BadRequestError("Idempotency-Key is 1 to 255 visible ASCII characters")
    return key


# Answers


def _rows(service: RunService, runner: Runner, found: list[Run]) -> api.Runs:
    return api.Runs(
        runs=[
            api.run_view(run, _controls(runner, run), _preview(service.masked(run.request.message)))
            for run in found
        ]
    )


def _controls(runner: Runner, run: Run) -> frozenset[str]:
    """Those of the agent that the run was made for."""
    return frozenset(runner.agent_named(run.agent).controls)


def _preview(text: str) -> str:
    return text if len(text) <= _PREVIEW else text[: _PREVIEW - 1] + "…"


def _session_view(service: RunService, store: Any, session_id: str) -> api.SessionView:
    session = store.session(session_id)
    return api.session_view(
        session,
        sessions.active_run(store, session_id),
        sessions.latest_run(store, session_id),
        service.masked(session.title),
    )


def _controlled(result: ControlResult) -> Response:
    return _json(
        api.Controlled(
            accepted=result.accepted,
            status=result.status,  # type: ignore[arg-type]
            event_id=result.event_id,
            safe_message=result.safe_message,
        )
    )


def _json(value: object, status: int = 200) -> Response:
    return json_response(msgspec.json.encode(value), status)
