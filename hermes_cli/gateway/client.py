"""Speaks to a running gateway over its control socket, where its owner needs no token."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from hermes_cli.home import CorruptFileError, Home, HomeError, load

from .api import Capabilities, GatewayStatus
from .records import StateRecord

if TYPE_CHECKING:
    from http.client import HTTPResponse

    from .process_client import ProcessClient
    from .run_client import RunClient

_LARGEST_ANSWER = 4 << 20


class GatewayUnreachableError(HomeError):
    """No gateway answers on the control socket."""

    def __init__(self, home: Home, cause: str) -> None:
        super().__init__(f"the gateway of profile {home.profile!r} does not answer on its socket: {cause}")


class GatewayAnswerError(HomeError):
    """The gateway answered with an error. `status` is HTTP's, `code` the stable word for it."""

    def __init__(self, status: int, code: str, detail: str, problem: Mapping[str, Any] | None = None) -> None:
        """`problem`: the whole body."""
        super().__init__(f"the gateway answered {status} ({code}): {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.problem = dict(problem or {})


class Endpoint(NamedTuple):
    """Where a gateway answers, and what a request there has to carry."""

    path: str | None
    """Of the control socket; None where it is reached over TCP."""
    host: str = ""
    port: int = 0
    headers: Mapping[str, str] = MappingProxyType({})


class Answer:
    """An answer whose body is read as it comes."""

    def __init__(self, response: HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self._response = response

    def read(self) -> bytes:
        """The whole body; raises OSError for one that is longer than any answer."""
        body = self._response.read(_LARGEST_ANSWER + 1)
        if len(body) > _LARGEST_ANSWER:
            raise OSError(f"its answer is longer than {_LARGEST_ANSWER} bytes")
        return body

    def lines(self) -> Iterator[bytes]:
        """The body line by line, as each comes."""
        while line := self._response.readline(_LARGEST_ANSWER):
            yield line

    def expect(self, *statuses: int) -> None:
        """Raise `GatewayAnswerError` for any other status."""
        if self.status not in statuses:
            raise answer_error(self.status, self.read())


class GatewayClient:
    """One gateway. Every call is a connection of its own; `timeout` is the seconds without progress."""

    def __init__(self, home: Home, *, timeout: float = 5.0) -> None:
        self.home = home
        self._timeout = timeout

    @property
    def runs(self) -> RunClient:
        """Runs and sessions."""
        from .run_client import RunClient

        return RunClient(self)

    @property
    def processes(self) -> ProcessClient:
        """Background processes, where the profile keeps them."""
        from .process_client import ProcessClient

        return ProcessClient(self)

    def healthz(self) -> str:
        """ "ok", "starting" or "draining"."""
        return str(self.get_json("/healthz")["status"])

    def readyz(self) -> bool:
        """Whether the gateway takes work."""
        status, _ = self.get("/readyz")
        return status == 200

    def status(self) -> GatewayStatus:
        return msgspec.convert(self.get_json("/v1/status"), GatewayStatus)

    def capabilities(self) -> Capabilities:
        return msgspec.convert(self.get_json("/v1/capabilities"), Capabilities)

    def metrics(self) -> str:
        """Prometheus' text format."""
        return self._expect("/metrics").decode()

    def get_json(self, path: str) -> Any:
        """The decoded answer to GET `path`; raises `GatewayAnswerError` or `GatewayUnreachableError`."""
        return msgspec.json.decode(self._expect(path))

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of the answer to GET `path`; raises `GatewayUnreachableError`."""
        with self.open("GET", path) as answer:
            return answer.status, answer.read()

    @contextmanager
    def open(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[Answer]:
        """The answer to a request, to be read as it comes. `timeout`: seconds without progress.

        Raises `GatewayUnreachableError`, also for what goes wrong while the answer is read.
        """
        import http.client

        connection = http.client.HTTPConnection("localhost", timeout=timeout or self._timeout)
        try:
            connection.sock, authorization = self._connect(timeout or self._timeout)
            connection.request(method, path, body, {**authorization, **(headers or {})})
            # Closed by itself: a connection that ends with its answer has let go of the socket by then.
            with connection.getresponse() as response:
                yield Answer(response)
        except (OSError, http.client.HTTPException) as error:
            raise GatewayUnreachableError(self.home, str(error) or type(error).__name__) from error
        finally:
            connection.close()

    def _expect(self, path: str) -> bytes:
        with self.open("GET", path) as answer:
            answer.expect(200)
            return answer.read()

    def endpoint(self) -> Endpoint:
        """Where the gateway answers its owner: where it says it listens, else where it would.

        Raises OSError where that needs a token which cannot be known.
        """
        try:
            state = load(self.home.state, StateRecord)
        except CorruptFileError:
            state = None
        if state is not None and state.socket is None and state.host is not None:
            return self._over_tcp(state)
        return Endpoint(state.socket if state and state.socket else os.fspath(self.home.socket))

    def _connect(self, timeout: float) -> tuple[socket.socket, Mapping[str, str]]:
        """A connection, and the header it needs: the control socket none. Raises OSError."""
        at = self.endpoint()
        if at.path is None:
            return socket.create_connection((at.host, at.port), timeout), at.headers
        found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        found.settimeout(timeout)
        try:
            found.connect(at.path)
        except BaseException:
            found.close()
            raise
        return found, at.headers

    def _over_tcp(self, state: StateRecord) -> Endpoint:
        """Of a gateway that could not have a control socket."""
        from hermes_cli.config import ConfigError, load_config

        try:
            token = load_config(self.home).gateway.token or ""
        except ConfigError as error:
            raise OSError(f"its token cannot be read: {error}") from error
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(state.host or "", state.host or "")
        return Endpoint(None, host, state.port or 0, {"Authorization": f"Bearer {token}"})


def answer_error(status: int, body: bytes) -> GatewayAnswerError:
    """What an answer that is an error says."""
    try:
        problem = msgspec.json.decode(body, type=dict[str, Any])
        return GatewayAnswerError(status, str(problem["code"]), str(problem.get("detail", "")), problem)
    except (msgspec.DecodeError, KeyError):
        return GatewayAnswerError(status, "unknown", body[:200].decode("utf-8", "replace"))
