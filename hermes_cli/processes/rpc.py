"""A sandbox's end of the channel: requests as lines of JSON, the registry's answers, many at once.

    {"id": 7, "verb": "poll", "arguments": {"given": "proc_…"}}    ->  {"id": 7, "answer": {…}}
    {"cancel": 7}                                                  ->  a wait ends as `interrupted`
                                     {"id": 8, "error": {"code": "not_found", "message": "…", …}}

Every line that is sent begins with `MARK`: a login shell may have said something of its own. The program
ends with its input, when it has finished what must not be cut off; keepers and their files stay.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from . import wire
from .errors import (
    KeeperUnreachableError,
    NoSuchProcessError,
    ProcessError,
    StartError,
)
from .limits import Limits
from .recorded import RecordingRegistry
from .starting import check_directory
from .types import Started, StartRequest
from .waiting import wait_until

MARK = b"hermes "

LONGEST_REQUEST = 24 << 20
LONGEST_ANSWER = 64 << 20
MOST_AT_ONCE = 256
"""Requests under way."""

_CODE = Path(__file__).resolve().parent.parent.parent

_LONGEST_NEWS_WAIT = 60.0
_FAREWELL = 20.0
"""Seconds that what must not be cut off may still take when the input has ended."""
_START_PATIENCE = 10.0
"""Seconds a start, which an earlier channel began, may take to show."""

_Arguments = Mapping[str, Any]

_CUT_OFF = frozenset({"wait", "wait_for_output", "recorded", "collect_events"})
"""Verbs that only wait."""


class Server:
    """Serves one registry until the input ends."""

    def __init__(
        self,
        registry: RecordingRegistry,
        default_cwd: str,
        directory: Path,
        environment: Mapping[str, str],
        output: int,
    ) -> None:
        """`environment`: what commands see of the sandbox's. `output`: a descriptor to answer on."""
        self._registry = registry
        self._environment = tuple(environment)
        self._default_cwd = default_cwd
        self._directory = directory
        self._output = output
        self._writing = threading.Lock()
        self._under_way: dict[int, tuple[threading.Thread, threading.Event, str]] = {}
        self._special: dict[str, Callable[[_Arguments, threading.Event], Any]] = {
            "start": self._start,
            "wait": self._wait,
            "write": self._write,
            "working_directory": self._working_directory,
            "collect_events": self._collect_events,
            "spec": lambda arguments, _: wire.packed(registry.spec(**arguments)),
            "list": lambda arguments, _: [wire.packed(row) for row in registry.list(**arguments)],
            "recorded": lambda arguments, _: registry.recorded(**arguments).packed(),
            "beginning": self._beginning,
            "raw_lines": self._raw_lines,
            "kill_all": lambda arguments, _: [wire.packed(one) for one in registry.kill_all(**arguments)],
        }
        for verb in ("poll", "log", "kill", "submit", "close"):
            self._special[verb] = self._packing(getattr(registry, verb))
        for verb in (
            *("find", "wait_for_output", "resize", "signal", "clean", "running_count", "events_taken"),
            *("forget", "has_active_processes", "has_active_for_session"),
        ):
            self._special[verb] = self._plain(getattr(registry, verb))

    def serve(self, source: BinaryIO) -> None:
        """Until `source` ends, or holds what is no request."""
        while True:
            line = source.readline(LONGEST_REQUEST)
            if not line.endswith(b"\n"):
                break
            try:
                message = json.loads(line)
            except ValueError:
                break
            if "cancel" in message:
                under_way = self._under_way.get(message["cancel"])
                if under_way is not None:
                    under_way[1].set()
            else:
                self._begin(message)
        deadline = time.monotonic() + _FAREWELL
        for thread, cancelled, verb in list(self._under_way.values()):
            cancelled.set()
            if verb not in _CUT_OFF:
                thread.join(max(0.0, deadline - time.monotonic()))

    def say(self, message: Mapping[str, Any]) -> None:
        """Send one line. Where nobody listens any more, the end of the input will tell."""
        data = MARK + json.dumps(message, separators=(",", ":")).encode() + b"\n"
        with self._writing:
            view = memoryview(data)
            try:
                while view:
                    view = view[os.write(self._output, view) :]
            except OSError:
                return

    def _begin(self, message: Mapping[str, Any]) -> None:
        number = message["id"]
        if len(self._under_way) >= MOST_AT_ONCE:
            self._refuse(number, KeeperUnreachableError(f"{MOST_AT_ONCE} requests are under way; try again"))
            return
        cancelled = threading.Event()
        thread = threading.Thread(target=self._handle, args=(message, cancelled), daemon=True)
        self._under_way[number] = (thread, cancelled, message["verb"])
        try:
            thread.start()
        except RuntimeError:
            del self._under_way[number]
            self._refuse(number, KeeperUnreachableError("there is no room for another thread; try again"))

    def _handle(self, message: Mapping[str, Any], cancelled: threading.Event) -> None:
        number = message["id"]
        try:
            handler = self._special.get(message["verb"])
            if handler is None:
                raise ProcessError(f"the sandbox knows no verb {message['verb']!r}")
            answer = handler(message.get("arguments") or {}, cancelled)
            data = {"id": number, "answer": answer}
            if isinstance(answer, dict) and len(answer.get("output") or "") > LONGEST_ANSWER // 6:
                raise ProcessError("the answer is too long for the channel; ask for fewer lines")
            self.say(data)
        except ProcessError as error:
            self._refuse(number, error)
        except OSError as error:
            self._refuse(number, ProcessError(f"in the sandbox: {error}"))
        except Exception as error:
            self._refuse(number, ProcessError(f"the sandbox's end failed: {type(error).__name__}: {error}"))
        finally:
            self._under_way.pop(number, None)

    def _refuse(self, number: int, error: ProcessError) -> None:
        self.say({"id": number, "error": wire.packed_error(error)})

    # Verbs

    @staticmethod
    def _plain(verb: Callable[..., Any]) -> Callable[[_Arguments, threading.Event], Any]:
        return lambda arguments, _: verb(**arguments)

    @staticmethod
    def _packing(verb: Callable[..., Any]) -> Callable[[_Arguments, threading.Event], Any]:
        return lambda arguments, _: wire.packed(verb(**arguments))

    def _start(self, arguments: _Arguments, _: threading.Event) -> Any:
        """`again`: an earlier channel broke while this start was under way; it is not done twice."""
        process_id = arguments["process_id"]
        if arguments.get("again") and (found := self._started(process_id)) is not None:
            return wire.packed(found)
        # The whole environment is the sandbox's own: nothing in it is a secret of the gateway.
        request = wire.unpacked(StartRequest, {**arguments["request"], "passthrough": self._environment})
        return wire.packed(self._registry.start(request, process_id=process_id))

    def _started(self, process_id: str) -> Started | None:
        directory = self._directory / process_id
        if not directory.is_dir():
            return None

        def shows() -> bool:
            return (directory / "status.json").exists() or not directory.is_dir()

        wait_until(directory, None, shows, time.monotonic() + _START_PATIENCE)
        try:
            polled = self._registry.poll(process_id)
        except NoSuchProcessError:
            raise StartError(
                "the start was cut off; 'hermes process list' shows whether it runs after all"
            ) from None
        return Started(process_id, polled.pid, polled.status)

    def _wait(self, arguments: _Arguments, cancelled: threading.Event) -> Any:
        interrupted = cancelled.is_set if arguments.get("interruptible") else None
        return wire.packed(
            self._registry.wait(arguments["given"], arguments.get("timeout"), interrupted=interrupted)
        )

    def _write(self, arguments: _Arguments, _: threading.Event) -> Any:
        return wire.packed(self._registry.write(arguments["given"], base64.b64decode(arguments["data"])))

    def _beginning(self, arguments: _Arguments, _: threading.Event) -> Any:
        found = self._registry.beginning(**arguments)
        return {"cursor": found.cursor, "modes": base64.b64encode(found.modes).decode()}

    def _raw_lines(self, arguments: _Arguments, _: threading.Event) -> Any:
        return [base64.b64encode(line).decode() for line in self._registry.raw_lines(**arguments)]

    def _working_directory(self, arguments: _Arguments, _: threading.Event) -> Any:
        asked = arguments["asked"] or self._default_cwd
        if asked == "~" or asked.startswith("~/"):
            asked = os.path.expanduser(asked)  # noqa: PTH111
        try:
            check_directory(asked)
        except StartError as error:
            return {"cwd": self._default_cwd, "objection": str(error)}
        return {"cwd": asked, "objection": ""}

    def _collect_events(self, arguments: _Arguments, _: threading.Event) -> Any:
        timeout = min(arguments.get("timeout", 0.0), _LONGEST_NEWS_WAIT)
        return [wire.packed(one) for one in self._registry.collect_events(arguments["cursors"], timeout)]


