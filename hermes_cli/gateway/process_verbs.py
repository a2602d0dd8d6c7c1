"""The verbs on background processes over HTTP: read the request, call the registry, word the answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from hermes_cli.processes.answers import answer as encodable
from hermes_cli.processes.changes import Subscription
from hermes_cli.processes.errors import BadCursorError, ProcessError
from hermes_cli.serving.problems import CODES, problem

from .process_api import (
    AcknowledgeBody,
    Body,
    KillBody,
    ResizeBody,
    StartBody,
    SubmitBody,
    WriteBody,
)
from .process_output import LONGEST_WAIT, next_page, output_frames, wait_for_end
from .process_service import ProcessService
from .process_stream import EventStream, disconnected

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
    registry = await service.registry()
    query = request.query_params
    found = await service.quick(
        registry.list, session_key=query.get("session_key"), task_id=query.get("task_id")
    )
    return _json({"processes": found})


async def start(service: ProcessService, request: Request) -> Response:
    body = await _body(request, StartBody)
    registry = await service.registry()
    started = await service.slow(registry.start, body.request())
    return _json(started, 201)


async def poll(service: ProcessService, request: Request) -> Response:
    registry = await service.registry()
    return _json(await service.quick(registry.poll, _id(request), _number(request, "cursor")))


async def log(service: ProcessService, request: Request) -> Response:
    registry = await service.registry()
    offset, limit = _number(request, "offset"), _number(request, "limit")
    found = await service.quick(registry.log, _id(request), offset, *(() if limit is None else (limit,)))
    return _json(found)


async def output(service: ProcessService, request: Request) -> _Answer:
    given = _id(request)
    registry = await service.registry()
    resumed = request.headers.get("last-event-id")
    cursor = _whole("Last-Event-ID", resumed) if resumed else _number(request, "cursor") or 0
    kept = await service.quick(registry.look, given)
    streamed = "text/event-stream" in request.headers.get("accept", "")
    if streamed:
        # A wrong cursor is refused with a status of its own: in a stream there is none any more.
        await service.quick(registry.poll, given, cursor)
        subscription = service.changes.watch(kept)
        frames = output_frames(service, given, cursor, subscription)
        return _Closing(EventStream(frames, when_gone=subscription.abandon), subscription)
    wait = _seconds(request, "wait") or 0.0
    with service.changes.watch(kept) as subscription, _noticing_the_end(request, subscription):
        return _json(await next_page(service, given, cursor, wait, subscription))


async def wait(service: ProcessService, request: Request) -> Response:
    given = _id(request)
    registry = await service.registry()
    kept = await service.quick(registry.look, given)
    timeout = _seconds(request, "timeout")
    with service.changes.watch(kept) as subscription, _noticing_the_end(request, subscription):
        return _json(await wait_for_end(service, given, timeout, subscription))


async def kill(service: ProcessService, request: Request) -> Response:
    body = await _body(request, KillBody)
    registry = await service.registry()
    return _json(await service.slow(registry.kill, _id(request), body.grace))


async def write(service: ProcessService, request: Request) -> Response:
    body = await _body(request, WriteBody)
    registry = await service.registry()
    return _json(await service.slow(registry.write, _id(request), body.input()))


async def submit(service: ProcessService, request: Request) -> Response:
    body = await _body(request, SubmitBody)
    registry = await service.registry()
    return _json(await service.slow(registry.submit, _id(request), body.text))


async def close(service: ProcessService, request: Request) -> Response:
    registry = await service.registry()
    return _json(await service.slow(registry.close, _id(request)))


async def resize(service: ProcessService, request: Request) -> Response:
    body = await _body(request, ResizeBody)
    registry = await service.registry()
    process_id = await service.quick(registry.find, _id(request))
    await service.slow(registry.resize, process_id, body.rows, body.columns)
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
    """An answer that gives back its subscription when it is over, or was never sent."""

    def __init__(self, stream: EventStream, subscription: Subscription) -> None:
        self._stream = stream
        self._subscription = subscription

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        with self._subscription:
            await self._stream(scope, receive, send)


@contextlib.contextmanager
def _noticing_the_end(request: Request, subscription: Subscription) -> Iterator[None]:
    """Let the wait end when the client goes away."""
    gone = asyncio.ensure_future(disconnected(request.receive))
    gone.add_done_callback(lambda done: None if done.cancelled() else subscription.abandon())
    try:
        yield
    finally:
        gone.cancel()


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
