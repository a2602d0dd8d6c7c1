"""A profile's pages, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import ClassVar, NamedTuple, cast

from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widget import Widget
from textual.widgets import Tab, Tabs

from hermes_cli.faces.overview import Overview
from hermes_cli.tui.installation import Installation
from hermes_cli.tui.pages.page import Page

from .base import InnerScreen


class _Kind(NamedTuple):
    title: str
    module: str
    name: str

    def make(self, installation: Installation, profile: str) -> Page:
        """The page; its module is loaded when it is first shown."""
        found = getattr(import_module(f"hermes_cli.tui.pages.{self.module}"), self.name)
        return cast("Callable[[Installation, str], Page]", found)(installation, profile)


PAGES = (
    _Kind("Logs", "logs", "LogsPage"),
    _Kind("Processes", "processes", "ProcessesPage"),
    _Kind("Runs", "runs", "RunsPage"),
    _Kind("Chat", "chat", "ChatPage"),
    _Kind("Config", "config", "ConfigPage"),
    _Kind("Doctor", "doctor", "DoctorPage"),
)


class ProfileScreen(InnerScreen):
    """Tabs above, the page below. A page that is not shown does not exist, and asks nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(number), f"page({number})", show=False) for number in range(1, len(PAGES) + 1)),
    ]

    def __init__(self, installation: Installation, profile: str, page: int = 0) -> None:
        """`page`: number of the page to open, from 0."""
        super().__init__(installation, profile)
        self._tabs = Tabs(
            *(Tab(f"{number} {kind.title}", id=kind.module) for number, kind in enumerate(PAGES, 1)),
            active=PAGES[page].module,
        )
        self._place = Container(id="page")
        self._shown: str | None = None

    def body(self) -> Iterable[Widget]:
        yield self._tabs
        yield self._place

    def show_status(self, latest: Overview) -> None:
        row = self.row(latest)
        if row is None:
            self.title_line.show(self._profile, "✕ there is no such profile any more", bad=True)
            return
        words = [f"{row.mark} {row.actual}"]
        if row.since is not None:
            words.append(f"up {row.uptime(self.installation.clock())}")
        if row.port:
            words.append(f"port {row.port}")
        if row.note:
            words.append(row.note)
        self.title_line.show(row.name, " · ".join(words), bad=row.tone == "bad")

    async def on_tabs_tab_activated(self, event: Tabs.TabActivated) -> None:
        await self._show_page(event.tab.id or PAGES[0].module)

    async def _show_page(self, module: str) -> None:
        if module == self._shown:
            return
        self._shown = module
        kind = next(kind for kind in PAGES if kind.module == module)
        page = kind.make(self.installation, self._profile)
        async with self.batch():
            await self._place.remove_children()
            await self._place.mount(page)
        self.set_focus(page.first)  # at once: the next key may be the page's

    async def action_page(self, number: int) -> None:
        await self._show_page(PAGES[number - 1].module)
        self._tabs.active = PAGES[number - 1].module

    def action_back(self) -> None:
        page = next(iter(self._place.query_children(Page)), None)
        if page is None or not page.step_back():
            super().action_back()