def serve(source: BinaryIO, hello: Mapping[str, Any], directory: Path) -> None:
    """Serve the processes below `directory` as `hello` says; called by the program that fetched this code."""
    home = os.path.expanduser("~")  # noqa: PTH111
    default_cwd = hello.get("workdir") or os.getcwd()  # noqa: PTH109
    environment = _own_environment()
    registry = RecordingRegistry(
        directory,
        default_cwd=default_cwd,
        environment=environment,
        secrets=hello.get("secrets") or (),
        limits=wire.unpacked(Limits, hello.get("limits") or {}),
    )
    server = Server(registry, default_cwd, directory, environment, 1)
    python = ".".join(map(str, sys.version_info[:3]))
    places = {"cwd": default_cwd, "home": home, "code": os.fspath(_CODE), "processes": os.fspath(directory)}
    server.say({"ready": {"python": python, "pid": os.getpid(), **places}})
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)  # nobody reads it from now on
    os.close(nowhere)
    server.serve(source)
    os._exit(0)


def _own_environment() -> dict[str, str]:
    """As this program was given it: the interpreter adds a variable of its own in the C locale (PEP 538)."""
    try:
        records = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:
        return dict(os.environ)
    pairs = (os.fsdecode(record).partition("=") for record in records if b"=" in record)
    return {name: value for name, _, value in pairs}
