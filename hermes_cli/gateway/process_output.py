"""A process's output as it comes, from a cursor: one page that waits, or a stream. Waits take no thread."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace

import msgspec

from hermes_cli.processes.answers import answer, refusal
from hermes_cli.processes.errors import ProcessError
from hermes_cli.processes.limits import Limits
from hermes_cli.processes.types import Polled, Waited

from .process_places import Listener, Place
from .process_service import ProcessService
from .process_stream import ALIVE, HEARTBEAT, frame

LONGEST_WAIT = 60.0
"""Seconds that a long-poll may wait."""


async def next_page(
    service: ProcessService, place: Place, given: str, cursor: int, wait: float, listener: Listener
) -> Polled:
    """What is new since `cursor`: as soon as there is something or the process ends, within `wait` seconds.

    `listener` hears of the process. Raises `ProcessError`.
    """
    deadline = time.monotonic() + min(wait, LONGEST_WAIT)
    while True:
        listener.look()
        found = await place.quick(place.environment.poll, given, cursor)
        left = deadline - time.monotonic()
        news = found.output or found.dropped_bytes or found.status != "running"
        if news or left <= 0 or service.draining or listener.abandoned:
            return found
        await listener.wait(left, max(cursor, found.end_of_output))


async def output_frames(
    service: ProcessService, place: Place, given: str, cursor: int, listener: Listener
) -> AsyncIterator[bytes]:
    """`output` for each piece with its cursor as id, `end` behind the last, `closed` at the drain."""
    while True:
        listener.look()
        if service.draining:
            yield frame("closed", '{"reason":"draining"}')
            return
        try:
            found = await place.quick(place.environment.poll, given, cursor)
        except ProcessError as error:  # removed meanwhile
            yield frame("error", _text(refusal(error, given)))
            return
        if found.output or found.dropped_bytes:
            cursor = found.cursor
            piece = {"output": found.output, "cursor": cursor, "dropped_bytes": found.dropped_bytes}
            yield frame("output", _text({"session_id": found.session_id, **piece}), cursor)
            if found.more or found.status != "running":
                continue
        elif found.status != "running":
            yield frame("end", _text(_without_output(found)), cursor)
            return
        try:
            if not await listener.wait(HEARTBEAT, max(cursor, found.end_of_output)):
                yield ALIVE
        except ProcessError as error:
            yield frame("error", _text(refusal(error, given)))
            return


async def wait_for_end(
    service: ProcessService, place: Place, given: str, timeout: float | None, listener: Listener
) -> Waited:
    """As the environment's `wait`; here without its thread. Raises `ProcessError`."""
    longest = Limits.from_environment().longest_wait
    asked = longest if timeout is None else timeout
    patience = min(asked, longest)
    deadline = time.monotonic() + patience
    interrupted = False
    while True:
        listener.look()
        left = deadline - time.monotonic()
        if await listener.has_ended() or left <= 0:
            break
        if service.draining or listener.abandoned:
            interrupted = True
            break
        await listener.wait(left, None)
    waited = await place.quick(place.environment.wait, given, 0.0)
    if waited.status == "timeout" and interrupted:
        return replace(waited, status="interrupted", timeout_note="the gateway is shutting down; it goes on")
    if waited.status == "timeout":
        return replace(waited, timeout_note=_note(asked, longest))
    return waited


def _note(asked: float, longest: float) -> str:
    if asked > longest:
        return f"waited {longest:g} s at most, not {asked:g}: TERMINAL_TIMEOUT is the limit; wait again"
    return f"it still ran after {asked:g} s; it goes on"


def _without_output(found: Polled) -> dict[str, object]:
    fields = answer(found)
    return {key: value for key, value in fields.items() if key not in ("output", "output_preview", "more")}


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()
