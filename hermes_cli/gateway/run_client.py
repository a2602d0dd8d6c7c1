"""Runs and sessions as every face asks for them; events that go on through a restart of the gateway."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from hermes_cli.home import Home

from .client import Answer, GatewayAnswerError, GatewayClient, GatewayUnreachableError
from .run_api import (
    Controlled,
    EventPage,
    RunBody,
    RunEvent,
    Runs,
    RunStarted,
    RunView,
    SessionDeleted,
    Sessions,
    SessionView,
)

_ANSWERED_WITHIN = 30.0
"""Seconds for the answer to a request that changes something: starts and ends of processes are among them."""
_SILENCE = 45.0
"""Seconds without a byte of a stream, three heartbeats, until it counts as lost."""
_PATIENCE = 60.0
"""Seconds a gateway that has gone may take to come back."""
_LOOK_AGAIN = 0.5
_RESTARTING = frozenset({"draining", "overloaded", "lease_held"})
"""Codes of a gateway that will be there in a moment, or another in its place."""

AnswerT = TypeVar("AnswerT")

_decode_event = msgspec.json.Decoder(RunEvent).decode


class RunClient:
    """What can be asked of a gateway about runs. Holds nothing of any run.

    Every method raises `GatewayUnreachableError` and `GatewayAnswerError`.
    """

    def __init__(self, gateway: GatewayClient) -> None:
        self._gateway = gateway

    @property
    def home(self) -> Home:
        """The profile's, whose gateway is asked."""
        return self._gateway.home

    # Runs

    def start(self, body: RunBody, *, key: str | None = None) -> RunStarted:
        """Start a run. Sent again with the same key where the gateway goes away before it answers: the run
        is started once."""
        return self._once("/v1/runs", body, key)

    def retry(self, run_id: str, *, key: str | None = None) -> RunStarted:
        """A new run of an ended one's request."""
        return self._once(f"/v1/runs/{_part(run_id)}/retry", {}, key)

    def recent(
        self,
        *,
        session_id: str | None = None,
        statuses: tuple[str, ...] = (),
        before: str | None = None,
        limit: int = 100,
    ) -> list[RunView]:
        """The latest first."""
        status = ",".join(statuses)
        return self._get(
            "/v1/runs", Runs, session_id=session_id, status=status, before=before, limit=limit
        ).runs

    def get(self, run_id: str) -> RunView:
        return self._get(f"/v1/runs/{_part(run_id)}", RunView)

    def page(self, run_id: str, cursor: str = "0", *, limit: int = 1000, wait: float = 0.0) -> EventPage:
        """The events behind `cursor`, within `wait` seconds."""
        path = f"/v1/runs/{_part(run_id)}/events"
        return self._get(path, EventPage, timeout=wait + 5, cursor=cursor, limit=limit, wait=wait)

    def events(self, run_id: str, cursor: str = "0", *, patience: float = _PATIENCE) -> Iterator[RunEvent]:
        """Every event behind `cursor` as it comes, the terminal one last.

        Goes on by itself where the gateway is restarted: each event once, none left out. Raises
        `GatewayUnreachableError` where no gateway comes back within `patience` seconds.
        """
        seen = 0
        lost_at: float | None = None
        while True:
            try:
                for event in self._stream(run_id, cursor):
                    lost_at = None
                    if event is None:
                        continue
                    if event.seq > seen:
                        seen, cursor = event.seq, event.event_id
                        yield event
                    if event.terminal:
                        return
                if lost_at is None:
                    lost_at = time.monotonic()  # it drained
            except _EndedError:
                return
            except (GatewayUnreachableError, GatewayAnswerError) as error:
                if isinstance(error, GatewayAnswerError) and error.code not in _RESTARTING:
                    raise
                if not seen and lost_at is None and isinstance(error, GatewayUnreachableError):
                    self._gateway.healthz()  # none there from the beginning is no interruption
                lost_at = lost_at or time.monotonic()
                if time.monotonic() - lost_at > patience:
                    raise
            self._wait_for_gateway(lost_at + patience)

    def cancel(self, run_id: str) -> Controlled:
        return self._post(f"/v1/runs/{_part(run_id)}/cancel", {}, Controlled)

    def decide(self, run_id: str, approve: bool, approval_id: str | None = None) -> Controlled:
        """Allow or deny what the run waits for."""
        body = {"decision": "approve" if approve else "deny", "approval_id": approval_id}
        return self._post(f"/v1/runs/{_part(run_id)}/approval", body, Controlled)

    # Sessions

    def sessions(self, *, before: str | None = None, limit: int = 100) -> list[SessionView]:
        """The most recently active first."""
        return self._get("/v1/sessions", Sessions, before=before, limit=limit).sessions

    def session(self, session_id: str) -> SessionView:
        return self._get(f"/v1/sessions/{_part(session_id)}", SessionView)

    def session_runs(self, session_id: str, *, before: str | None = None, limit: int = 100) -> list[RunView]:
        """The active one first, then the latest."""
        path = f"/v1/sessions/{_part(session_id)}/runs"
        return self._get(path, Runs, before=before, limit=limit).runs

    def session_log(self, session_id: str) -> Iterator[bytes]:
        """What was said, one line of JSON each."""
        path = f"/v1/sessions/{_part(session_id)}/log"
        with self._gateway.open("GET", path, timeout=_ANSWERED_WITHIN) as answer:
            answer.expect(200)
            yield from answer.lines()

    def delete_session(self, session_id: str) -> SessionDeleted:
        path = f"/v1/sessions/{_part(session_id)}"
        with self._gateway.open("DELETE", path, timeout=_ANSWERED_WITHIN) as answer:
            return _decoded(answer, SessionDeleted)

    # Inside

    def _get(self, path: str, kind: type[AnswerT], timeout: float | None = None, **query: Any) -> AnswerT:
        given = {name: value for name, value in query.items() if value not in (None, "")}
        path = f"{path}?{urlencode(given)}" if given else path
        with self._gateway.open("GET", path, timeout=timeout) as answer:
            return _decoded(answer, kind)

    def _post(self, path: str, body: object, kind: type[AnswerT], **headers: str) -> AnswerT:
        data = msgspec.json.encode(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with self._gateway.open("POST", path, data, timeout=_ANSWERED_WITHIN, headers=named) as answer:
            return _decoded(answer, kind)

    def _once(self, path: str, body: object, key: str | None) -> RunStarted:
        key = key or os.urandom(16).hex()
        self._gateway.healthz()  # where there is none, that is the answer, and at once
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return self._post(path, body, RunStarted, idempotency_key=key)
            except (GatewayUnreachableError, GatewayAnswerError) as error:
                if isinstance(error, GatewayAnswerError) and error.code not in _RESTARTING:
                    raise
                if time.monotonic() > deadline:
                    raise
            self._wait_for_gateway(deadline)

    def _stream(self, run_id: str, cursor: str) -> Iterator[RunEvent | None]:
        """One connection's events; None once it stands. Raises `_EndedError` where the run has ended."""
        path = f"/v1/runs/{_part(run_id)}/events"
        # In the header: a cursor may hold what a query would have to escape, and it goes before that.
        headers = {"Accept": "text/event-stream", "Last-Event-ID": cursor}
        with self._gateway.open("GET", path, timeout=_SILENCE, headers=headers) as answer:
            answer.expect(200)
            yield None
            name, data = b"", b""
            for line in answer.lines():
                field, _, value = line.rstrip(b"\r\n").partition(b": ")
                if field == b"event":
                    name = value
                elif field == b"data":
                    data = value
                elif not field and not value:
                    if not name and data:
                        yield _decode_event(data)
                    elif name == b"end":
                        raise _EndedError
                    elif name == b"error":
                        problem = msgspec.json.decode(data)
                        raise GatewayAnswerError(404, problem["code"], problem["detail"], problem)
                    name, data = b"", b""

    def _wait_for_gateway(self, deadline: float) -> None:
        """Return when one takes work, or past `deadline` by the monotonic clock."""
        from hermes_cli.service_manager.watch import REPLACED, Watch

        with Watch(self._gateway.home.state, REPLACED) as watch:
            while time.monotonic() < deadline:
                watch.arm()
                try:
                    if self._gateway.readyz():
                        return
                except GatewayUnreachableError:
                    pass
                # A gateway that is ready writes so there.
                watch.wait(min(_LOOK_AGAIN, max(0.0, deadline - time.monotonic())))


class _EndedError(Exception):
    """The stream has told that the run's last event was told."""


def _decoded(answer: Answer, kind: type[AnswerT]) -> AnswerT:
    answer.expect(200, 201)
    return msgspec.json.decode(answer.read(), type=kind)


def _part(given: str) -> str:
    """What a user gave as an id, as one part of a path."""
    return quote(given, safe="") or "-"
