"""What every answer carries and every request must pass, whatever the page."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Under no-referrer browsers send "Origin: null" with our own forms (Fetch standard, 3.1).
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}

SEND_DEADLINE = 30.0
"""Seconds for a peer to take what was sent before: as long as it has for a whole request."""

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Guard:
    """Puts the security headers on, takes the proxy's path off, and turns strangers' host names away.

    It also cuts whoever does not take its answer.

    Without credentials the loopback address is the only door, and a page elsewhere can walk through
    it by pointing its own name at 127.0.0.1 (DNS rebinding): then only local names are answered.
    """

    def __init__(self, app: ASGIApp, *, root_path: str, local_only: bool, host: str) -> None:
        """`root_path` has no slash at its end; `local_only`: answer to `host` and loopback's names alone."""
        self._app = app
        self._root_path = root_path
        self._names = _LOOPBACK_NAMES | {host.lower()} if local_only else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        scope = self._placed(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            try:
                async with asyncio.timeout(SEND_DEADLINE):
                    await send(message)
            except TimeoutError:
                # Nobody reads: its connection, and what it held here, go.
                scope["state"]["abort"]()

        if self._names is not None and host_name(Headers(scope=scope).get("host", "")) not in self._names:
            refusal = PlainTextResponse(
                "This dashboard has no password, so it answers on this machine's own names only. "
                "Set HERMES_DASHBOARD_PASSWORD to reach it by another name.\n",
                421,
            )
            await refusal(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _placed(self, scope: Scope) -> Scope:
        """The same below our path, whether the proxy has taken it off or not."""
        path = scope["path"]
        if self._root_path and path != self._root_path and not path.startswith(f"{self._root_path}/"):
            path = self._root_path + path
        return {**scope, "path": path, "root_path": self._root_path}


def host_name(host: str) -> str:
    """The name in a Host header, without its port and in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def same_origin(request: Request) -> bool:
    """Whether the request comes from one of our own pages, as far as the browser says where from.

    Sec-Fetch-Site (Fetch Metadata, set by the browser and out of a page's reach) decides where it is sent:
    over https and on localhost. It holds also behind a proxy that puts its own name into Host.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    if origin is None:
        return True
    return urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower()
