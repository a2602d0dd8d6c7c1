"""All gateways, and the log of the one that is chosen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import DataTable, Static

from hermes_cli import __version__
from hermes_cli.faces.overview import Overview, Row
from hermes_cli.service_manager.names import DEFAULT_PROFILE, service_name
from hermes_cli.tui.here import hermes
from hermes_cli.tui.installation import Installation
from hermes_cli.tui.logs import follow_into
from hermes_cli.tui.widgets.gateway_table import GatewayTable, long_exit, long_name, more
from hermes_cli.tui.widgets.lines import NoteLine
from hermes_cli.tui.widgets.log_pane import LogPane

from .base import HermesScreen

_UNMANAGED = "no service manager here: gateways run by 'hermes gateway run'; s and r cannot start them"


class OverviewScreen(HermesScreen):
    """The first screen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "follow", "follow log", show=False),
        Binding("slash", "search", "search log", key_display="/", show=False),
        *(Binding(str(number), f"page({number})", show=False) for number in range(1, 7)),
    ]

    def __init__(self, installation: Installation, profile: str | None = None) -> None:
        """`profile` is chosen first."""
        super().__init__(installation)
        self._prefer = service_name(profile or DEFAULT_PROFILE)
        self.table = GatewayTable()
        self._services = Static("", id="services", markup=False)
        self._note = NoteLine(id="detail")
        self.pane = LogPane()
        self._latest: Overview | None = None
        self._log_of: str | None = None

    def body(self) -> Iterable[Widget]:
        yield self.table
        yield self._services
        yield self._note
        yield self.pane

    def on_mount(self) -> None:
        self.table.focus()

    @property
    def profile(self) -> str | None:
        row = self._chosen
        return row.profile if row is not None else None

    def show_status(self, latest: Overview) -> None:
        self._latest = latest
        self.title_line.show(
            f"Hermes {__version__}", f"{latest.mark} {latest.summary}", bad=latest.tone == "bad"
        )
        gateways = [row for row in latest.rows if row.profile is not None]
        self.table.show_rows(gateways, self._prefer, self.installation.clock())
        self._services.update(Text("  ".join(_service(row) for row in latest.rows if row.profile is None)))
        self._services.display = len(gateways) < len(latest.rows)
        self._show_chosen()

    def on_data_table_row_highlighted(self, _event: DataTable.RowHighlighted) -> None:
        self._show_chosen()

    def on_data_table_row_selected(self, _event: DataTable.RowSelected) -> None:
        self.action_page(1)

    def action_page(self, number: int) -> None:
        """Open the chosen profile at that page."""
        if self.profile is not None:
            from .profile import ProfileScreen

            self.app.push_screen(ProfileScreen(self.installation, self.profile, number - 1))

    def action_follow(self) -> None:
        self.pane.log_view.action_follow()

    def action_search(self) -> None:
        self.pane.log_view.action_search()

    def action_create(self) -> None:
        from hermes_cli.tui.profiles import ask_to_create

        ask_to_create(hermes(self))

    def action_delete(self) -> None:
        if self.profile is not None:
            from hermes_cli.tui.profiles import ask_to_delete

            ask_to_delete(hermes(self), self.profile)

    @property
    def _chosen(self) -> Row | None:
        key = self.table.chosen
        rows = self._latest.rows if self._latest is not None else []
        return next((row for row in rows if row.service == key), None)

    def _show_chosen(self) -> None:
        row = self._chosen
        if row is None or self._latest is None:
            return
        managed = hermes(self).managed
        problems = [one for one in self._latest.problems if not one.startswith("gateway-")]
        notes = [long_name(row), row.note, long_exit(row), more(row, self.app.size.width), *problems]
        if not managed:
            notes.append(_UNMANAGED)
        self._note.show("\n".join(note for note in notes if note))
        if row.profile is not None and row.profile != self._log_of:
            self._log_of = row.profile
            self.pane.title = f"log of {row.name}"
            self._follow_log(row.profile, "s starts it." if managed else "")

    @work(exclusive=True, group="log")
    async def _follow_log(self, profile: str, hint: str) -> None:
        await follow_into(self.pane.log_view, self.installation, profile, hint)


def _service(row: Row) -> str:
    return f"{row.name} {row.mark} {row.actual}"
