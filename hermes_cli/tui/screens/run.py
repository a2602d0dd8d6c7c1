"""One run: its events as they come, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.widget import Widget

from hermes_cli.faces.overview import Overview
from hermes_cli.faces.printable import plain
from hermes_cli.faces.reach import Reach
from hermes_cli.faces.run_words import run_look
from hermes_cli.gateway.run_api import EventPage, RunView
from hermes_cli.tui.following import WAIT, keep_asking
from hermes_cli.tui.here import hermes
from hermes_cli.tui.installation import Installation
from hermes_cli.tui.run_orders import RunOrders
from hermes_cli.tui.run_text import ask_for_page, show_page
from hermes_cli.tui.widgets.lines import NoteLine, ReachLine
from hermes_cli.tui.widgets.log_pane import LogPane
from hermes_cli.tui.widgets.text_log import Line
from hermes_cli.tui.words import one_line

from .base import InnerScreen


class RunScreen(InnerScreen):
    """Shows all its events from the first, as far as they are kept."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "decide", "allow"),
        Binding("k", "cancel", "cancel"),
        Binding("t", "retry", "again"),
        Binding("c", "session", "chat"),
    ]

    def __init__(self, installation: Installation, profile: str, run_id: str) -> None:
        super().__init__(installation, profile)
        self.run_id = run_id
        self._reach = ReachLine()
        self._note = NoteLine()
        self.pane = LogPane("events")
        self._cursor = "0"
        self._run: RunView | None = None

    def body(self) -> Iterable[Widget]:
        yield self._reach
        yield self.pane
        yield self._note

    def on_mount(self) -> None:
        self.title_line.show(self.run_id)
        self.pane.log_view.focus()
        self._follow()

    def show_status(self, latest: Overview) -> None:
        pass  # what is wrong with the gateway is said where its answers would be

    def action_back(self) -> None:
        if not self.pane.end_search():
            super().action_back()

    def action_decide(self) -> None:
        self._orders.decide()

    def action_cancel(self) -> None:
        self._orders.ask_to_cancel()

    def action_retry(self) -> None:
        self._orders.retry(self._open)

    def action_session(self) -> None:
        if self._run is not None:
            from .conversation import ConversationScreen

            self.app.push_screen(ConversationScreen(self.installation, self.profile, self._run.session_id))

    @property
    def _orders(self) -> RunOrders:
        return RunOrders(hermes(self), self.profile, self.run_id, lambda: None)

    def _open(self, run_id: str) -> None:
        if self.is_current:
            self.app.switch_screen(RunScreen(self.installation, self.profile, run_id))

    @work(exclusive=True, group="events")
    async def _follow(self) -> None:
        client = self.installation.client(self.profile).runs

        def ask() -> tuple[str | None, EventPage, RunView]:
            return *ask_for_page(client, self.run_id, self._cursor, WAIT), client.get(self.run_id)

        await keep_asking(self.installation.home(self.profile), ask, self._take, self._stands)

    def _take(self, answer: tuple[str | None, EventPage, RunView]) -> bool:
        snapshot, page, run = answer
        if self._run is None:
            self.pane.log_view.add([Line(f"> {one_line(run.message, 2000)}", "bold")])
        self._run = run
        show_page(self.pane.log_view, snapshot, page)
        self._cursor = page.cursor
        look = run_look(run)
        self.title_line.show(
            self.run_id,
            f"{look.mark} {look.words} · {plain(run.session_id, 40)}",
            bad=look.tone == "bad",
        )
        waits = "◐ It waits to be allowed: a shows what, and asks." if run.pending_approval_id else ""
        self._note.show("\n".join(line for line in (waits, look.note) if line))
        return page.terminal_state is None or page.cursor != page.last_event_id

    def _stands(self, reach: Reach) -> None:
        self._reach.show(reach)
