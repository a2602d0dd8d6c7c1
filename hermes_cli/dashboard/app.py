"""The dashboard as an ASGI application: which address gives what, and to whom. It only reads."""

from __future__ import annotations

import os
from collections.abc import Callable
from urllib.parse import parse_qs

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from hermes_cli.faces.background import in_thread
from hermes_cli.faces.log_tail import LogTail
from hermes_cli.faces.printable import plain
from hermes_cli.home import Home
from hermes_cli.service_manager.names import DEFAULT_PROFILE, validate_profile_name
from hermes_cli.status import StatusReport, collect

from .assets import Assets
from .auth import Attempts, Credentials, Forms, Sessions
from .live import Board
from .pages.login import login_page
from .pages.overview import overview_page
from .pages.shell import Place, message_page
from .security import Guard, same_origin
from .settings import Settings
from .streams import Streams, cursor_of, log_events, status_events

SESSION_COOKIE = "hermes_session"
FORM_COOKIE = "hermes_form"

MAX_FORM = 8 * 1024
"""Bytes of a form; ours have a few hundred."""

LINES = 200
"""Lines of a log on a new page."""


class Dashboard:
    """One dashboard's state and its pages."""

    def __init__(self, settings: Settings, look: Callable[[], StatusReport] | None = None) -> None:
        self.settings = settings
        self.look = look or (lambda: collect(settings.root))
        self.board = Board(self.look)
        self.streams = Streams()
        self.sessions = Sessions()
        self._attempts = Attempts()
        self._forms = Forms()
        self._assets = Assets()
        self._credentials = Credentials(settings.password, settings.token)

    def close(self) -> None:
        """End every stream, so that nothing holds the server up."""
        self.board.close()
        self.streams.close()

    def asgi(self) -> ASGIApp:
        app = Starlette(
            routes=[
                Route("/", self.overview),
                Route("/login", self.login_form, methods=["GET"]),
                Route("/login", self.login, methods=["POST"]),
                Route("/logout", self.logout, methods=["POST"]),
                Route("/events/status", self.status_stream),
                Route("/events/log", self.log_stream),
                Route("/api/status", self.status),
                Route("/healthz", self.healthz),
                Route("/static/{name}", self._assets.serve),
            ],
            exception_handlers={HTTPException: self.refused, 500: self.broken},
        )
        guard = Guard(
            app,
            root_path=self.settings.root_path,
            local_only=not self.settings.guarded,
            host=self.settings.host,
        )
        # Believes X-Forwarded-* from these peers only; uvicorn's own name for the setting.
        return ProxyHeadersMiddleware(guard, os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1"))  # type: ignore[arg-type, return-value]

    async def overview(self, request: Request) -> Response:
        if not self._may_read(request):
            return RedirectResponse(self._place(request).url("/login", gateway=_named(request)), 303)
        overview = await self.board.fresh()
        profiles = overview.profiles()
        gateway = self._chosen(request, profiles or [DEFAULT_PROFILE])
        tail = LogTail(Home.of(gateway, self.settings.root).gateway_log, lines=LINES)
        try:
            lines = [plain(line) for line in tail.read()]
            page = overview_page(self._place(request), overview, gateway, lines, str(tail.cursor))
        finally:
            tail.close()
        return HTMLResponse(page)

    async def login_form(self, request: Request) -> Response:
        if self._may_read(request):
            return RedirectResponse(self._place(request).url(gateway=_named(request)), 303)
        return self._form_answer(request, _named(request))

    async def login(self, request: Request) -> Response:
        form = await _form(request)
        gateway = _profile(form.get("gateway", ""))
        if not self.settings.guarded:
            return RedirectResponse(self._place(request).url(gateway=gateway), 303)
        if not self._ours(request, form, request.cookies.get(FORM_COOKIE)):
            error = "This form is too old, or did not come from this page. Please try again."
            return self._form_answer(request, gateway, error, 403)
        address = request.client.host if request.client else ""
        wait = self._attempts.wait(address)
        if wait > 0:
            error = f"Too many wrong attempts. Please wait {int(wait) + 1} seconds."
            return self._form_answer(request, gateway, error, 429, {"retry-after": str(int(wait) + 1)})
        if not self._credentials.match(form.get("password", "")):
            self._attempts.failed(address)
            return self._form_answer(request, gateway, "That is not the password.", 403)
        self._attempts.succeeded(address)
        answer = RedirectResponse(self._place(request).url(gateway=gateway), 303)
        self._set_cookie(request, answer, SESSION_COOKIE, self.sessions.open(), int(self.sessions.lifetime))
        self._set_cookie(request, answer, FORM_COOKIE, "", 0)
        return answer

    async def logout(self, request: Request) -> Response:
        session = request.cookies.get(SESSION_COOKIE)
        if not self._ours(request, await _form(request), session):
            raise HTTPException(403, "This form is too old, or did not come from this page.")
        self.sessions.close(session or "")
        answer = RedirectResponse(self._place(request).url("/login"), 303)
        self._set_cookie(request, answer, SESSION_COOKIE, "", 0)
        return answer

    async def status_stream(self, request: Request) -> Response:
        self._require(request)
        return self.streams.respond(status_events(self.board), lambda: self._may_read(request))

    async def log_stream(self, request: Request) -> Response:
        self._require(request)
        gateway = self._chosen(request, (await self.board.fresh()).profiles())
        cursor = cursor_of(request.headers.get("last-event-id"), request.query_params.get("cursor"))
        tail = LogTail(Home.of(gateway, self.settings.root).gateway_log, lines=LINES, cursor=cursor)
        return self.streams.respond(log_events(tail), lambda: self._may_read(request))

    async def status(self, request: Request) -> Response:
        """What `hermes status --json` prints."""
        self._require(request)
        return Response(msgspec.json.encode(await in_thread(self.look)), media_type="application/json")

    async def healthz(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        titles = {404: "Not found", 401: "Not signed in", 405: "Not possible", 403: "Refused"}
        sentences = {
            404: "There is nothing at this address.",
            405: "This address does not take that request.",
        }
        title = titles.get(error.status_code, "That did not work")
        own = error.detail if error.detail.endswith(".") else ""
        page = message_page(
            self._place(request), title, own or sentences.get(error.status_code, error.detail)
        )
        return HTMLResponse(page, error.status_code, dict(error.headers or {}))

    async def broken(self, request: Request, _error: Exception) -> Response:
        sentence = "The dashboard made a mistake; its own log says where. The gateways are not affected."
        return HTMLResponse(message_page(self._place(request), "That did not work", sentence), 500)

    def _may_read(self, request: Request) -> bool:
        if not self.settings.guarded or self.sessions.valid(request.cookies.get(SESSION_COOKIE)):
            return True
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return False
        address = request.client.host if request.client else ""
        if self._attempts.wait(address) > 0:
            return False
        if self._credentials.match_token(token.strip()):
            return True
        self._attempts.failed(address)
        return False

    def _require(self, request: Request) -> None:
        if not self._may_read(request):
            raise HTTPException(401, "Sign in first, or send the token as 'Authorization: Bearer TOKEN'.")

    def _ours(self, request: Request, form: dict[str, str], cookie: str | None) -> bool:
        return same_origin(request) and self._forms.valid(cookie, form.get("csrf", ""))

    def _chosen(self, request: Request, profiles: list[str]) -> str:
        """The gateway that the address names; the first where it names none."""
        name = request.query_params.get("gateway", "")
        if not name:
            return profiles[0] if profiles else DEFAULT_PROFILE
        if name not in profiles:
            raise HTTPException(404, f"There is no gateway {plain(name, 60)!r}: it may have been deleted.")
        return name

    def _place(self, request: Request) -> Place:
        session = request.cookies.get(SESSION_COOKIE)
        signed_in = self.settings.guarded and session and self.sessions.valid(session)
        csrf = self._forms.token(session) if session and signed_in else ""
        return Place(self.settings.root_path, self._assets.version, csrf)

    def _form_answer(
        self,
        request: Request,
        gateway: str | None,
        error: str | None = None,
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> Response:
        cookie = request.cookies.get(FORM_COOKIE) or Forms.new_cookie()
        page = login_page(self._place(request), self._forms.token(cookie), gateway, error)
        answer = HTMLResponse(page, status, headers)
        self._set_cookie(request, answer, FORM_COOKIE, cookie, 3600)
        return answer

    def _set_cookie(self, request: Request, answer: Response, name: str, value: str, age: int) -> None:
        answer.set_cookie(
            name,
            value,
            max_age=age,
            path=f"{self.settings.root_path}/",
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )


async def _form(request: Request) -> dict[str, str]:
    """The fields of one of our forms; raises for anything that no form of ours sends."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(415, "Only forms are taken here.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM:
            raise HTTPException(413, "That is more than any form here has.", {"connection": "close"})
    try:
        fields = parse_qs(bytes(body).decode("ascii"), keep_blank_values=True, max_num_fields=16)
    except (UnicodeDecodeError, ValueError) as error:
        raise HTTPException(400, "That is no form.") from error
    return {name: values[-1] for name, values in fields.items()}


def _named(request: Request) -> str | None:
    return _profile(request.query_params.get("gateway", ""))


def _profile(name: str) -> str | None:
    try:
        return validate_profile_name(name)
    except ValueError:
        return None
