"""A profile's conversations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from hermes_cli.faces.overview import duration
from hermes_cli.faces.printable import plain
from hermes_cli.gateway.run_api import SessionView
from hermes_cli.tui.here import hermes
from hermes_cli.tui.installation import Installation
from hermes_cli.tui.widgets.record_table import Column, Record
from hermes_cli.tui.words import one_line

from .page import ListPage

_COLUMNS = (
    Column("id", "id"),
    Column("runs", "runs"),
    Column("idle", "idle", least=7),
    Column("now", "now", least=11),
    Column("title", "began with", gives_way=True, least=20),
)
_EMPTY = "Nothing has been said here yet. n begins a conversation."

_MOST = 100
"""Sessions that are shown: as many as the gateway tells at once."""


class ChatPage(ListPage[list[SessionView]]):
    """The most recently active first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "new", "new conversation"),
        Binding("d", "delete", "delete"),
    ]

    def __init__(self, installation: Installation, profile: str) -> None:
        super().__init__(installation, profile, _COLUMNS, _EMPTY)

    def ask(self) -> list[SessionView]:
        return self.installation.client(self.profile).runs.sessions(limit=_MOST)

    def records(self, answer: list[SessionView]) -> Sequence[Record]:
        now = self.installation.clock()
        return [_record(session, now) for session in answer]

    def note(self, answer: list[SessionView], key: str | None) -> str:
        found = next((one for one in answer if one.session_id == key), None)
        return "" if found is None else one_line(found.title)

    def open(self, key: str) -> None:
        self._open(key)

    def action_new(self) -> None:
        self._open(None)

    def action_delete(self) -> None:
        from hermes_cli.tui.screens.question import NO, Answer, QuestionScreen

        found = next((one for one in self.answer or [] if one.session_id == self.table.chosen), None)
        if found is None:
            return
        text = f"{one_line(found.title, 200)}\n\nIt goes with its {found.runs} runs, for good."
        question = QuestionScreen(f"Delete {found.session_id}?", text, NO, Answer("y", "Delete it"))
        self.app.push_screen(
            question, lambda answer: self._delete(found.session_id) if answer == "y" else None
        )

    def _open(self, session_id: str | None) -> None:
        from hermes_cli.tui.screens.conversation import ConversationScreen

        self.app.push_screen(ConversationScreen(self.installation, self.profile, session_id))

    def _delete(self, session_id: str) -> None:
        def work() -> str:
            gone = self.installation.client(self.profile).runs.delete_session(session_id)
            return f"{session_id} is gone, with {gone.runs} runs"

        hermes(self).order(f"deleting {session_id}", work, self.look_now)


def _record(session: SessionView, now: float) -> Record:
    cells = {
        "id": plain(session.session_id, 40),
        "runs": str(session.runs),
        "idle": duration(now - session.last_active_at),
        "now": "◐ answering" if session.active_run_id else "",
        "title": one_line(session.title),
    }
    return Record(session.session_id, cells)
