"""What every answer carries and every request must pass, whatever the page."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hermes_cli.serving.peer import is_owner_over_loopback

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
_OF_PROXIES = ("x-forwarded-for", "x-forwarded-host", "x-real-ip", "forwarded", "via")


class Guard:
    """Puts the security headers on, takes the proxy's path off, and turns strangers' host names away.

    Pages of other sites may lead a browser here, and load nothing: not even an event stream that they could
    not read, for those are counted. Whoever does not take an answer is cut.

    Without credentials the loopback address is the only door. A page elsewhere can walk through it by
    pointing its own name at 127.0.0.1 (DNS rebinding), and so can every other user of the machine: then only
    local names are answered, and only the user whose dashboard it is. Nobody knows who comes through a proxy.
    """

    def __init__(self, app: ASGIApp, *, root_path: str, local_only: bool, host: str) -> None:
        """`root_path` has no slash at its end; `local_only`: answer this user alone, by `host` and loopback's
        names."""
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

        app = self._refusal(scope) or self._app
        await app(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        link = scope["method"] in ("GET", "HEAD") and headers.get("sec-fetch-mode") == "navigate"
        if from_elsewhere(headers) and not link:
            return PlainTextResponse("Pages of other sites may link here, and take nothing from here.\n", 403)
        if self._names is None:
            return None
        if host_name(headers.get("host", "")) not in self._names:
            return PlainTextResponse(
                "This dashboard has no password, so it answers on this machine's own names only. "
                "Set HERMES_DASHBOARD_PASSWORD to reach it by another name.\n",
                421,
            )
        peer, own = scope.get("client"), scope.get("server")
        known = peer and own and is_owner_over_loopback((peer[0], peer[1]), (own[0], own[1]))
        if not known or any(name in headers for name in _OF_PROXIES):
            return PlainTextResponse(
                "This dashboard has no password, so it answers no proxy and nobody but the user who runs it. "
                "Set HERMES_DASHBOARD_PASSWORD to let others in.\n",
                403,
            )
        return None

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


def from_elsewhere(headers: Headers) -> bool:
    """Whether a page of another site asks, as far as the browser says (Fetch Metadata)."""
    return headers.get("sec-fetch-site") in ("cross-site", "same-site")


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
