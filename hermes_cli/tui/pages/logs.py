"""A gateway's log."""

from __future__ import annotations

from textual import work
from textual.app import ComposeResult
from textual.widget import Widget

from hermes_cli.tui.here import hermes
from hermes_cli.tui.installation import Installation
from hermes_cli.tui.logs import follow_into
from hermes_cli.tui.widgets.log_pane import LogPane

from .page import Page


class LogsPage(Page):
    """The log, followed and searched."""

    def __init__(self, installation: Installation, profile: str) -> None:
        super().__init__(installation, profile)
        self.pane = LogPane(f"log of {profile}")

    def compose(self) -> ComposeResult:
        yield self.pane

    def on_mount(self) -> None:
        self._follow_log()

    @property
    def first(self) -> Widget:
        return self.pane.log_view

    def step_back(self) -> bool:
        return self.pane.end_search()

    @work(exclusive=True, group="log")
    async def _follow_log(self) -> None:
        hint = "s starts it." if hermes(self).managed else ""
        await follow_into(self.pane.log_view, self.installation, self.profile, hint)
