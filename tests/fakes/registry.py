"""A registry whose processes are scripted: for what a real one does only when something breaks."""

from __future__ import annotations

import builtins
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from hermes_cli.processes.errors import NotRunningError
from hermes_cli.processes.ids import new_id, resolve
from hermes_cli.processes.types import (
    Closed,
    Killed,
    Listing,
    Logged,
    Polled,
    Started,
    StartRequest,
    State,
    Waited,
    Wrote,
)


@dataclass
class Scripted:
    """A process of the fake: it writes `output` at once and ends when `ended` is set."""

    request: StartRequest
    output: str = ""
    exit_code: int | None = None
    status: State = "running"
    descendants: int | None = None
    typed: bytes = b""
    ended: threading.Event = field(default_factory=threading.Event)

    def end(self, exit_code: int, status: State = "exited") -> None:
        self.exit_code, self.status = exit_code, status
        self.ended.set()


class FakeRegistry:
    """Stands for `hermes_cli.processes.registry.Registry`. `fails` maps a verb to what it raises instead."""

    PAGE = 64 << 10

    def __init__(self, begin: Callable[[Scripted], None] | None = None) -> None:
        """`begin` is called with each process that is started, before `start` returns."""
        self.processes: dict[str, Scripted] = {}
        self.fails: dict[str, Exception] = {}
        self.killed: builtins.list[str] = []
        self.forgotten: builtins.list[str] = []
        self.kill_answer: Killed | None = None
        self._begin = begin

    def start(self, request: StartRequest, /) -> Started:
        self._maybe_fail("start")
        session_id = new_id()
        process = self.processes[session_id] = Scripted(request)
        if self._begin:
            self._begin(process)
        return Started(session_id, 4242, process.status)

    def list(self, *, session_key: str | None = None, task_id: str | None = None) -> builtins.list[Listing]:
        self._maybe_fail("list")
        found = []
        for session_id, process in self.processes.items():
            owner = process.request.owner
            if session_key in (None, owner.session_key) and task_id in (None, owner.task_id):
                command = process.request.command or ""
                row = Listing(session_id, command, "/", 4242, 0.0, 1.0, process.status, process.output[-200:])
                found.append(
                    Listing(
                        **{**vars(row), "exit_code": process.exit_code, "descendants": process.descendants}
                    )
                )
        return found

    def poll(self, given: str, /, cursor: int | None = None) -> Polled:
        self._maybe_fail("poll")
        session_id, process = self._of(given)
        data = process.output.encode()
        start = max(0, len(data) - 1000) if cursor is None else cursor
        piece = data[start : start + self.PAGE]
        end = start + len(piece)
        return Polled(
            session_id, process.request.command or "", process.status, 4242, 1.0,
            output_preview=piece.decode("utf-8", "ignore")[-1000:], cursor=end,
            output=piece.decode("utf-8", "ignore"), more=end < len(data), exit_code=process.exit_code,
        )  # fmt: skip

    def log(self, given: str, /, offset: int | None = None, limit: int = 200) -> Logged:
        self._maybe_fail("log")
        session_id, process = self._of(given)
        lines = process.output.splitlines(keepends=True)
        first = max(0, len(lines) - limit) if offset is None else offset
        shown = "".join(lines[first : first + limit])
        return Logged(session_id, process.status, shown, len(lines), f"lines {first + 1}-", first)

    def wait(
        self, given: str, /, timeout: float | None = None, interrupted: Callable[[], bool] | None = None
    ) -> Waited:
        self._maybe_fail("wait")
        session_id, process = self._of(given)
        if interrupted is not None and interrupted():
            return Waited(session_id, "interrupted", process.output)
        if not process.ended.wait(timeout):
            return Waited(session_id, "timeout", process.output)
        assert process.status != "running"
        return Waited(session_id, process.status, process.output[-self.PAGE :], exit_code=process.exit_code)

    def kill(self, given: str, /, grace: float = 5.0) -> Killed:
        self._maybe_fail("kill")
        session_id, process = self._of(given)
        self.killed.append(session_id)
        if self.kill_answer is not None:
            return self.kill_answer
        if process.status != "running":
            return Killed(session_id, "already_exited", process.exit_code)
        process.end(143, "killed")
        return Killed(session_id, "killed", 143, 15, ended=1)

    def write(self, given: str, /, data: bytes) -> Wrote:
        self._maybe_fail("write")
        session_id, process = self._of(given)
        if process.status != "running":
            raise NotRunningError(session_id, process.status)
        process.typed += data
        return Wrote(session_id, "ok", len(data))

    def submit(self, given: str, /, text: str) -> Wrote:
        return self.write(given, (text + "\n").encode())

    def forget(self, given: str, /) -> None:
        self._maybe_fail("forget")
        self.forgotten.append(self._of(given)[0])

    def close(self, given: str, /) -> Closed:
        self._maybe_fail("close")
        return Closed(self._of(given)[0], "closed")

    def _of(self, given: str) -> tuple[str, Scripted]:
        session_id = resolve(given, self.processes)
        return session_id, self.processes[session_id]

    def _maybe_fail(self, verb: str) -> None:
        if verb in self.fails:
            raise self.fails[verb]
