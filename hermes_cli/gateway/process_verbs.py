"""The verbs on background processes over HTTP: read the request, call the registry, word the answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from hermes_cli.processes.answers import answer as encodable
from hermes_cli.processes.changes import Subscription
from hermes_cli.processes.errors import BadCursorError, ProcessError
from hermes_cli.serving.problems import CODES, problem

from .process_api import (
    ENVIRONMENTS,
    AcknowledgeBody,
    Body,
    KillBody,
    ResizeBody,
    StartBody,
    SubmitBody,
    WriteBody,
)
from .process_output import LONGEST_WAIT, next_page, output_frames, wait_for_end
from .process_places import Listener, Place
from .process_service import ProcessService
from .process_stream import EventStream, disconnected

if TYPE_CHECKING:
    from hermes_cli.processes.environments import Kind

_Answer = Response | ASGIApp
BodyT = TypeVar("BodyT", bound=Body)

_MOST_EVENTS = 500


class BadRequestError(Exception):
    """The request is none of this path. The message names what is wrong with it."""


async def answer(service: ProcessService, request: Request, name: str) -> _Answer:
    """The answer of the verb `name`; a problem where it is refused."""
    try:
        return await _VERBS[name](service, request)
    except ProcessError as error:
        code = error.code if error.code in CODES else ProcessError.code
        return _problem(code, str(error))
    except (BadRequestError, msgspec.ValidationError) as error:
        return _problem("bad_request", str(error))
    except msgspec.DecodeError as error:
        return _problem("bad_request", f"the body is no JSON: {error}")


async def list_processes(service: ProcessService, request: Request) -> Response:
    place = await _place(service, request)
    query = request.query_params
    found = await place.quick(
        place.environment.list, session_key=query.get("session_key"), task_id=query.get("task_id")
    )
    return _json({"environment": place.environment.kind, "processes": found})


async def start(service: ProcessService, request: Request) -> Response:
    body = await _body(request, StartBody)
    place = await service.place(body.environment) if body.environment else await _place(service, request)
    started = await place.slow(place.environment.start, body.request())
    return _json(started, 201)


async def poll(service: ProcessService, request: Request) -> Response:
    place = await _place(service, request)
    return _json(await place.quick(place.environment.poll, _id(request), _number(request, "cursor")))


async def log(service: ProcessService, request: Request) -> Response:
    place = await _place(service, request)
    offset, limit = _number(request, "offset"), _number(request, "limit")
    found = await place.quick(
        place.environment.log, _id(request), offset, *(() if limit is None else (limit,))
    )
    return _json(found)


async def output(service: ProcessService, request: Request) -> _Answer:
    given = _id(request)
    place = await _place(service, request)
    resumed = request.headers.get("last-event-id")
    cursor = _whole("Last-Event-ID", resumed) if resumed else _number(request, "cursor") or 0
    listener = await place.listen(given)
    streamed = "text/event-stream" in request.headers.get("accept", "")
    if streamed:
        # A wrong cursor is refused with a status of its own: in a stream there is none any more.
        with contextlib.ExitStack() as refused:
            refused.push(listener.__exit__)
            await place.quick(place.environment.poll, given, cursor)
            refused.pop_all()
        frames = output_frames(service, place, given, cursor, listener)
        return _Closing(EventStream(frames, when_gone=listener.abandon), listener)
    wait = _seconds(request, "wait") or 0.0
    with listener, _noticing_the_end(request, listener):
        return _json(await next_page(service, place, given, cursor, wait, listener))


async def wait(service: ProcessService, request: Request) -> Response:
    given = _id(request)
    place = await _place(service, request)
    timeout = _seconds(request, "timeout")
    with await place.listen(given) as listener, _noticing_the_end(request, listener):
        return _json(await wait_for_end(service, place, given, timeout, listener))


async def kill(service: ProcessService, request: Request) -> Response:
    body = await _body(request, KillBody)
    place = await _place(service, request)
    return _json(await place.slow(place.environment.kill, _id(request), body.grace))


async def write(service: ProcessService, request: Request) -> Response:
    body = await _body(request, WriteBody)
    place = await _place(service, request)
    return _json(await place.slow(place.environment.write, _id(request), body.input()))


async def submit(service: ProcessService, request: Request) -> Response:
    body = await _body(request, SubmitBody)
    place = await _place(service, request)
    return _json(await place.slow(place.environment.submit, _id(request), body.text))


async def close(service: ProcessService, request: Request) -> Response:
    place = await _place(service, request)
    return _json(await place.slow(place.environment.close, _id(request)))


async def resize(service: ProcessService, request: Request) -> Response:
    body = await _body(request, ResizeBody)
    place = await _place(service, request)
    process_id = await place.quick(place.environment.find, _id(request))
    await place.slow(place.environment.resize, process_id, body.rows, body.columns)
    return _json({"session_id": process_id, "status": "ok"})


async def events(service: ProcessService, request: Request) -> Response:
    """The owner's events behind `after`; those that keepers have told by now are among them."""
    session_key = request.query_params.get("session_key")
    after = _number(request, "after") or 0
    limit = min(_number(request, "limit") or 100, _MOST_EVENTS)
    deadline = asyncio.get_running_loop().time() + min(_seconds(request, "wait") or 0.0, LONGEST_WAIT)
    outbox = await service.outbox()
    with service.changes.subscribe() as subscription, _noticing_the_end(request, subscription):
        subscription.add(service.home.processes, lambda name: name == "outbox.db")
        if service.has_news():
            await service.quick(outbox.collect)
        while True:
            subscription.changed.clear()
            found = await service.quick(outbox.pending, session_key, after, limit)
            left = deadline - asyncio.get_running_loop().time()
            if found or left <= 0 or service.draining or subscription.abandoned:
                return _json({"events": found})
            await subscription.wait(left)


