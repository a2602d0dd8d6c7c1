"""One long-lived channel to a sandbox: many requests at once, begun again when it breaks."""

from __future__ import annotations

import contextlib
import itertools
import json
import queue
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, Protocol

from hermes_cli.processes import wire
from hermes_cli.processes.errors import EnvironmentUnusableError, KeeperUnreachableError
from hermes_cli.processes.rpc import LONGEST_ANSWER, MARK

from .bundle import NO_PYTHON, bootstrap, bundle

_CONNECT_PATIENCE = 40.0
"""Seconds from opening a transport to the first answer: a host's name, a login, an interpreter, the code."""
_INTERRUPTIBLE = 0.1
"""Seconds between two questions whether a wait is to end: that is all that the caller has."""
_TRIES = 3

Hello = Mapping[str, Any]


class Transport(Protocol):
    """A program's stdin and stdout in a sandbox."""

    def send(self, data: bytes) -> None:
        """All of it. Raises OSError where the program has gone."""

    def receive(self) -> bytes:
        """What has come; nothing at the end, also at that by `close`. Raises nothing."""

    def close(self) -> None:
        """End it from any thread, more than once."""

    def cause(self) -> EnvironmentUnusableError:
        """Why it ended, or never began. Called after the end."""


class ChannelBrokenError(Exception):
    """The channel ended while an answer was awaited."""


class Channel:
    """Requests to the program in a sandbox. Any number of threads may use it."""

    def __init__(
        self, name: str, open_transport: Callable[[], Transport], hello: Callable[[], Hello]
    ) -> None:
        """`name`: of the sandbox, for messages. `open_transport` raises `EnvironmentUnusableError`."""
        self._name = name
        self._open = open_transport
        self._hello = hello
        self._lock = threading.Lock()
        self._connection: _Connection | None = None
        self._opening: _Connection | None = None
        self._closed = 0
        """How often somebody let go of it."""
        self._failures = 0
        self._failure: EnvironmentUnusableError | None = None

    def connect(self) -> Mapping[str, Any]:
        """Be connected; what the sandbox said of itself. Raises `EnvironmentUnusableError`."""
        return self._connected().ready

    def call(
        self,
        verb: str,
        arguments: Mapping[str, Any],
        *,
        patience: float,
        repeatable: bool = True,
        interrupted: Callable[[], bool] | None = None,
    ) -> Any:
        """The answer to a verb, within `patience` seconds.

        A request that is `repeatable` is sent again where the channel broke; `again` is then among its
        arguments for `start`. Raises what the verb raises, `EnvironmentUnusableError`, and
        `KeeperUnreachableError` where it is not known what became of the request.
        """
        deadline = time.monotonic() + patience
        closed = self._closed
        for attempt in itertools.count(1):
            connection = self._connected()
            try:
                return connection.ask(verb, arguments, deadline, interrupted)
            except ChannelBrokenError:
                if not repeatable:
                    raise KeeperUnreachableError(
                        f"the channel to {self._name} broke while the {verb} was under way, and whether it "
                        "arrived is not known; look with poll before you try again"
                    ) from None
                if self._closed != closed:
                    raise EnvironmentUnusableError(f"the channel to {self._name} was let go of") from None
                if attempt >= _TRIES or time.monotonic() >= deadline:
                    raise connection.cause() from None
            except FutureTimeoutError:
                connection.close()
                raise KeeperUnreachableError(
                    f"{self._name} gave no answer to {verb} within {patience:g} s; the channel is begun anew"
                ) from None
            if verb == "start":
                arguments = {**arguments, "again": True}
        raise AssertionError("never reached")

    def close(self) -> None:
        """End the channel, and what waits for an answer. What runs in the sandbox goes on; the next call
        connects again."""
        self._closed += 1
        for connection in (self._opening, self._connection):
            if connection is not None:
                connection.close()

    def _connected(self) -> _Connection:
        failures = self._failures
        with self._lock:
            if self._connection is not None and self._connection.alive:
                return self._connection
            if self._failures != failures and self._failure is not None:
                raise self._failure  # somebody has tried while this thread waited
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            try:
                self._opening = _Connection(self._name, self._open())
                self._opening.begin(self._hello())
                self._connection = self._opening
            except EnvironmentUnusableError as error:
                self._failures += 1
                self._failure = error
                raise
            finally:
                self._opening = None
            return self._connection


