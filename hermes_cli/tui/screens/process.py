"""One process: its output as it comes, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.widget import Widget

from hermes_cli.faces.overview import Overview
from hermes_cli.faces.printable import plain
from hermes_cli.faces.reach import Reach
from hermes_cli.processes.types import Polled
from hermes_cli.tui.following import WAIT, keep_asking
from hermes_cli.tui.here import hermes
from hermes_cli.tui.installation import Installation
from hermes_cli.tui.process_orders import ProcessOrders
from hermes_cli.tui.widgets.lines import ReachLine
from hermes_cli.tui.widgets.log_pane import LogPane
from hermes_cli.tui.widgets.text_log import Line
from hermes_cli.tui.words import one_line, process_words

from .base import InnerScreen

_BEFORE = 192 << 10
"""Bytes of earlier output that are shown."""


class ProcessScreen(InnerScreen):
    """Begins with the end of what it has said, and goes on from there."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "attach", "attach"),
        Binding("w", "write", "write"),
        Binding("e", "close_input", "end of input"),
        Binding("k", "kill", "kill"),
    ]

    def __init__(self, installation: Installation, profile: str, process_id: str) -> None:
        super().__init__(installation, profile)
        self.process_id = process_id
        self._reach = ReachLine()
        self.pane = LogPane("output")
        self._begin = 0
        """Byte offset of the first output that is shown."""
        self._cursor: int | None = None
        self._polled: Polled | None = None

    def body(self) -> Iterable[Widget]:
        yield self._reach
        yield self.pane

    def on_mount(self) -> None:
        self.title_line.show(self.process_id)
        self.pane.log_view.focus()
        self._follow()

    def show_status(self, latest: Overview) -> None:
        pass  # what is wrong with the gateway is said where its answers would be

    def action_back(self) -> None:
        if not self.pane.end_search():
            super().action_back()

    def action_attach(self) -> None:
        if (orders := self._orders()) is not None:
            orders.attach()

    def action_write(self) -> None:
        if (orders := self._orders()) is not None:
            orders.ask_for_line()

    def action_close_input(self) -> None:
        if (orders := self._orders()) is not None:
            orders.close_input()

    def action_kill(self) -> None:
        if (orders := self._orders()) is not None:
            orders.ask_to_kill()

    def _orders(self) -> ProcessOrders | None:
        if self._polled is None:
            return None
        app = hermes(self)
        if self._polled.status != "running":
            app.tell(f"✕ {self.process_id} has ended", bad=True)
            return None
        return ProcessOrders(
            app, self.profile, self.process_id, one_line(self._polled.command, 300), lambda: None
        )

    @work(exclusive=True, group="output")
    async def _follow(self) -> None:
        client = self.installation.client(self.profile).processes

        def ask() -> Polled:
            if self._cursor is not None:
                return client.page(self.process_id, self._cursor, wait=WAIT)
            self._begin = max(0, client.poll(self.process_id).end_of_output - _BEFORE)
            return client.page(self.process_id, self._begin)

        await keep_asking(self.installation.home(self.profile), ask, self._take, self._stands)

    def _take(self, polled: Polled) -> bool:
        log = self.pane.log_view
        output = polled.output
        if self._cursor is None and self._begin:
            log.add([Line("(what it said before is in 'hermes process log')", "dim")])
            output = output.partition("\n")[2] or output
        if polled.dropped_bytes:
            log.add([Line(f"({polled.dropped_bytes} bytes are not kept any more)", "dim")])
        log.feed(output)
        self._cursor, self._polled = polled.cursor, polled
        self._entitle(polled)
        if polled.status == "running" or polled.output:
            return True
        why = f": {plain(polled.reason, 300)}" if polled.reason else ""
        log.add([Line(f"— {process_words(polled.status, polled.exit_code)}{why}", "bold")])
        return False

    def _entitle(self, polled: Polled) -> None:
        words = process_words(polled.status, polled.exit_code)
        self.title_line.show(self.process_id, f"{words} · {one_line(polled.command, 200)}")

    def _stands(self, reach: Reach) -> None:
        self._reach.show(reach)
