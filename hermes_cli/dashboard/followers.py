"""What a run, a session and a process say from a cursor on: one follower for a stream, kept nowhere else."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from functools import partial
from typing import Any

import msgspec

from hermes_cli.faces.background import in_thread
from hermes_cli.faces.conversation import read
from hermes_cli.faces.gateway_stream import stream
from hermes_cli.faces.printable import Flowing, plain_text
from hermes_cli.gateway.asking import part, with_query
from hermes_cli.gateway.client import GatewayAnswerError, GatewayClient
from hermes_cli.gateway.process_client import Ended, Output
from hermes_cli.gateway.resuming import Frame
from hermes_cli.gateway.run_api import RunEvent, SessionView

from .following import INTERVAL, Events, digest
from .pieces import Pieces
from .streams import event

_BREATH = 0.05
"""Seconds between the end of a run and the look at what it has left in its session."""

_decode_event = msgspec.json.Decoder(RunEvent).decode


class RunFollower:
    """The events of one run from a cursor on. One for a stream; `cursor` is behind what it gave out."""

    def __init__(
        self, gateway: GatewayClient, run_id: str, cursor: str, *, raw: bool = False, last: bool = True
    ) -> None:
        """`last`: the end of the run is the end of the stream."""
        self.run_id = run_id
        self.cursor = cursor
        self._gateway = gateway
        self._last = last
        self._pieces = Pieces(raw=raw)

    async def attempt(self) -> Events:
        """`pieces` as they come, `snapshot` where their beginning is removed, `end`."""
        path = with_query(f"/v1/runs/{part(self.run_id)}/events", cursor=self.cursor)
        try:
            async with aclosing(stream(self._gateway, path)) as batches:
                async for batch in batches:
                    yield b""
                    events = [_decode_event(frame.data) for frame in batch if not frame.kind]
                    if events:
                        self.cursor = events[-1].event_id
                        yield event("pieces", self._told(events), self.cursor)
                    if _is_over(batch):
                        if self._last:
                            yield event("end", {})
                        return
        except GatewayAnswerError as error:
            if error.code != "cursor_expired":
                raise
            self.cursor = str(error.problem["cursor"])
            yield event("snapshot", {"text": plain_text(str(error.problem["snapshot"]))}, self.cursor)
            async with aclosing(self.attempt()) as rest:
                async for one in rest:
                    yield one
            return
        raise _drained()

    def _told(self, events: list[RunEvent]) -> dict[str, Any]:
        """`changed`: the run itself is another than before, not its text alone."""
        return {
            "pieces": self._pieces.of(events),
            "changed": any(one.type != "delta" for one in events),
        }


class SessionFollower:
    """A session as it goes on: `changed` as its turns do, and what its active run says meanwhile."""

    def __init__(
        self, gateway: GatewayClient, session_id: str, shown: str | None, cursor: str | None
    ) -> None:
        """`shown`: the digest of the turns on the page. `cursor`: of the run that was followed last."""
        self._gateway = gateway
        self._session_id = session_id
        self._shown = shown
        self._run: RunFollower | None = None
        if cursor is not None:
            self._run = RunFollower(gateway, cursor.rpartition(":")[0], cursor, last=False)

    async def attempt(self) -> Events:
        """`changed`; `answer` with the run whose text begins now, or none; `pieces` and `snapshot` of it."""
        seen: SessionView | None = None
        while True:
            session = await in_thread(partial(self._gateway.runs.session, self._session_id))
            yield b""
            if session == seen:
                await asyncio.sleep(INTERVAL)
                continue
            seen = session
            found = await in_thread(partial(read, self._gateway.runs, self._session_id))
            now = digest(found.turns)
            if now != self._shown:
                self._shown = now
                yield event("changed", {})
            active = found.active
            if active is None or active.status == "queued":
                if self._run is not None:
                    self._run = None
                    yield event("answer", {"run_id": None})
                continue
            if self._run is None or self._run.run_id != active.run_id:
                self._run = RunFollower(self._gateway, active.run_id, "0", last=False)
                yield event("answer", {"run_id": active.run_id})
            async with aclosing(self._run.attempt()) as events:
                async for one in events:
                    yield one
            seen = None  # it has ended
            await asyncio.sleep(_BREATH)


class OutputFollower:
    """The output of one process from a cursor on, as `RunFollower`."""

    def __init__(self, gateway: GatewayClient, process_id: str, cursor: int, environment: str | None) -> None:
        self.cursor = cursor
        self._gateway = gateway
        self._path = f"/v1/processes/{part(process_id)}/output"
        self._environment = environment
        self._flow = Flowing()

    async def attempt(self) -> Events:
        """`output` as it comes, `end`."""
        path = with_query(self._path, cursor=self.cursor, environment=self._environment)
        async with aclosing(stream(self._gateway, path)) as batches:
            async for batch in batches:
                yield b""
                found = [msgspec.json.decode(one.data, type=Output) for one in batch if one.kind == "output"]
                if found:
                    self.cursor = found[-1].cursor
                    told = {
                        "text": "".join(self._flow.take(one.output) for one in found),
                        "dropped": sum(one.dropped_bytes for one in found),
                    }
                    yield event("output", told, str(self.cursor))
                for one in batch:
                    if one.kind == "end":
                        ended = msgspec.json.decode(one.data, type=Ended)
                        yield event("end", {"status": ended.status})
                        return
                _is_over(batch)
        raise _drained()


def _is_over(batch: list[Frame]) -> bool:
    """Whether the last event was told; raises where the stream stops for another reason."""
    for frame in batch:
        if frame.kind == "end":
            return True
        if frame.kind == "error":
            problem = msgspec.json.decode(frame.data)
            said = str(problem.get("detail") or problem.get("message") or "")
            raise GatewayAnswerError(404, str(problem.get("code")), said, problem)
        if frame.kind == "closed":
            raise _drained()
    return False


def _drained() -> GatewayAnswerError:
    return GatewayAnswerError(503, "draining", "it is shutting down, or starting again")
