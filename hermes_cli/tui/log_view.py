"""The log of one gateway, followed, and wrapped again when the terminal changes its width."""

from __future__ import annotations

from collections import deque

from rich.text import Text
from textual import work
from textual.events import Resize
from textual.widgets import RichLog

from hermes_cli.faces.log_tail import LogTail
from hermes_cli.faces.log_tail import follow as follow_log
from hermes_cli.faces.printable import plain
from hermes_cli.home import Home

MAX_LINES = 2000


class LogView(RichLog):
    """Follows until told otherwise; scrolling is by the usual keys and the mouse."""

    def __init__(self) -> None:
        super().__init__(
            wrap=True, markup=False, highlight=False, min_width=0, max_lines=4 * MAX_LINES, id="log"
        )
        self._lines: deque[str] = deque(maxlen=MAX_LINES)
        self._seen_width = 0
        self.home: Home | None = None

    def show(self, home: Home, *, startable: bool) -> None:
        """Follow the log of `home` from now on. `startable`: whether the start key can do anything."""
        if self.home == home:
            return
        self.home = home
        self.follow(True)
        self._lines.clear()
        self.clear()
        hint = " s starts it." if startable else ""
        self.write(Text(f"{home.profile} has written nothing here yet.{hint}", style="dim"))
        self._follow(home)

    def follow(self, on: bool) -> None:
        """Show each new line as it comes, or stay where the reader is."""
        self.auto_scroll = on
        self.border_title = _title(self.home, on)
        if on:
            self.scroll_end(animate=False)

    def action_scroll_up(self) -> None:
        self.follow(False)
        super().action_scroll_up()

    def action_page_up(self) -> None:
        self.follow(False)
        super().action_page_up()

    def action_scroll_home(self) -> None:
        self.follow(False)
        super().action_scroll_home()

    def action_scroll_end(self) -> None:
        self.follow(True)

    def on_mouse_scroll_up(self) -> None:
        self.follow(False)

    def on_resize(self, event: Resize) -> None:
        if event.size.width == 0:
            return
        first, rewrap, self._seen_width = (
            self._seen_width == 0,
            event.size.width != self._seen_width,
            event.size.width,
        )
        # Only after the refresh does the content region have the new width.
        self.call_after_refresh(self._arrange, rewrap and not first)

    def _arrange(self, rewrap: bool) -> None:
        if rewrap and self._lines:
            self.clear()
            for line in self._lines:
                self._put(line)
        if self.auto_scroll:
            self.scroll_end(animate=False)

    def _put(self, line: str) -> None:
        # The width is given, or the log would ask the console, which does not hear of resizing.
        self.write(Text(line), width=self.scrollable_content_region.width or None)

    @work(exclusive=True, group="log", exit_on_error=True)
    async def _follow(self, home: Home) -> None:
        async for lines in follow_log(LogTail(home.gateway_log)):
            if not self._lines:
                self.clear()
            for line in lines:
                shown = plain(line)
                self._lines.append(shown)
                self._put(shown)


def _title(home: Home | None, following: bool) -> str:
    profile = "" if home is None else f"log of {home.profile}"
    return profile if following else f"{profile} (not following: f)"
