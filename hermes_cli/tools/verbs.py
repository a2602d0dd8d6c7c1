"""What the tools need of the process layer: the verbs of a registry, here or in a sandbox."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Protocol

from hermes_cli.processes.types import (
    Closed,
    Killed,
    Listing,
    Logged,
    Polled,
    Started,
    StartRequest,
    Waited,
    Wrote,
)


class ProcessVerbs(Protocol):
    """`hermes_cli.processes.registry.Registry`, as far as the tools see it. All raise `ProcessError`."""

    def start(self, request: StartRequest, /) -> Started: ...
    def list(
        self, *, session_key: str | None = None, task_id: str | None = None
    ) -> builtins.list[Listing]: ...
    def poll(self, given: str, /, cursor: int | None = None) -> Polled: ...
    def log(self, given: str, /, offset: int | None = None, limit: int = 200) -> Logged: ...
    def wait(
        self, given: str, /, timeout: float | None = None, interrupted: Callable[[], bool] | None = None
    ) -> Waited: ...
    def kill(self, given: str, /, grace: float = 5.0) -> Killed: ...
    def write(self, given: str, /, data: bytes) -> Wrote: ...
    def submit(self, given: str, /, text: str) -> Wrote: ...
    def close(self, given: str, /) -> Closed: ...
    def forget(self, given: str, /) -> None: ...
