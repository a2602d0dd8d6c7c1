"""The configuration of a profile: shown to everybody without its secrets, changed by operators."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hermes_cli.config import ConfigError, Inspection
from hermes_cli.config.files import MAX_BYTES
from hermes_cli.dashboard.app import Dashboard
from hermes_cli.dashboard.pages.config import ConfigView, Fault, config_page
from hermes_cli.faces.background import in_thread
from hermes_cli.faces.config_file import (
    ChangedError,
    ConfigText,
    WrongTextError,
    check_file,
    masked,
    read_whole,
    replace,
)
from hermes_cli.faces.printable import plain, plain_text
from hermes_cli.home import Home
from hermes_cli.profiles import ProfileError

_FORM = 3 * MAX_BYTES + 4096
"""Bytes of the form: a character of the text may be three."""


def routes(dashboard: Dashboard) -> list[Route]:
    here = _Config(dashboard)
    return [
        Route("/profiles/{profile}/config", here.page, methods=["GET"]),
        Route("/profiles/{profile}/config", here.save, methods=["POST"]),
    ]


class _Config:
    def __init__(self, dashboard: Dashboard) -> None:
        self._dashboard = dashboard

    async def page(self, request: Request) -> Response:
        visitor = self._dashboard.require(request, "read")
        home = await self._dashboard.home(request)
        saved = request.query_params.get("saved") == "1"
        view = await in_thread(lambda: _view(home, hide=not visitor.may("operate"), saved=saved))
        return self._shown(request, home, view)

    async def save(self, request: Request) -> Response:
        fields = await self._dashboard.form(request, limit=_FORM)
        home = await self._dashboard.home(request)
        text, version = fields.get("text", "").replace("\r\n", "\n"), fields.get("version", "")
        try:
            await in_thread(lambda: replace(home, text, version))
        except WrongTextError as wrong:
            return self._shown(request, home, _refused(home, text, version, wrong.found), 422)
        except ChangedError:
            now = await in_thread(lambda: read_whole(home))
            view = _refused(home, text, now.version, Inspection())
            view.conflict = plain_text(now.text)
            return self._shown(request, home, view, 409)
        except ConfigError as error:
            found = Inspection(errors=[error])
            return self._shown(request, home, _refused(home, text, version, found), 422)
        except ProfileError as error:
            raise HTTPException(503, f"{plain(str(error), 600)}.") from error
        return self._dashboard.done(request, "Saved.", f"/profiles/{home.profile}/config?saved=1")

    def _shown(self, request: Request, home: Home, view: ConfigView, status: int = 200) -> Response:
        page = config_page(self._dashboard.place(request), home.profile, view)
        return self._dashboard.page(page, status)


def _view(home: Home, *, hide: bool, saved: bool) -> ConfigView:
    """`hide`: without secrets, which do not belong there, but who knows."""

    def shown(text: str) -> str:
        return masked(home, text) if hide else text

    try:
        file = read_whole(home)
    except ConfigError:
        file = ConfigText("", "unreadable")
    found = check_file(home)
    return ConfigView(
        text=shown(file.text),
        version=file.version,
        faults=[_fault(error, shown(error.message)) for error in found.errors],
        warnings=[plain(shown(warning), 600) for warning in found.warnings],
        path=str(home.config),
        saved=saved and not found.errors,
    )


def _refused(home: Home, text: str, version: str, found: Inspection) -> ConfigView:
    """What was sent, with what is wrong with it."""
    return ConfigView(
        text=text,
        version=version,
        faults=[_fault(error, error.message) for error in found.errors],
        warnings=[plain(warning, 600) for warning in found.warnings],
        path=str(home.config),
    )


def _fault(error: ConfigError, message: str) -> Fault:
    file = "" if error.path.name == "config.yaml" else f"{error.path.name}: "
    return Fault(error.line, error.column, plain(error.key or "", 200), file + plain(message, 600))
