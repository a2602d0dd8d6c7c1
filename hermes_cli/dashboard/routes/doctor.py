"""`hermes doctor` on a page: looked at in a thread, one look at a time, for all who ask."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hermes_cli.dashboard.app import Dashboard, wants_json
from hermes_cli.faces.background import in_thread

if TYPE_CHECKING:
    from hermes_cli.doctor import DoctorReport

PATIENCE = 15.0
"""Seconds that a page waits for a look; then it says that it goes on, and asks again."""

LONGEST_MEND = 120.0
"""Seconds for mending, which starts and stops gateways."""

_KEPT = 60.0
"""Seconds for which a look that took longer waits for the page that asks again."""


class _Look(NamedTuple):
    report: DoctorReport
    at: float
    """Seconds since the epoch."""


def routes(dashboard: Dashboard) -> list[Route]:
    here = _Doctor(dashboard)
    return [
        Route("/profiles/{profile}/doctor", here.page, methods=["GET"]),
        Route("/profiles/{profile}/doctor/fix", here.fix, methods=["POST"]),
    ]


class _Doctor:
    def __init__(self, dashboard: Dashboard) -> None:
        self._dashboard = dashboard
        self._looking: asyncio.Task[_Look] | None = None
        """The look under way, or one that nobody has seen."""

    async def page(self, request: Request) -> Response:
        self._dashboard.require(request, "read")
        await self._dashboard.home(request)
        looking = self._look()
        done, _ = await asyncio.wait({looking}, timeout=PATIENCE)
        if not done:
            return self._shown(request, None)
        if self._looking is looking:
            self._looking = None
        return self._shown(request, looking.result())

    async def fix(self, request: Request) -> Response:
        from hermes_cli.dashboard.pages.doctor import summary

        await self._dashboard.form(request)
        home = await self._dashboard.home(request)
        if self._looking is not None and not self._looking.done():
            raise HTTPException(409, "It is still being looked; wait for that, and try again.")
        mending = self._looking = self._begun(fix=True)
        done, _ = await asyncio.wait({mending}, timeout=LONGEST_MEND)
        if not done:
            raise HTTPException(504, "Mending takes longer than usual; it goes on. Look again later.")
        if wants_json(request):
            # The page that the script asks for next shows this look.
            said = summary(mending.result().report)
            return self._dashboard.done(request, said, f"/profiles/{home.profile}/doctor")
        self._looking = None
        return self._shown(request, mending.result())

    def _look(self) -> asyncio.Task[_Look]:
        going = self._looking
        if going is None or (going.done() and _is_stale(going)):
            going = self._looking = self._begun(fix=False)
        return going

    def _begun(self, *, fix: bool) -> asyncio.Task[_Look]:
        root = self._dashboard.settings.root
        return asyncio.ensure_future(in_thread(lambda: _looked(root, fix)))

    def _shown(self, request: Request, look: _Look | None) -> Response:
        from hermes_cli.dashboard.pages.doctor import doctor_page

        profile, place = request.path_params["profile"], self._dashboard.place(request)
        report, at = look if look is not None else (None, None)
        return self._dashboard.page(doctor_page(place, profile, report, at))


def _is_stale(ended: asyncio.Task[_Look]) -> bool:
    return ended.exception() is not None or time.time() - ended.result().at > _KEPT


def _looked(root: Path, fix: bool) -> _Look:
    from hermes_cli.doctor import diagnose

    return _Look(diagnose(root, fix=fix), time.time())
