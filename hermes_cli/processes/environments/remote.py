"""An environment at the other end of a channel: each verb is a request to the registry there."""

from __future__ import annotations

import base64
import builtins
import hmac
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from hermes_cli.processes import wire
from hermes_cli.processes.errors import StartError
from hermes_cli.processes.ids import new_id
from hermes_cli.processes.limits import Limits
from hermes_cli.processes.news import News
from hermes_cli.processes.recorded import Beginning, Recorded
from hermes_cli.processes.redaction import Redactor
from hermes_cli.processes.types import (
    Closed,
    Killed,
    Listing,
    Logged,
    Owner,
    Polled,
    Spec,
    Started,
    StartRequest,
    Waited,
    Wrote,
)

from .channel import Channel, Transport
from .interface import Kind

_PATIENCE = 30.0
"""Seconds for what the sandbox answers at once, and beyond the time that a verb may take by itself."""
_START_PATIENCE = 60.0

_Kind = TypeVar("_Kind")


class RemoteEnvironment:
    """The processes of one profile in one sandbox. Any number of threads, and of these, may work on it."""

    def __init__(
        self,
        name: str,
        kind: Kind,
        open_transport: Callable[[], Transport],
        *,
        profile: str,
        workdir: str | None = None,
        secrets: Iterable[str] = (),
        limits: Limits | None = None,
        key: bytes = b"",
        using: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """`profile`: names the directory in the sandbox; another installation's must have another name.

        `secrets`: values masked in what is read. They are sent, and not stored there. `key`: seals owners,
        and never leaves this machine. `using`: around the start of what will have something to tell.
        """
        self._name = name
        self._kind: Kind = kind
        self._key = key
        self._limits = limits or Limits.from_environment()
        self._secrets = tuple(secrets)
        self._using = using
        hello = {
            "profile": profile,
            "workdir": workdir,
            "secrets": sorted(self._secrets),
            "limits": asdict(self._limits),
        }
        self._channel = Channel(name, open_transport, lambda: hello)

    @property
    def name(self) -> str:
        return self._name

    @property
    def kind(self) -> Kind:
        return self._kind

    @property
    def home_directory(self) -> str:
        return str(self.about()["home"])

    def about(self) -> Mapping[str, Any]:
        """What the sandbox says of itself: `python`, `pid` of the program that serves there, `home`, `cwd`,
        and the directories of the `code` and of the `processes`."""
        return self._channel.connect()

    def disconnect(self) -> None:
        self._channel.close()

    def working_directory(self, asked: str | None) -> tuple[str, str | None]:
        found = self._call("working_directory", asked=asked)
        if not found["objection"]:
            return str(found["cwd"]), None
        asked = asked or ""
        try:
            of_this_machine = Path(asked).is_absolute() and Path(asked).is_dir()
        except (OSError, ValueError):
            of_this_machine = False
        if not of_this_machine:
            raise StartError(f"in {self._name}, {found['objection']}")
        return str(found["cwd"]), (
            f"{asked} is a directory of this machine and means nothing in {self._name}; "
            f"the command runs in {found['cwd']} there"
        )

    def start(self, request: StartRequest, /) -> Started:
        cwd, warning = self.working_directory(request.cwd) if request.cwd else (None, None)
        process_id = new_id()
        sealed = replace(request, cwd=cwd, seal=self._seal(process_id, request.owner))
        arguments = {"request": asdict(sealed), "process_id": process_id}
        tells = request.notify_on_complete or bool(request.watch_patterns)
        try:
            with self._using() if tells else nullcontext():
                found = self._channel.call("start", arguments, patience=_START_PATIENCE)
        except OSError as error:
            raise StartError(f"nobody would take its events: {error}") from error
        started = wire.unpacked(Started, found)
        return replace(started, warnings=(warning, *started.warnings)) if warning else started

    def list(self, *, session_key: str | None = None, task_id: str | None = None) -> builtins.list[Listing]:
        rows = self._call("list", session_key=session_key, task_id=task_id)
        return [wire.unpacked(Listing, row) for row in rows]

    def find(self, given: str, /) -> str:
        return str(self._call("find", given=given))

    def spec(self, given: str, /) -> Spec:
        return self._answer(Spec, "spec", given=given)

    def redactor(self, spec: Spec, /) -> Redactor:
        return Redactor((*self._secrets, *spec.secrets))

    def poll(self, given: str, /, cursor: int | None = None) -> Polled:
        return self._answer(Polled, "poll", given=given, cursor=cursor)

    def log(self, given: str, /, offset: int | None = None, limit: int = 200) -> Logged:
        return self._answer(Logged, "log", given=given, offset=offset, limit=limit)

    def wait(
        self, given: str, /, timeout: float | None = None, interrupted: Callable[[], bool] | None = None
    ) -> Waited:
        longest = self._limits.longest_wait
        arguments = {"given": given, "timeout": timeout, "interruptible": interrupted is not None}
        patience = _PATIENCE + min(longest, longest if timeout is None else max(0.0, timeout))
        found = self._channel.call("wait", arguments, patience=patience, interrupted=interrupted)
        return wire.unpacked(Waited, found)

    def wait_for_output(self, given: str, /, cursor: int, timeout: float) -> None:
        arguments = {"given": given, "cursor": cursor, "timeout": timeout}
        self._channel.call("wait_for_output", arguments, patience=_PATIENCE + timeout)

    def recorded(self, given: str, /, cursor: int, timeout: float = 0.0) -> Recorded:
        arguments = {"given": given, "cursor": cursor, "timeout": timeout}
        return Recorded.unpacked(self._channel.call("recorded", arguments, patience=_PATIENCE + timeout))

    def beginning(self, given: str, /, lines: int) -> Beginning:
        found = self._call("beginning", given=given, lines=lines)
        return Beginning(found["cursor"], base64.b64decode(found["modes"]))

    def raw_lines(self, given: str, /, offset: int | None, limit: int) -> builtins.list[bytes]:
        found = self._call("raw_lines", given=given, offset=offset, limit=limit)
        return [base64.b64decode(line) for line in found]

    def kill(self, given: str, /, grace: float = 5.0) -> Killed:
        arguments = {"given": given, "grace": grace}
        return wire.unpacked(Killed, self._channel.call("kill", arguments, patience=_PATIENCE + grace))

    def kill_all(self, grace: float = 5.0) -> Sequence[Killed]:
        found = self._channel.call("kill_all", {"grace": grace}, patience=2 * _PATIENCE + 4 * grace)
        return tuple(wire.unpacked(Killed, one) for one in found)

    def write(self, given: str, /, data: bytes) -> Wrote:
        return self._input("write", given=given, data=base64.b64encode(data).decode())

    def submit(self, given: str, /, text: str) -> Wrote:
        return self._input("submit", given=given, text=text)

    def close(self, given: str, /) -> Closed:
        return self._answer(Closed, "close", given=given)

    def resize(self, given: str, /, rows: int, columns: int) -> None:
        self._call("resize", given=given, rows=rows, columns=columns)

    def signal(self, given: str, /, number: int) -> None:
        arguments = {"given": given, "number": number}
        self._channel.call("signal", arguments, patience=_PATIENCE, repeatable=False)

    def collect_events(self, cursors: Mapping[str, int], timeout: float = 0.0) -> builtins.list[News]:
        """May return before `timeout` seconds have passed, with nothing.

        What runs in the sandbox can write there that a process is somebody else's; what such a process
        tells is dropped.
        """
        arguments = {"cursors": dict(cursors), "timeout": timeout}
        found = self._channel.call("collect_events", arguments, patience=_PATIENCE + timeout)
        return [self._checked(wire.unpacked(News, one)) for one in found]

    def events_taken(self, cursors: Mapping[str, int]) -> None:
        self._call("events_taken", cursors=dict(cursors))

    def clean(self) -> int:
        return int(self._call("clean"))

    def forget(self, given: str, /) -> None:
        self._call("forget", given=given)

    def running_count(self) -> int:
        return int(self._call("running_count"))

    def has_active_processes(self, task_id: str) -> bool:
        return bool(self._call("has_active_processes", task_id=task_id))

    def has_active_for_session(self, session_key: str) -> bool:
        return bool(self._call("has_active_for_session", session_key=session_key))

    def _call(self, verb: str, **arguments: Any) -> Any:
        return self._channel.call(verb, arguments, patience=_PATIENCE)

    def _answer(self, kind: type[_Kind], verb: str, **arguments: Any) -> _Kind:
        return wire.unpacked(kind, self._call(verb, **arguments))

    def _input(self, verb: str, **arguments: Any) -> Wrote:
        """Never sent twice: what arrived already would be typed again."""
        found = self._channel.call(verb, arguments, patience=_PATIENCE, repeatable=False)
        return wire.unpacked(Wrote, found)

    def _checked(self, news: News) -> News:
        if hmac.compare_digest(self._seal(news.session_id, news.owner), news.seal):
            return news
        return replace(news, owner=Owner(), events=())

    def _seal(self, process_id: str, owner: Owner) -> str:
        text = json.dumps([process_id, asdict(owner)], sort_keys=True)
        return hmac.new(self._key, text.encode(), "sha256").hexdigest()
