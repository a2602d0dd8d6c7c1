"""The verbs on background processes over HTTP: read the request, call the registry, word the answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hermes_cli.processes.answers import answer as encodable
from hermes_cli.processes.changes import Subscription
from hermes_cli.processes.errors import BadCursorError, ProcessError
from hermes_cli.serving.problems import CODES

from .process_api import (
    ENVIRONMENTS,
    AcknowledgeBody,
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
from .requests import MalformedRequestError, body, limit, number, seconds, whole
from .responses import json_response, problem_response
from .verb_routes import Answer

if TYPE_CHECKING:
    from hermes_cli.processes.environments import Kind

_MOST_EVENTS = 500
_MOST_LINES = 10_000


async def answer(service: ProcessService, request: Request, name: str) -> Answer:
    """The answer of the verb `name`; a problem where it is refused."""
    try:
        return await _VERBS[name](service, request)
    except ProcessError as error:
        code = error.code if error.code in CODES else ProcessError.code
        return problem_response(code, str(error))
    except (MalformedRequestError, msgspec.ValidationError) as error:
        return problem_response("bad_request", str(error))


async def list_processes(service: ProcessService, request: Request) -> Response:
    place = await _place(service, request)
    query = request.query_params
    found = await place.quick(
        place.environment.list, session_key=query.get("session_key"), task_id=query.get("task_id")
    )
    return _json({"environment": place.environment.kind, "processes": found})


async def start(service: ProcessService, request: Request) -> Response:
    asked = await body(request, StartBody)
    place = await service.place(asked.environment) if asked.environment else await _place(service, request)
    started = await place.slow(place.environment.start, asked.request())
    return _json(started, 201)


async def poll(service: ProcessService, request: Request) -> Response:
    place = await _place(service, request)
    return _json(await place.quick(place.environment.poll, _id(request), _cursor(request)))


async def log(service: ProcessService, request: Request) -> Response:
    place = await _place(service, request)
    offset, lines = number(request, "offset"), limit(request, 200, _MOST_LINES)
    found = await place.quick(place.environment.log, _id(request), offset, lines)
    return _json(found)


async def output(service: ProcessService, request: Request) -> Answer:
    given = _id(request)
    place = await _place(service, request)
    cursor, resumed = _cursor(request) or 0, request.headers.get("last-event-id")
    if resumed is not None:
        cursor = _byte("Last-Event-ID", resumed)
    wait = seconds(request, "wait") or 0.0
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
    with listener, _noticing_the_end(request, listener):
        return _json(await next_page(service, place, given, cursor, wait, listener))


async def wait(service: ProcessService, request: Request) -> Response:
    given = _id(request)
    place = await _place(service, request)
    timeout = seconds(request, "timeout")
    with await place.listen(given) as listener, _noticing_the_end(request, listener):
        return _json(await wait_for_end(service, place, given, timeout, listener))


async def kill(service: ProcessService, request: Request) -> Response:
    asked = await body(request, KillBody)
    place = await _place(service, request)
    return _json(await place.slow(place.environment.kill, _id(request), asked.grace))


async def write(service: ProcessService, request: Request) -> Response:
    asked = await body(request, WriteBody)
    place = await _place(service, request)
    return _json(await place.slow(place.environment.write, _id(request), asked.input()))


async def submit(service: ProcessService, request: Request) -> Response:
    asked = await body(request, SubmitBody)
    place = await _place(service, request)
    return _json(await place.slow(place.environment.submit, _id(request), asked.text))


async def close(service: ProcessService, request: Request) -> Response:
    place = await _place(service, request)
    return _json(await place.slow(place.environment.close, _id(request)))


async def resize(service: ProcessService, request: Request) -> Response:
    asked = await body(request, ResizeBody)
    place = await _place(service, request)
    process_id = await place.quick(place.environment.find, _id(request))
    await place.slow(place.environment.resize, process_id, asked.rows, asked.columns)
    return _json({"session_id": process_id, "status": "ok"})


async def events(service: ProcessService, request: Request) -> Response:
    """The owner's events behind `after`; those that keepers have told by now are among them."""
    session_key = request.query_params.get("session_key")
    after = number(request, "after") or 0
    most = limit(request, 100, _MOST_EVENTS)
    deadline = asyncio.get_running_loop().time() + min(seconds(request, "wait") or 0.0, LONGEST_WAIT)
    outbox = await service.outbox()
    with service.changes.subscribe() as subscription, _noticing_the_end(request, subscription):
        subscription.add(service.home.processes, lambda name: name == "outbox.db")
        if service.has_news():
            await service.quick(outbox.collect)
        while True:
            subscription.changed.clear()
            found = await service.quick(outbox.pending, session_key, after, most)
            left = deadline - asyncio.get_running_loop().time()
            if found or left <= 0 or service.draining or subscription.abandoned:
                return _json({"events": found})
            await subscription.wait(left)


async def acknowledge(service: ProcessService, request: Request) -> Response:
    asked = await body(request, AcknowledgeBody)
    outbox = await service.outbox()
    return _json({"acknowledged": await service.slow(outbox.acknowledge, asked.session_key, asked.ids)})


_VERBS: dict[str, Callable[[ProcessService, Request], Awaitable[Answer]]] = {
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
        raise MalformedRequestError(f"environment is one of {', '.join(ENVIRONMENTS)}")
    return await service.place(cast("Kind | None", name))


def _id(request: Request) -> str:
    return str(request.path_params["process_id"])


def _cursor(request: Request) -> int | None:
    text = request.query_params.get("cursor")
    return None if text is None else _byte("cursor", text)


def _byte(name: str, text: str) -> int:
    try:
        return whole(name, text)
    except MalformedRequestError as error:
        raise BadCursorError(f"{error}: the cursor of an earlier answer; begin with 0") from error


def _json(value: object, status: int = 200) -> Response:
    return json_response(msgspec.json.encode(encodable(value)), status)
