"""A log with a title that says what it does, and a line to search in."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input

from .text_log import TextLog


class LogPane(Vertical):
    """A `TextLog` and all that belongs to it."""

    def __init__(self, title: str = "", *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.log_view = TextLog()
        self._search = _Search(placeholder="search; Enter: go there; Esc: end", compact=True)
        self._search.display = False
        self._title = title

    def compose(self) -> ComposeResult:
        yield self.log_view
        yield self._search

    def on_mount(self) -> None:
        self._entitle()

    @property
    def title(self) -> str:
        return self._title

    @title.setter
    def title(self, title: str) -> None:
        self._title = title
        self._entitle()

    @on(TextLog.Changed)
    def _entitle(self) -> None:
        log = self.log_view
        words = [self._title]
        if not log.following:
            words.append("not following: f")
        if log.sought:
            words.append(f"{log.hits} lines found: n, N")
        self.border_title = Text(" · ".join(word for word in words if word))

    @on(TextLog.SearchAsked)
    def _open_search(self) -> None:
        self._search.display = True
        self._search.focus()

    @on(Input.Changed)
    def _seek(self, event: Input.Changed) -> None:
        event.stop()
        self.log_view.seek(event.value)

    @on(Input.Submitted)
    def _go(self, event: Input.Submitted) -> None:
        event.stop()
        self.log_view.focus()

    def end_search(self) -> bool:
        """Show everything as before; whether there was a search to end."""
        if not (self._search.display or self.log_view.sought):
            return False
        had_focus = self._search.has_focus
        self._search.display = False
        self._search.value = ""
        self.log_view.seek("")
        if had_focus:
            self.log_view.focus()
        return True


class _Search(Input):
    """Where the text to search for is typed. Enter goes to the log, Esc ends the search."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "end_search", "end search")]

    def action_end_search(self) -> None:
        pane = self.parent
        assert isinstance(pane, LogPane)
        pane.end_search()
