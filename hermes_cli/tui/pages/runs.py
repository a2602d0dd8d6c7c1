"""A profile's runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from hermes_cli.faces.overview import duration
from hermes_cli.faces.printable import plain
from hermes_cli.faces.run_words import run_look
from hermes_cli.gateway.run_api import RunView
from hermes_cli.tui.here import hermes
from hermes_cli.tui.installation import Installation
from hermes_cli.tui.run_orders import RunOrders
from hermes_cli.tui.widgets.gateway_table import STYLES
from hermes_cli.tui.widgets.record_table import Column, Record
from hermes_cli.tui.words import one_line

from .page import ListPage

_COLUMNS = (
    Column("status", "status", least=13, most=22),
    Column("id", "id"),
    Column("ago", "began", least=7),
    Column("took", "took", least=7),
    Column("session", "session", from_width=110),
    Column("message", "message", gives_way=True, least=20),
)
_EMPTY = """\
Nothing has run here yet.

'hermes run start MESSAGE' starts a run; so does a message on the chat page (4)."""

_MOST = 200
"""Runs that are shown, the latest."""


class RunsPage(ListPage[list[RunView]]):
    """The latest first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "decide", "allow, deny"),
        Binding("k", "cancel", "cancel"),
        Binding("t", "retry", "try again"),
    ]

    def __init__(self, installation: Installation, profile: str) -> None:
        super().__init__(installation, profile, _COLUMNS, _EMPTY)

    def ask(self) -> list[RunView]:
        return self.installation.client(self.profile).runs.recent(limit=_MOST)

    def records(self, answer: list[RunView]) -> Sequence[Record]:
        now = self.installation.clock()
        return [_record(run, now) for run in answer]

    def note(self, answer: list[RunView], key: str | None) -> str:
        run = next((run for run in answer if run.run_id == key), None)
        if run is None:
            return ""
        retried = f" · again, after {plain(run.retry_of, 40)}" if run.retry_of else ""
        lines = [
            one_line(run.message, 300),
            f"{plain(run.session_id, 40)} · agent {plain(run.agent, 40)}{retried}",
        ]
        note = run_look(run).note
        if run.pending_approval_id is not None:
            note = "it waits to be allowed: a shows what"
        return "\n".join([*lines, note] if note else lines)

    def open(self, key: str) -> None:
        from hermes_cli.tui.screens.run import RunScreen

        self.app.push_screen(RunScreen(self.installation, self.profile, key))

    def action_decide(self) -> None:
        if (orders := self._orders()) is not None:
            orders.decide()

    def action_cancel(self) -> None:
        if (orders := self._orders()) is not None:
            orders.ask_to_cancel()

    def action_retry(self) -> None:
        if (orders := self._orders()) is not None:
            orders.retry(lambda _run_id: None)

    def _orders(self) -> RunOrders | None:
        key = self.table.chosen
        return None if key is None else RunOrders(hermes(self), self.profile, key, self.look_now)


def _record(run: RunView, now: float) -> Record:
    look = run_look(run)
    until = run.ended_at if run.ended_at is not None else now
    cells = {
        "status": f"{look.mark} {look.words}",
        "id": plain(run.run_id, 40),
        "ago": duration(now - run.created_at),
        "took": "" if run.started_at is None else duration(until - run.started_at),
        "session": plain(run.session_id, 40),
        "message": one_line(run.message),
    }
    return Record(run.run_id, cells, {"status": STYLES[look.tone]})
