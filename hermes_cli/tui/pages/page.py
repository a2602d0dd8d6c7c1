"""What the pages of a profile have in common: asking again and again, and saying why there is no answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import ClassVar, Generic, TypeVar

from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import DataTable, Static

from hermes_cli.faces.background import in_thread
from hermes_cli.faces.reach import FAILURES, OK, reach
from hermes_cli.tui.installation import Installation
from hermes_cli.tui.widgets.lines import NoteLine, ReachLine
from hermes_cli.tui.widgets.record_table import Column, Record, RecordTable

AnswerT = TypeVar("AnswerT")


class Page(Vertical):
    """One page. Made when it is shown; what it has under way ends with it."""

    def __init__(self, installation: Installation, profile: str) -> None:
        super().__init__()
        self.installation = installation
        self.profile = profile

    @property
    def first(self) -> Widget:
        """Where the keys go at first."""
        raise NotImplementedError

    def step_back(self) -> bool:
        """Undo what is open on the page, such as a search; whether there was anything."""
        return False


class ListPage(Page, Generic[AnswerT]):
    """A table of what the gateway answers, looked at again after every order, and by itself."""

    interval: ClassVar[float | None] = 1.0
    """Seconds between two looks; None looks again only when asked to."""

    def __init__(
        self, installation: Installation, profile: str, columns: Sequence[Column], empty: str
    ) -> None:
        """`empty`: what to say where there is nothing, with what to do."""
        super().__init__(installation, profile)
        self.table = RecordTable(columns)
        self._empty = Static(empty, classes="empty", markup=False)
        self._reach = ReachLine()
        self._note = NoteLine()
        self._look_now = asyncio.Event()
        self._answer: AnswerT | None = None

    def ask(self) -> AnswerT:
        """Ask the gateway; in a thread. Raises `reach.FAILURES`."""
        raise NotImplementedError

    def records(self, answer: AnswerT) -> Sequence[Record]:
        raise NotImplementedError

    def note(self, answer: AnswerT, key: str | None) -> str:
        """What there is to say of the chosen row, or of all where None is."""
        return ""

    def open(self, key: str) -> None:
        """Enter was pressed on the row."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        yield self._reach
        yield self.table
        yield self._empty
        yield self._note

    def on_mount(self) -> None:
        self._watch_list()

    @property
    def first(self) -> Widget:
        return self.table

    @property
    def answer(self) -> AnswerT | None:
        """The latest one."""
        return self._answer

    def look_now(self) -> None:
        """Look again at once."""
        self._look_now.set()

    def on_data_table_row_highlighted(self, _event: DataTable.RowHighlighted) -> None:
        self._show_note()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        event.stop()
        if self.table.chosen is not None:
            self.open(self.table.chosen)

    @work(exclusive=True, group="list")
    async def _watch_list(self) -> None:
        while True:
            self._look_now.clear()
            try:
                self._answer = await in_thread(self.ask)
            except FAILURES as error:
                self._reach.show(reach(error, self.installation.home(self.profile)))
            else:
                self._reach.show(OK)
                self._show_list()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.interval):
                    await self._look_now.wait()

    def _show_list(self) -> None:
        assert self._answer is not None
        records = self.records(self._answer)
        self.set_class(not records, "-empty")
        self.table.show(records)
        self._show_note()

    def _show_note(self) -> None:
        if self._answer is not None:
            self._note.show(self.note(self._answer, self.table.chosen))
