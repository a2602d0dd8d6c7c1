"""Runs and sessions as every face asks for them; events that go on through a restart of the gateway."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import msgspec

from hermes_cli.home import Home

from .asking import ANSWERED_WITHIN, decoded, get, part, post
from .client import GatewayAnswerError, GatewayClient, GatewayUnreachableError
from .resuming import PATIENCE, RESTARTING, SILENCE, EndedError, frames, resumed, wait_for_gateway
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
        return self._once(f"/v1/runs/{part(run_id)}/retry", {}, key)

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
        return get(
            self._gateway, "/v1/runs", Runs, session_id=session_id, status=status, before=before, limit=limit
        ).runs

    def get(self, run_id: str) -> RunView:
        return get(self._gateway, f"/v1/runs/{part(run_id)}", RunView)

    def page(self, run_id: str, cursor: str = "0", *, limit: int = 1000, wait: float = 0.0) -> EventPage:
        """The events behind `cursor`, within `wait` seconds."""
        path = f"/v1/runs/{part(run_id)}/events"
        return get(self._gateway, path, EventPage, timeout=wait + 5, cursor=cursor, limit=limit, wait=wait)

    def events(self, run_id: str, cursor: str = "0", *, patience: float = PATIENCE) -> Iterator[RunEvent]:
        """Every event behind `cursor` as it comes, the terminal one last.

        Goes on by itself where the gateway is restarted: each event once, none left out. Raises
        `GatewayUnreachableError` where no gateway comes back within `patience` seconds.
        """
        seen, at = 0, cursor

        def connected() -> Iterator[RunEvent | None]:
            nonlocal seen, at
            for event in self._stream(run_id, at):
                if event is None:
                    yield None
                    continue
                if event.seq > seen:
                    seen, at = event.seq, event.event_id
                    yield event
                if event.terminal:
                    raise EndedError

        return resumed(self._gateway, connected, patience)

    def cancel(self, run_id: str) -> Controlled:
        return post(self._gateway, f"/v1/runs/{part(run_id)}/cancel", {}, Controlled)

    def decide(self, run_id: str, approve: bool, approval_id: str | None = None) -> Controlled:
        """Allow or deny what the run waits for."""
        body = {"decision": "approve" if approve else "deny", "approval_id": approval_id}
        return post(self._gateway, f"/v1/runs/{part(run_id)}/approval", body, Controlled)

    # Sessions

    def sessions(self, *, before: str | None = None, limit: int = 100) -> list[SessionView]:
        """The most recently active first."""
        return get(self._gateway, "/v1/sessions", Sessions, before=before, limit=limit).sessions

    def session(self, session_id: str) -> SessionView:
        return get(self._gateway, f"/v1/sessions/{part(session_id)}", SessionView)

    def session_runs(self, session_id: str, *, before: str | None = None, limit: int = 100) -> list[RunView]:
        """The active one first, then the latest."""
        path = f"/v1/sessions/{part(session_id)}/runs"
        return get(self._gateway, path, Runs, before=before, limit=limit).runs

    def session_log(self, session_id: str) -> Iterator[bytes]:
        """What was said, one line of JSON each."""
        path = f"/v1/sessions/{part(session_id)}/log"
        with self._gateway.open("GET", path, timeout=ANSWERED_WITHIN) as answer:
            answer.expect(200)
            yield from answer.lines()

    def delete_session(self, session_id: str) -> SessionDeleted:
        path = f"/v1/sessions/{part(session_id)}"
        with self._gateway.open("DELETE", path, timeout=ANSWERED_WITHIN) as answer:
            return decoded(answer, SessionDeleted)

    # Inside

    def _once(self, path: str, body: object, key: str | None) -> RunStarted:
        key = key or os.urandom(16).hex()
        self._gateway.healthz()  # where there is none, that is the answer, and at once
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return post(self._gateway, path, body, RunStarted, idempotency_key=key)
            except (GatewayUnreachableError, GatewayAnswerError) as error:
                if isinstance(error, GatewayAnswerError) and error.code not in RESTARTING:
                    raise
                if time.monotonic() > deadline:
                    raise
            wait_for_gateway(self._gateway, deadline)

    def _stream(self, run_id: str, cursor: str) -> Iterator[RunEvent | None]:
        """One connection's events; None once it stands. Raises `EndedError` where the run has ended."""
        path = f"/v1/runs/{part(run_id)}/events"
        # In the header: a cursor may hold what a query would have to escape, and it goes before that.
        headers = {"Accept": "text/event-stream", "Last-Event-ID": cursor}
        with self._gateway.open("GET", path, timeout=SILENCE, headers=headers) as answer:
            answer.expect(200)
            yield None
            for frame in frames(answer.lines()):
                if not frame.kind:
                    yield _decode_event(frame.data)
                elif frame.kind == "end":
                    raise EndedError
                elif frame.kind == "error":
                    problem = msgspec.json.decode(frame.data)
                    raise GatewayAnswerError(404, problem["code"], problem["detail"], problem)
