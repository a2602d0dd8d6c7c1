"""The bodies that are sent to /v1/processes and what they ask for, and the shapes of its answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from hermes_cli.processes.types import (
    DEFAULT_CAP,
    Closed,
    Event,
    Killed,
    Listing,
    Logged,
    Owner,
    Polled,
    Started,
    StartRequest,
    Waited,
    Wrote,
)

Size = Annotated[int, Meta(ge=1, le=65535)]
EnvironmentName = Literal["local", "docker", "ssh"]
ENVIRONMENTS: tuple[str, ...] = get_args(EnvironmentName)
Seconds = Annotated[float, Meta(ge=0, le=600)]
_BASE64 = r"^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"


class Body(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a client sends. A key that is not known is a mistake, and named."""


class StartBody(Body):
    """A command to run in the background. Exactly one of `command` and `argv`."""

    command: str | None = None
    """A line for the shell."""
    argv: list[str] | None = None
    """A program and its arguments, without a shell."""
    cwd: str | None = None
    """Absolute; the profile's home where there is none, in a sandbox its own directory."""
    environment: EnvironmentName | None = None
    """Where it runs; the profile's where there is none."""
    env: dict[str, str] = {}
    """Variables that are set for it."""
    passthrough: list[str] = []
    """Names of variables passed on although they are secrets."""
    shell: str | None = None
    pty: bool = False
    rows: Size = 24
    columns: Size = 80
    stdin: Literal["open", "null"] = "open"
    cap_bytes: Annotated[int, Meta(ge=1)] = DEFAULT_CAP
    notify_on_complete: bool = False
    watch_patterns: list[str] = []
    session_key: str | None = None
    task_id: str | None = None
    platform: str | None = None
    chat_id: str | None = None
    user_id: str | None = None
    user_name: str | None = None
    thread_id: str | None = None

    def request(self) -> StartRequest:
        return StartRequest(
            command=self.command,
            argv=None if self.argv is None else tuple(self.argv),
            cwd=self.cwd,
            environment=self.env,
            passthrough=tuple(self.passthrough),
            shell=self.shell,
            pty=self.pty,
            rows=self.rows,
            columns=self.columns,
            stdin=self.stdin,
            cap_bytes=self.cap_bytes,
            owner=Owner(
                self.session_key,
                self.task_id,
                self.platform,
                self.chat_id,
                self.user_id,
                self.user_name,
                self.thread_id,
            ),
            notify_on_complete=self.notify_on_complete,
            watch_patterns=tuple(self.watch_patterns),
        )


class KillBody(Body):
    grace: Seconds = 5.0
    """Seconds between TERM and KILL."""


class WriteBody(Body):
    """Exactly one of the two."""

    data: str | None = None
    """Text, written as UTF-8."""
    data_base64: Annotated[bytes, Meta(extra_json_schema={"pattern": _BASE64})] | None = None
    """Any bytes."""

    def input(self) -> bytes:
        """Raises `msgspec.ValidationError` where there is not exactly one of the two."""
        if (self.data is None) == (self.data_base64 is None):
            raise msgspec.ValidationError("give `data` or `data_base64`, one of the two")
        return self.data.encode() if self.data is not None else self.data_base64 or b""


class SubmitBody(Body):
    text: str = ""


class ResizeBody(Body):
    rows: Size
    columns: Size


class AcknowledgeBody(Body, kw_only=True):
    session_key: str | None = None
    """The owner whose events they are; without one, of processes that belong to no session."""
    ids: Annotated[list[int], Meta(max_length=1000)]


class Processes(msgspec.Struct, kw_only=True):
    environment: EnvironmentName
    processes: list[Listing]


class Events(msgspec.Struct, kw_only=True):
    events: list[Event]


class Acknowledged(msgspec.Struct, kw_only=True):
    acknowledged: int
    """How many were there and are gone now; those of others and unknown ones stay."""


class Done(msgspec.Struct, kw_only=True):
    session_id: str
    status: Literal["ok"] = "ok"


BODIES: tuple[type[Body], ...] = (StartBody, KillBody, WriteBody, SubmitBody, ResizeBody, AcknowledgeBody)
ANSWERS: tuple[Any, ...] = (
    *(Processes, Started, Polled, Logged, Waited, Killed, Wrote, Closed, Done),
    *(Events, Acknowledged),
)
