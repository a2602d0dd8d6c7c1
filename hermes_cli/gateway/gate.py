"""The outermost layer of the app: who may pass, what is logged, and the headers of every answer."""

from __future__ import annotations

import asyncio
import logging
import time
from email.utils import formatdate

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hermes_cli.serving.problems import MEDIA_TYPE, problem

from .auth import OPEN_PATHS, refusal
from .runtime import Runtime

logger = logging.getLogger("hermes.gateway")

_READING = frozenset({"GET", "HEAD"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_LINES_PER_WINDOW = 20
_WINDOW = 10.0


class Gate:
    """Wraps the app. Requests of the control socket are their owner's; others need the token."""

    def __init__(self, app: ASGIApp, runtime: Runtime) -> None:
        self._app = app
        self._runtime = runtime
        self._log = FailureLog()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.monotonic()
        method = scope["method"] if scope["method"] in _METHODS else "other"
        answered = False

        async def send_marked(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                status = message["status"]
                seconds = time.monotonic() - started
                self._runtime.requests.answered(method, scope["path"], status, seconds)
                message["headers"] = [*message["headers"], *_common_headers()]
                if status >= 400:
                    self._log.failed(method, scope["path"], status, seconds)
            await send(message)

        refused = self._refusal(scope)
        if refused:
            await _refuse(send_marked, *refused)
            return
        try:
            await self._app(scope, receive, send_marked)
        except asyncio.CancelledError:
            # Cancelled by the drain's deadline, which has cut the connection already.
            if not self._runtime.draining:
                raise
        except Exception:
            logger.exception("a request failed: %s %s", method, _printable(scope["path"]))
            if not answered:
                await _refuse(send_marked, "internal_error", "this is a bug; the gateway's log has more")
                return
            raise

    def _refusal(self, scope: Scope) -> tuple[str, str] | None:
        if scope["path"] in OPEN_PATHS:
            return None
        if not scope["state"].get("trusted"):
            refused = refusal(self._runtime.token, scope["headers"])
            if refused:
                return refused
        if self._runtime.draining and scope["method"] not in _READING:
            return "draining", "this gateway is shutting down and takes no new work"
        return None


class FailureLog:
    """One line per failed request, without query or headers, where secrets are. A flood is only counted."""

    def __init__(self) -> None:
        self._since = 0.0
        self._printed = 0
        self._left_out = 0

    def failed(self, method: str, path: str, status: int, seconds: float) -> None:
        now = time.monotonic()
        if now - self._since > _WINDOW:
            if self._left_out:
                logger.info("%d more failed requests were not printed", self._left_out)
            self._since, self._printed, self._left_out = now, 0, 0
        if self._printed >= _LINES_PER_WINDOW:
            self._left_out += 1
            return
        self._printed += 1
        logger.info("%s %s %d in %.1f ms", method, _printable(path), status, seconds * 1000)


def _printable(path: str) -> str:
    text = "".join(character if character.isprintable() else "?" for character in path[:200])
    return text if len(path) <= 200 else text + "…"


def _common_headers() -> list[tuple[bytes, bytes]]:
    return [
        (b"date", formatdate(usegmt=True).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]


async def _refuse(send: Send, code: str, detail: str) -> None:
    status, body = problem(code, detail)
    headers = [(b"content-type", MEDIA_TYPE), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="hermes"'))
    if status == 503:
        headers.append((b"retry-after", b"5"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