class _Connection:
    """One transport, from its first line to its end."""

    ready: Mapping[str, Any]
    """What the sandbox said of itself."""

    def __init__(self, name: str, transport: Transport) -> None:
        self._name = name
        self._transport = transport
        self._sending = threading.Lock()
        self._numbers = itertools.count(1)
        self._pending: dict[int, Future[Any]] = {}
        self._first: queue.SimpleQueue[Mapping[str, Any] | None] = queue.SimpleQueue()
        self._no_python: str | None = None
        self.alive = True
        threading.Thread(target=self._read, name=f"hermes-{name}", daemon=True).start()

    def begin(self, hello: Hello) -> None:
        """Be served. Raises `EnvironmentUnusableError`."""
        try:
            self.ready = self._begin(hello)
        except BaseException:
            self.close()
            raise

    def ask(
        self,
        verb: str,
        arguments: Mapping[str, Any],
        deadline: float,
        interrupted: Callable[[], bool] | None,
    ) -> Any:
        """Raises `ChannelBrokenError`, TimeoutError and what the verb raises."""
        number = next(self._numbers)
        answer: Future[Any] = Future()
        self._pending[number] = answer
        try:
            if not self.alive:
                raise ChannelBrokenError
            self._say({"id": number, "verb": verb, "arguments": arguments})
            while interrupted is not None and not answer.done() and time.monotonic() < deadline:
                if interrupted():
                    self._say({"cancel": number})
                    break
                with contextlib.suppress(FutureTimeoutError):
                    answer.result(min(_INTERRUPTIBLE, max(0.0, deadline - time.monotonic())))
            return answer.result(max(0.0, deadline - time.monotonic()))
        finally:
            self._pending.pop(number, None)

    def cause(self) -> EnvironmentUnusableError:
        return self._transport.cause()

    def close(self) -> None:
        self.alive = False
        self._transport.close()

    def _begin(self, hello: Hello) -> Mapping[str, Any]:
        """Send the program, the code where it is missing, and wait until it serves."""
        deadline = time.monotonic() + _CONNECT_PATIENCE
        name, code = bundle()
        program = bootstrap()
        self._send(b"%d\n%s" % (len(program), program))
        self._say({**hello, "bundle": name})
        while True:
            try:
                message = self._first.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise EnvironmentUnusableError(
                    f"{self._name} did not answer within {_CONNECT_PATIENCE:g} s", cause="unreachable"
                ) from None
            if message is None:
                raise self._why_not()
            if "need" in message:
                self._send(b"%d\n%s" % (len(code), code))
            elif "ready" in message:
                return dict(message["ready"])
            elif "failed" in message:
                failed = message["failed"]
                cause = str((failed.get("attributes") or {}).get("cause", "broken"))
                raise EnvironmentUnusableError(f"{self._name}: {failed.get('message')}", cause=cause)

    def _why_not(self) -> EnvironmentUnusableError:
        if self._no_python is None:
            return self._transport.cause()
        there = f"has only {self._no_python}" if self._no_python else "has none"
        return EnvironmentUnusableError(
            f"{self._name} {there}: background processes need python3, 3.10 or newer, in its PATH; "
            "install it there",
            cause="no_python",
        )

    def _say(self, message: Mapping[str, Any]) -> None:
        self._send(json.dumps(message, separators=(",", ":")).encode() + b"\n")

    def _send(self, data: bytes) -> None:
        with self._sending:
            try:
                self._transport.send(data)
            except OSError:
                # The reader finds the end, and what was said before it.
                self._transport.close()

    def _read(self) -> None:
        """In a thread: every answer to whom it belongs."""
        buffer = bytearray()
        while part := self._transport.receive():
            buffer += part
            if b"\n" in part:
                *lines, rest = bytes(buffer).split(b"\n")
                buffer = bytearray(rest)
                for line in lines:
                    self._take(line)
            if len(buffer) > LONGEST_ANSWER:
                break
        self.alive = False
        self._transport.close()
        self._first.put(None)
        while self._pending:
            with contextlib.suppress(KeyError):
                _, future = self._pending.popitem()
                _end(future, error=ChannelBrokenError())

    def _take(self, line: bytes) -> None:
        if not line.startswith(MARK):
            if line.startswith(NO_PYTHON):
                self._no_python = line.removeprefix(NO_PYTHON).decode("utf-8", "replace").strip()
            return
        try:
            message = json.loads(line[len(MARK) :])
        except ValueError:
            return
        number = message.get("id")
        if number is None:
            self._first.put(message)
        elif (future := self._pending.get(number)) is not None:
            if "error" in message:
                _end(future, error=wire.unpacked_error(message["error"]))
            else:
                _end(future, answer=message.get("answer"))


def _end(future: Future[Any], *, answer: Any = None, error: BaseException | None = None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(answer)
