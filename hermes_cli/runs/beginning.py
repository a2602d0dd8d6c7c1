"""The beginning of a run's process: once, whatever became of the gateway that began it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, Protocol

from hermes_cli.processes.errors import NoSuchProcessError, ProcessError
from hermes_cli.processes.ids import new_id
from hermes_cli.processes.types import Owner

from .errors import RunError
from .lease import same_boot
from .types import Run

if TYPE_CHECKING:
    from .runner import Runner

_PATIENCE = 40.0
"""Seconds a keeper is waited for whose starter was killed: longer than any takes to begin, or to give up."""

Fate = Literal["began", "never", "unknown"]


class NeverKnownError(RunError):
    """Whether the process ever ran cannot be found out: it is not started, so that it never runs twice."""

    code = "run_interrupted"


class _Adopt(Protocol):
    def __call__(self, *, process_id: str = ...) -> Awaitable[Run]: ...


async def begin_process(runner: Runner, run: Run, adopt: _Adopt) -> str | None:
    """The id of the run's process, which has begun; None for a cancelled run whose process never will.

    `adopt` writes down that this gateway has the run, and a new id for its process. Raises `NeverKnownError`,
    and `ProcessError` or `RunError` for a process that cannot be started.
    """
    process_id = run.process_id or ""
    if runner.is_inherited(run):
        fate = await _fate(runner, process_id)
        if fate == "began":
            await adopt()
            return process_id
        if fate == "unknown" or run.began or not same_boot(run.lease):
            raise NeverKnownError(
                "the gateway ended while it started the process, and what became of that is not known"
            )
        # Another id: a keeper that comes late finds nothing of its own.
        process_id = new_id()
        run = await adopt(process_id=process_id)
    if run.cancel_requested_at is not None:
        return None
    request = await runner.process_of(run)
    request = replace(request, owner=Owner(session_key=run.session_id, task_id=run.run_id))
    message = run.request.message.encode() if request.stdin == "open" else None

    def start() -> None:
        runner.registry.start(request, process_id=process_id, held=True, stdin=message)

    try:
        await runner.blocking(start)
    except ProcessError:
        # A keeper that was too slow to say so may have begun nevertheless.
        if await _fate(runner, process_id) == "began":
            return process_id
        raise
    return process_id


async def _fate(runner: Runner, process_id: str) -> Fate:
    """What became of a process that was being started."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _PATIENCE
    directory = runner.settings.processes / process_id
    with contextlib.closing(runner.changes.subscribe()) as subscription:
        while True:
            subscription.changed.clear()
            subscription.add(directory)
            with contextlib.suppress(NoSuchProcessError):
                await runner.blocking(runner.registry.look, process_id)
                return "began"
            found = await runner.blocking(runner.registry.collection.withdraw, process_id)
            if found in ("absent", "withdrawn"):
                return "never"
            if found == "launched" or loop.time() > deadline:
                with contextlib.suppress(NoSuchProcessError):
                    await runner.blocking(runner.registry.look, process_id)
                    return "began"
                return "unknown"
            await subscription.wait(1.0)  # a keeper that goes without a word is heard of by nobody
