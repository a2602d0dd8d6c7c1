"""What every environment can do: the verbs of a registry, wherever its processes run."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

from hermes_cli.processes.news import News
from hermes_cli.processes.types import (
    Closed,
    Killed,
    Listing,
    Logged,
    Polled,
    Spec,
    Started,
    StartRequest,
    Waited,
    Wrote,
)

Kind = Literal["local", "docker", "ssh"]


class Environment(Protocol):
    """Background processes here or in a sandbox. Verbs raise `ProcessError` and what is below it.

    In a sandbox that cannot be used, every verb raises `EnvironmentUnusableError`; processes in it go on,
    and are there again when it can. Paths, pids and users are the sandbox's own.
    """

    @property
    def name(self) -> str:
        """For people: "this machine", "the container NAME", "the host NAME"."""

    @property
    def kind(self) -> Kind: ...

    @property
    def home_directory(self) -> str:
        """What `~` means there."""

    def working_directory(self, asked: str | None) -> tuple[str, str | None]:
        """Where a command that asks for `asked` is to run, and a warning where that is somewhere else.

        A directory of this machine that the sandbox does not have is replaced by the sandbox's own. Raises
        `StartError` for one that is nowhere.
        """

    def disconnect(self) -> None:
        """Let go of the channel. Nothing ends there; the next verb connects again."""

    def start(self, request: StartRequest, /) -> Started: ...
    def list(
        self, *, session_key: str | None = None, task_id: str | None = None
    ) -> builtins.list[Listing]: ...
    def find(self, given: str, /) -> str: ...
    def spec(self, given: str, /) -> Spec: ...
    def poll(self, given: str, /, cursor: int | None = None) -> Polled: ...
    def log(self, given: str, /, offset: int | None = None, limit: int = 200) -> Logged: ...
    def wait(
        self, given: str, /, timeout: float | None = None, interrupted: Callable[[], bool] | None = None
    ) -> Waited: ...
    def wait_for_output(self, given: str, /, cursor: int, timeout: float) -> None: ...
    def kill(self, given: str, /, grace: float = 5.0) -> Killed: ...
    def kill_all(self, grace: float = 5.0) -> Sequence[Killed]: ...
    def write(self, given: str, /, data: bytes) -> Wrote: ...
    def submit(self, given: str, /, text: str) -> Wrote: ...
    def close(self, given: str, /) -> Closed: ...
    def resize(self, given: str, /, rows: int, columns: int) -> None: ...
    def signal(self, given: str, /, number: int) -> None: ...
    def collect_events(self, cursors: Mapping[str, int], timeout: float = 0.0) -> builtins.list[News]: ...
    def events_taken(self, cursors: Mapping[str, int]) -> None: ...
    def clean(self) -> int: ...
    def running_count(self) -> int: ...
    def has_active_processes(self, task_id: str) -> bool: ...
    def has_active_for_session(self, session_key: str) -> bool: ...
