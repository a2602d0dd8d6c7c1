"""Background processes as every face asks for them; output that goes on through a restart of the gateway."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from hermes_cli.processes.types import Closed, Killed, Logged, Polled, Started, State, Wrote

from .asking import ANSWERED_WITHIN, get, part, post, with_query
from .client import GatewayAnswerError, GatewayClient
from .process_api import (
    Done,
    EnvironmentName,
    KillBody,
    Processes,
    ResizeBody,
    StartBody,
    SubmitBody,
    WriteBody,
)
from .resuming import PATIENCE, SILENCE, EndedError, frames, resumed

_ROOT = "/v1/processes"


class Output(msgspec.Struct, kw_only=True):
    """A piece of a process's output."""

    session_id: str
    output: str
    """ANSI stripped, secrets masked."""
    cursor: int
    """Byte offset behind the piece."""
    dropped_bytes: int = 0
    """Bytes before the piece that the limit of the process's disk has taken."""


class Ended(msgspec.Struct, kw_only=True):
    """How a process ended. The last item of what is followed."""

    session_id: str
    command: str
    status: State
    pid: int
    uptime_seconds: float
    cursor: int
    exit_code: int | None = None
    signal: int | None = None
    reason: str | None = None


class ProcessClient:
    """What can be asked of a gateway about processes. Holds nothing of any process.

    An id may be cut to any beginning that is unique. Every method raises `GatewayUnreachableError` and
    `GatewayAnswerError`.
    """

    def __init__(self, gateway: GatewayClient, environment: EnvironmentName | None = None) -> None:
        """`environment`: where the processes are; None is where the profile has them."""
        self._gateway = gateway
        self._environment = environment

    def within(self, environment: EnvironmentName | None) -> ProcessClient:
        """The same for the processes of another environment."""
        return ProcessClient(self._gateway, environment)

    def list(self, *, session_key: str | None = None, task_id: str | None = None) -> Processes:
        """All that are kept: the running ones, and those that ended lately."""
        query: dict[str, Any] = {
            "session_key": session_key,
            "task_id": task_id,
            "environment": self._environment,
        }
        return get(self._gateway, _ROOT, Processes, timeout=self._patience, **query)

    def poll(self, process_id: str, cursor: int | None = None) -> Polled:
        """What is new since `cursor`, at once; without one the end of the output."""
        return get(
            self._gateway,
            self._path(process_id),
            Polled,
            timeout=self._patience,
            cursor=cursor,
            environment=self._environment,
        )

    def page(self, process_id: str, cursor: int = 0, *, wait: float = 0.0) -> Polled:
        """What is new since `cursor`, as soon as there is something, within `wait` seconds."""
        query: dict[str, Any] = {"cursor": cursor, "wait": wait, "environment": self._environment}
        path = self._path(process_id, "output")
        return get(self._gateway, path, Polled, timeout=wait + ANSWERED_WITHIN, **query)

    def follow(
        self, process_id: str, cursor: int = 0, *, patience: float = PATIENCE
    ) -> Iterator[Output | Ended]:
        """The output behind `cursor` as it comes, then how the process ended.

        Goes on by itself where the gateway is restarted: no byte twice, none left out but what is told in
        `dropped_bytes`. Raises `GatewayUnreachableError` where none comes back within `patience` seconds.
        """
        at = cursor

        def connected() -> Iterator[Output | Ended | None]:
            nonlocal at
            for piece in self._stream(process_id, at):
                if piece is not None:
                    at = piece.cursor
                yield piece
                if isinstance(piece, Ended):
                    raise EndedError

        return resumed(self._gateway, connected, patience)

    def log(self, process_id: str, offset: int | None = None, limit: int | None = None) -> Logged:
        """`limit` lines (200) from line `offset` on; without one the last."""
        query: dict[str, Any] = {"offset": offset, "limit": limit, "environment": self._environment}
        return get(self._gateway, self._path(process_id, "log"), Logged, timeout=self._patience, **query)

    def start(self, body: StartBody) -> Started:
        return post(self._gateway, with_query(_ROOT, environment=self._environment), body, Started)

    def kill(self, process_id: str, *, grace: float = 5.0) -> Killed:
        """TERM, after `grace` seconds KILL, down to the last descendant."""
        path = self._path(process_id, "kill", self._environment)
        return post(self._gateway, path, KillBody(grace=grace), Killed, timeout=2 * grace + ANSWERED_WITHIN)

    def write(self, process_id: str, data: bytes) -> Wrote:
        """`data` into its stdin."""
        path = self._path(process_id, "write", self._environment)
        return post(self._gateway, path, WriteBody(data_base64=data), Wrote)

    def submit(self, process_id: str, text: str) -> Wrote:
        """`text` and Enter."""
        return post(
            self._gateway, self._path(process_id, "submit", self._environment), SubmitBody(text=text), Wrote
        )

    def close(self, process_id: str) -> Closed:
        """The end of its stdin."""
        return post(self._gateway, self._path(process_id, "close", self._environment), {}, Closed)

    def resize(self, process_id: str, rows: int, columns: int) -> Done:
        """Tell its terminal how large it is."""
        path = self._path(process_id, "resize", self._environment)
        return post(self._gateway, path, ResizeBody(rows=rows, columns=columns), Done)

    @property
    def _patience(self) -> float | None:
        """Seconds for the answer to a question: a sandbox may have to be connected first."""
        return None if self._environment in (None, "local") else ANSWERED_WITHIN

    def _stream(self, process_id: str, cursor: int) -> Iterator[Output | Ended | None]:
        """One connection's pieces; None once it stands."""
        path = with_query(self._path(process_id, "output"), cursor=cursor, environment=self._environment)
        headers = {"Accept": "text/event-stream"}
        with self._gateway.open("GET", path, timeout=SILENCE, headers=headers) as answer:
            answer.expect(200)
            yield None
            for frame in frames(answer.lines()):
                if frame.kind == "output":
                    yield msgspec.json.decode(frame.data, type=Output)
                elif frame.kind == "end":
                    yield msgspec.json.decode(frame.data, type=Ended)
                elif frame.kind == "error":
                    problem = msgspec.json.decode(frame.data)
                    raise GatewayAnswerError(404, problem["code"], problem["message"], problem)

    @staticmethod
    def _path(process_id: str, verb: str = "", environment: str | None = None) -> str:
        path = f"{_ROOT}/{part(process_id)}" + (f"/{verb}" if verb else "")
        return with_query(path, environment=environment)
