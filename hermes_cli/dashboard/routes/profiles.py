"""What is done to profiles: start, stop, restart, create, delete."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from hermes_cli.dashboard.app import Dashboard, wants_json
from hermes_cli.dashboard.pages.profile_create import create_page
from hermes_cli.dashboard.pages.profile_delete import delete_page
from hermes_cli.faces.overview import Row
from hermes_cli.faces.printable import plain
from hermes_cli.faces.verbs import BusyError, Verb, VerbError
from hermes_cli.gateway.lifecycle import Lifecycle
from hermes_cli.home import Home
from hermes_cli.service_manager.names import DEFAULT_PROFILE


def routes(dashboard: Dashboard) -> list[Route]:
    here = _Profiles(dashboard)
    one = "/profiles/{profile}"
    return [
        Route("/create-profile", here.create_form, methods=["GET"]),
        Route("/create-profile", here.create, methods=["POST"]),
        Route(one, here.profile, methods=["GET"]),
        Route(f"{one}/start", here.start, methods=["POST"]),
        Route(f"{one}/stop", here.stop, methods=["POST"]),
        Route(f"{one}/restart", here.restart, methods=["POST"]),
        Route(f"{one}/delete", here.delete_form, methods=["GET"]),
        Route(f"{one}/delete", here.delete, methods=["POST"]),
    ]


class _Profiles:
    def __init__(self, dashboard: Dashboard) -> None:
        self._dashboard = dashboard

    async def profile(self, request: Request) -> Response:
        """A profile's first page."""
        self._dashboard.require(request, "read")
        home = await self._dashboard.home(request)
        return RedirectResponse(self._dashboard.place(request).profile_url(home.profile, "logs"), 303)

    async def start(self, request: Request) -> Response:
        return await self._gateway(request, "start")

    async def stop(self, request: Request) -> Response:
        return await self._gateway(request, "stop")

    async def restart(self, request: Request) -> Response:
        return await self._gateway(request, "restart")

    async def create_form(self, request: Request) -> Response:
        self._dashboard.require(request, "operate")
        return self._dashboard.page(create_page(self._dashboard.place(request)))

    async def create(self, request: Request) -> Response:
        dashboard = self._dashboard
        fields = await dashboard.form(request)
        name, start = fields.get("name", "").strip(), fields.get("start") == "yes"

        def work() -> str:
            from hermes_cli.profiles import create_profile

            manager = dashboard.manager()
            made = create_profile(name, manager=manager, root=dashboard.settings.root)
            if not start:
                return f"{name} has been created, with port {made.port}"
            Lifecycle(manager, dashboard.settings.root).start(name)
            return f"{name} has been created, with port {made.port}, and is ready"

        try:
            said = await dashboard.verbs.carry_out("creating", name, work)
        except VerbError as error:
            if wants_json(request):
                raise _refusal(error) from error
            page = create_page(dashboard.place(request), plain(name, 300), _sentence(error))
            return dashboard.page(page, _status(error))
        return dashboard.done(request, f"{said}.", "/")

    async def delete_form(self, request: Request) -> Response:
        self._dashboard.require(request, "operate")
        home, row = await self._deletable(request)
        return self._dashboard.page(delete_page(self._dashboard.place(request), home, row))

    async def delete(self, request: Request) -> Response:
        dashboard = self._dashboard
        fields = await dashboard.form(request)
        home, row = await self._deletable(request)
        name = home.profile

        def work() -> str:
            from hermes_cli.profiles import delete_profile

            delete_profile(name, manager=dashboard.manager(), root=home.root)
            return f"{name} is gone"

        try:
            if fields.get("confirm", "").strip() != name:
                raise VerbError(f"nothing was deleted: type {name} to confirm")
            said = await dashboard.verbs.carry_out("deleting", name, work)
        except VerbError as error:
            if wants_json(request):
                raise _refusal(error) from error
            page = delete_page(dashboard.place(request), home, row, _sentence(error))
            return dashboard.page(page, _status(error))
        return dashboard.done(request, f"{said}.", "/")

    async def _gateway(self, request: Request, verb: Verb) -> Response:
        dashboard = self._dashboard
        await dashboard.form(request)
        home = await dashboard.home(request)
        try:
            said = await dashboard.verbs.gateway(verb, home.profile)
        except VerbError as error:
            raise _refusal(error) from error
        return dashboard.done(request, f"{said}.", "/")

    async def _deletable(self, request: Request) -> tuple[Home, Row]:
        home = await self._dashboard.home(request)
        if home.profile == DEFAULT_PROFILE:
            raise HTTPException(409, "The profile default cannot be deleted: its home is the root home.")
        rows = (await self._dashboard.board.fresh()).rows
        row = next((row for row in rows if row.profile == home.profile), None)
        if row is None:
            raise HTTPException(404, f"There is no profile {home.profile!r}: it may have been deleted.")
        return home, row


def _refusal(error: VerbError) -> HTTPException:
    return HTTPException(_status(error), _sentence(error))


def _status(error: VerbError) -> int:
    """Conflict, or understood and not possible."""
    return 409 if isinstance(error, BusyError) else 422


def _sentence(error: VerbError) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"
