"""The dashboard as an ASGI application: its state, who may do what, and the modules that serve its pages."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from hermes_cli.faces.changes import InstallationChanges
from hermes_cli.faces.printable import plain
from hermes_cli.faces.timeline import log_position
from hermes_cli.faces.verbs import Verbs
from hermes_cli.gateway.levels import manager_or_none
from hermes_cli.gateway.lifecycle import Lifecycle
from hermes_cli.home import Home
from hermes_cli.service_manager.errors import ServiceError
from hermes_cli.service_manager.types import ServiceManager
from hermes_cli.status import StatusReport, collect

from .assets import Assets
from .auth import Forms
from .forms import MAX_FORM, read_form
from .limits import FORMS, FORMS_WINDOW, Attempts, Window
from .live import Board
from .markup import Html
from .pages.shell import Place, message_page
from .security import Guard, from_elsewhere, same_origin
from .sessions import Sessions
from .settings import Settings
from .streams import Streams
from .visitor import Right, Visitor

SESSION_COOKIE = "hermes_session"

_NO_COOKIE = "this machine"
"""What forms are bound to where nobody signs in: their token is a secret of the page all the same."""


class Dashboard:
    """One dashboard's state, and what every route asks it."""

    def __init__(
        self,
        settings: Settings,
        look: Callable[[], StatusReport] | None = None,
        manager: Callable[[], ServiceManager | None] = manager_or_none,
    ) -> None:
        """`look` and `manager` may take their time: they are called in threads."""
        self.settings = settings
        self.manager = manager
        self._looked_through: ServiceManager | None = None
        self.look = look or self._look
        self.board = Board(
            self.look,
            lambda: InstallationChanges(settings.root),
            story=lambda: log_position(settings.root),
        )
        self.streams = Streams()
        self.credentials = settings.credentials
        self.sessions = Sessions(Home.of(root=settings.root).dashboard, self.credentials)
        self.forms = Forms(lambda: self.sessions.key)
        self.attempts = Attempts()
        self.assets = Assets()
        self.verbs = Verbs(lambda: Lifecycle(manager(), settings.root), self.board.look_again)
        self._pace = Window(FORMS, FORMS_WINDOW)

    def _look(self) -> StatusReport:
        """Through one manager for as long as this process lives: it knows what has not moved."""
        if self._looked_through is None:
            with contextlib.suppress(ServiceError):
                self._looked_through = self.manager()
        return collect(self.settings.root, self._looked_through)

    def close(self) -> None:
        """End every stream, so that nothing holds the server up."""
        self.board.close()
        self.streams.close()

    def asgi(self) -> ASGIApp:
        from .routes import routes

        app = Starlette(
            routes=routes(self),
            exception_handlers={HTTPException: self._refused, 500: self._broken},
            # Not event streams: starlette leaves them as they are.
            middleware=[Middleware(GZipMiddleware, minimum_size=1024)],
        )
        guard = Guard(
            app,
            root_path=self.settings.root_path,
            local_only=not self.settings.guarded,
            host=self.settings.host,
        )
        # Believes X-Forwarded-* from these peers only; uvicorn's own name for the setting.
        return ProxyHeadersMiddleware(guard, os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1"))  # type: ignore[arg-type, return-value]

    def visitor(self, request: Request) -> Visitor | None:
        """Who asks; None for one who has to sign in first."""
        if not self.settings.guarded:
            return Visitor("operator")
        session = request.cookies.get(SESSION_COOKIE)
        role = self.sessions.role(session)
        return Visitor(role, session) if role is not None else self._bearer(request)

    def require(self, request: Request, right: Right) -> Visitor:
        """The visitor, who has this right. Raises 401 (a browser is led to the form and back) or 403."""
        visitor = self.visitor(request)
        if visitor is None:
            raise HTTPException(401, "Sign in first, or send the token as 'Authorization: Bearer TOKEN'.")
        if not visitor.may(right):
            raise HTTPException(403, "You may only look here; changes take the operator's password.")
        return visitor

    async def form(self, request: Request, *, limit: int = MAX_FORM) -> dict[str, str]:
        """The fields of one of our own forms, sent by an operator; of fields given twice, the last.

        Raises 401 or 403 for anybody else and for forms that other sites made, 429 for too many, 413 for
        more than `limit` bytes, 415 and 400 for what is no form.
        """
        visitor = self.require(request, "operate")
        pacer = visitor.session or address_of(request)
        wait = self._pace.wait(pacer)
        if wait > 0:
            seconds = str(int(wait) + 1)
            raise HTTPException(
                429, f"That was too much at once. Please wait {seconds} seconds.", {"retry-after": seconds}
            )
        self._pace.count(pacer)
        fields = await read_form(request, limit)
        if not visitor.by_token and not self.ours(request, fields, visitor.session or _NO_COOKIE):
            raise HTTPException(403, "This form is too old, or not of this page; reload it and try again.")
        return fields

    def ours(self, request: Request, fields: dict[str, str], cookie: str | None) -> bool:
        """Whether the form is one that we gave to the browser with this cookie."""
        return same_origin(request) and self.forms.valid(cookie, fields.get("csrf", ""))

    def place(self, request: Request) -> Place:
        """Where a page is shown, and to whom: what `pages` need of a request."""
        visitor = self.visitor(request)
        return Place(
            root_path=self.settings.root_path,
            assets=self.assets.version,
            path=request.url.path.removeprefix(self.settings.root_path) or "/",
            role=visitor.role if visitor is not None else None,
            csrf=self.forms.token(visitor.session or _NO_COOKIE) if visitor is not None else "",
            signed_in=visitor is not None and visitor.session is not None,
        )

    async def home(self, request: Request) -> Home:
        """The home of the profile that the path names as `{profile}`; raises 404 where there is none."""
        name = request.path_params["profile"]
        if name not in (await self.board.fresh()).profiles():
            raise HTTPException(404, f"There is no profile {plain(name, 60)!r}: it may have been deleted.")
        return Home.of(name, self.settings.root)

    def page(self, html: Html, status: int = 200) -> Response:
        return HTMLResponse(html, status)

    def done(self, request: Request, sentence: str, path: str) -> Response:
        """A form was carried out. Scripts get `{"text", "location"}`, browsers are led to `path`."""
        location = self.place(request).url(path)
        if wants_json(request):
            return JSONResponse({"text": sentence, "location": location})
        return RedirectResponse(location, 303)

    async def _refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        headers = dict(error.headers or {})
        if error.status_code == 401 and request.method == "GET" and wants_html(request):
            if from_elsewhere(request.headers):
                # Led here by a link, a browser leaves our cookie at home (SameSite=Strict). Asked again by a
                # page of ours, it brings it along.
                again = self.place(request).url(local_address(wanted(request) or "/"))
                return Response("", 200, {"refresh": f"0;url={again}"}, "text/html")
            return RedirectResponse(self.place(request).url("/login", next=wanted(request)), 303, headers)
        titles = {404: "Not found", 401: "Not signed in", 405: "Not possible", 403: "Refused"}
        sentences = {
            404: "There is nothing at this address.",
            405: "This address does not take that request.",
        }
        own = error.detail if error.detail.endswith(".") else ""
        sentence = own or sentences.get(error.status_code, error.detail)
        if wants_json(request):
            return JSONResponse({"error": sentence}, error.status_code, headers)
        title = titles.get(error.status_code, "That did not work")
        return HTMLResponse(message_page(self.place(request), title, sentence), error.status_code, headers)

    async def _broken(self, request: Request, _error: Exception) -> Response:
        sentence = "The dashboard made a mistake; its own log says where. The gateways are not affected."
        if wants_json(request):
            return JSONResponse({"error": sentence}, 500)
        return HTMLResponse(message_page(self.place(request), "That did not work", sentence), 500)

    def _bearer(self, request: Request) -> Visitor | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        address = address_of(request)
        if self.attempts.wait(address) > 0:
            return None
        role = self.credentials.role_of_token(token.strip())
        if role is not None:
            return Visitor(role, by_token=True)
        self.attempts.failed(address)
        return None


def address_of(request: Request) -> str:
    return request.client.host if request.client else ""


def wants_html(request: Request) -> bool:
    """Whether a browser shows the answer as a page."""
    return "text/html" in request.headers.get("accept", "")


def wants_json(request: Request) -> bool:
    """Whether a script of our pages asks."""
    return request.headers.get("accept", "").startswith("application/json")


def wanted(request: Request) -> str | None:
    """The address asked for, below our path; None for the start page."""
    url = request.url
    path = url.path.removeprefix(request.scope.get("root_path", "")) or "/"
    address = f"{path}?{url.query}" if url.query else path
    return None if address == "/" else address


def local_address(address: str) -> str:
    """`address` if it is a path of ours, else `/`: a link must not lead from our form to elsewhere."""
    parts = urlsplit(address)
    ours = (
        address.startswith("/")
        and not address.startswith("//")
        and "\\" not in address
        and address.isascii()
        and address.isprintable()
        and " " not in address
        and not parts.netloc
        and not parts.scheme
        and len(address) <= 2048
    )
    return address if ours else "/"