async def acknowledge(service: ProcessService, request: Request) -> Response:
    body = await _body(request, AcknowledgeBody)
    outbox = await service.outbox()
    return _json({"acknowledged": await service.slow(outbox.acknowledge, body.session_key, body.ids)})


_VERBS: dict[str, Callable[[ProcessService, Request], Awaitable[_Answer]]] = {
    verb.__name__: verb
    for verb in (
        *(list_processes, start, poll, output, log, wait, kill, write, submit, close, resize),
        *(events, acknowledge),
    )
}


class _Closing:
    """An answer that gives back its listener when it is over, or was never sent."""

    def __init__(self, stream: EventStream, listener: Listener) -> None:
        self._stream = stream
        self._listener = listener

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        with self._listener:
            await self._stream(scope, receive, send)


@contextlib.contextmanager
def _noticing_the_end(request: Request, waiting: Listener | Subscription) -> Iterator[None]:
    """Let the wait end when the client goes away."""
    gone = asyncio.ensure_future(disconnected(request.receive))
    gone.add_done_callback(lambda done: None if done.cancelled() else waiting.abandon())
    try:
        yield
    finally:
        gone.cancel()


async def _place(service: ProcessService, request: Request) -> Place:
    """The environment that the query names."""
    name = request.query_params.get("environment")
    if name is not None and name not in ENVIRONMENTS:
        raise BadRequestError(f"environment is one of {', '.join(ENVIRONMENTS)}")
    return await service.place(cast("Kind | None", name))


async def _body(request: Request, kind: type[BodyT]) -> BodyT:
    data = await request.body()
    return msgspec.json.decode(data or b"{}", type=kind)


def _id(request: Request) -> str:
    return str(request.path_params["process_id"])


def _number(request: Request, name: str) -> int | None:
    value = request.query_params.get(name)
    return None if value is None else _whole(name, value)


def _whole(name: str, value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) < 19):
        if name in ("cursor", "Last-Event-ID"):
            raise BadCursorError(
                f"{name} must be a whole number, the cursor of an earlier answer; begin with 0"
            )
        raise BadRequestError(f"{name} must be a whole number")
    return int(value)


def _seconds(request: Request, name: str) -> float | None:
    value = request.query_params.get(name)
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e9:
        raise BadRequestError(f"{name} must be a number of seconds")
    return seconds


def _json(value: object, status: int = 200) -> Response:
    body = msgspec.json.encode(encodable(value))
    return Response(body, status, headers={"content-type": "application/json"})


def _problem(code: str, detail: str) -> Response:
    status, body = problem(code, detail)
    return Response(body, status, headers={"content-type": "application/problem+json"})
