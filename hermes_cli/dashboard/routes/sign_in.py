"""Signing in and out."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from hermes_cli.dashboard.app import SESSION_COOKIE, Dashboard, address_of, local_address
from hermes_cli.dashboard.auth import Forms
from hermes_cli.dashboard.forms import read_form
from hermes_cli.dashboard.pages.login import login_page

FORM_COOKIE = "hermes_form"
FORM_LIFETIME = 3600


def routes(dashboard: Dashboard) -> list[Route]:
    here = _SignIn(dashboard)
    return [
        Route("/login", here.form, methods=["GET"]),
        Route("/login", here.sign_in, methods=["POST"]),
        Route("/logout", here.sign_out, methods=["POST"]),
    ]


class _SignIn:
    def __init__(self, dashboard: Dashboard) -> None:
        self._dashboard = dashboard

    async def form(self, request: Request) -> Response:
        target = local_address(request.query_params.get("next", "/"))
        if self._dashboard.visitor(request) is not None:
            return self._lead_to(request, target)
        return self._form(request, target)

    async def sign_in(self, request: Request) -> Response:
        dashboard = self._dashboard
        fields = await read_form(request)
        target = local_address(fields.get("next", "/"))
        if not dashboard.settings.guarded:
            return self._lead_to(request, target)
        if not dashboard.ours(request, fields, request.cookies.get(FORM_COOKIE)):
            error = "This form is too old, or did not come from this page. Please try again."
            return self._form(request, target, error, 403)
        address = address_of(request)
        wait = dashboard.attempts.wait(address)
        if wait > 0:
            seconds = int(wait) + 1
            error = f"Too many wrong attempts. Please wait {seconds} seconds."
            return self._form(request, target, error, 429, {"retry-after": str(seconds)})
        role = dashboard.credentials.role(fields.get("password", ""))
        if role is None:
            dashboard.attempts.failed(address)
            return self._form(request, target, "That is not the password.", 403)
        dashboard.attempts.succeeded(address)
        answer = self._lead_to(request, target)
        sessions = dashboard.sessions
        self._set_cookie(request, answer, SESSION_COOKIE, sessions.open(role), int(sessions.lifetime))
        self._set_cookie(request, answer, FORM_COOKIE, "", 0)
        return answer

    async def sign_out(self, request: Request) -> Response:
        session = request.cookies.get(SESSION_COOKIE)
        if session is None or not self._dashboard.ours(request, await read_form(request), session):
            raise HTTPException(403, "This form is too old, or not of this page; reload it and try again.")
        self._dashboard.sessions.close(session)
        self._dashboard.streams.review()
        answer = self._lead_to(request, "/login")
        self._set_cookie(request, answer, SESSION_COOKIE, "", 0)
        return answer

    def _lead_to(self, request: Request, target: str) -> Response:
        return RedirectResponse(self._dashboard.place(request).url(target), 303)

    def _form(
        self,
        request: Request,
        target: str,
        error: str | None = None,
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> Response:
        cookie = request.cookies.get(FORM_COOKIE) or Forms.new_cookie()
        page = login_page(self._dashboard.place(request), self._dashboard.forms.token(cookie), target, error)
        answer = HTMLResponse(page, status, headers)
        self._set_cookie(request, answer, FORM_COOKIE, cookie, FORM_LIFETIME)
        return answer

    def _set_cookie(self, request: Request, answer: Response, name: str, value: str, age: int) -> None:
        answer.set_cookie(
            name,
            value,
            max_age=age,
            path=f"{self._dashboard.settings.root_path}/",
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
