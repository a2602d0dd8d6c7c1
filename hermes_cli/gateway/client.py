"""Speaks to a running gateway over its control socket, where its owner needs no token."""

from __future__ import annotations

import os
import socket
from typing import Any

import msgspec

from hermes_cli.home import CorruptFileError, Home, HomeError, load

from .api import Capabilities, GatewayStatus
from .records import StateRecord

_LARGEST_ANSWER = 4 << 20


class GatewayUnreachableError(HomeError):
    """No gateway answers on the control socket."""

    def __init__(self, home: Home, cause: str) -> None:
        super().__init__(f"the gateway of profile {home.profile!r} does not answer on its socket: {cause}")


class GatewayAnswerError(HomeError):
    """The gateway answered with an error. `status` is HTTP's, `code` the stable word for it."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"the gateway answered {status} ({code}): {detail}")
        self.status = status
        self.code = code


class GatewayClient:
    """One gateway. Every call is a connection of its own; `timeout` is the seconds without progress."""

    def __init__(self, home: Home, *, timeout: float = 5.0) -> None:
        self._home = home
        self._timeout = timeout

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
        import http.client

        connection = http.client.HTTPConnection("localhost", timeout=self._timeout)
        try:
            connection.sock = self._connect()
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read(_LARGEST_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            raise GatewayUnreachableError(self._home, str(error) or type(error).__name__) from error
        finally:
            connection.close()

    def _expect(self, path: str) -> bytes:
        status, body = self.get(path)
        if status == 200:
            return body
        try:
            problem = msgspec.json.decode(body)
            code, detail = str(problem["code"]), str(problem.get("detail", ""))
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
            code, detail = "unknown", body[:200].decode("utf-8", "replace")
        raise GatewayAnswerError(status, code, detail)

    def _connect(self) -> socket.socket:
        found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        found.settimeout(self._timeout)
        try:
            found.connect(self._address())
        except BaseException:
            found.close()
            raise
        return found

    def _address(self) -> str:
        """Where the gateway says it listens; else where it would."""
        try:
            state = load(self._home.state, StateRecord)
        except CorruptFileError:
            state = None
        return state.socket if state and state.socket else os.fspath(self._home.socket)
