"""A profile's background processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from hermes_cli.faces.overview import duration
from hermes_cli.faces.printable import plain
from hermes_cli.gateway.process_api import Processes
from hermes_cli.processes.types import Listing
from hermes_cli.tui.here import hermes
from hermes_cli.tui.installation import Installation
from hermes_cli.tui.process_orders import ProcessOrders
from hermes_cli.tui.widgets.gateway_table import STYLES
from hermes_cli.tui.widgets.record_table import Column, Record
from hermes_cli.tui.words import one_line, process_tone, process_words

from .page import ListPage

_COLUMNS = (
    Column("status", "status", least=10),
    Column("id", "id"),
    Column("uptime", "time", least=7),
    Column("pid", "pid", least=5),
    Column("cwd", "directory", most=30, from_width=120),
    Column("command", "command", gives_way=True, least=20),
)
_EMPTY = """\
No background process runs here, and none ended lately.

'hermes process start COMMAND' starts one; agents start them with their tools."""


class ProcessesPage(ListPage[Processes]):
    """The running ones, and those that ended lately."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "attach", "attach"),
        Binding("w", "write", "write"),
        Binding("k", "kill", "kill"),
    ]

    def __init__(self, installation: Installation, profile: str) -> None:
        super().__init__(installation, profile, _COLUMNS, _EMPTY)

    def ask(self) -> Processes:
        found = self.installation.client(self.profile).processes.list()
        found.processes.sort(key=lambda one: (one.status != "running", -one.started_at))
        return found

    def records(self, answer: Processes) -> Sequence[Record]:
        return [_record(one) for one in answer.processes]

    def note(self, answer: Processes, key: str | None) -> str:
        one = _find(answer, key)
        if one is None:
            return ""
        where = f" in the environment {answer.environment}" if answer.environment != "local" else ""
        lines = [one_line(one.command, 300), f"in {plain(one.cwd, 200)}{where}"]
        if one.reason:
            lines.append(plain(one.reason, 300))
        preview = [line for line in one.output_preview.splitlines() if line.strip()]
        if preview:
            lines.append(f"last said: {plain(preview[-1], 300)}")
        return "\n".join(lines)

    def open(self, key: str) -> None:
        from hermes_cli.tui.screens.process import ProcessScreen

        self.app.push_screen(ProcessScreen(self.installation, self.profile, key))

    def action_attach(self) -> None:
        if (orders := self._orders()) is not None:
            orders.attach()

    def action_write(self) -> None:
        if (orders := self._orders()) is not None:
            orders.ask_for_line()

    def action_kill(self) -> None:
        if (orders := self._orders()) is not None:
            orders.ask_to_kill()

    def _orders(self) -> ProcessOrders | None:
        """For the chosen one; None, and a word of why, where it does not run any more."""
        one = _find(self.answer, self.table.chosen) if self.answer is not None else None
        if one is None:
            return None
        app = hermes(self)
        if one.status != "running":
            app.tell(f"✕ {one.session_id} has ended", bad=True)
            return None
        return ProcessOrders(app, self.profile, one.session_id, plain(one.command, 300), self.look_now)


def _find(answer: Processes, key: str | None) -> Listing | None:
    return next((one for one in answer.processes if one.session_id == key), None)


def _record(one: Listing) -> Record:
    cells = {
        "status": process_words(one.status, one.exit_code),
        "id": plain(one.session_id, 40),
        "uptime": duration(one.uptime_seconds),
        "pid": str(one.pid or ""),
        "cwd": plain(one.cwd, 400),
        "command": one_line(one.command),
    }
    return Record(one.session_id, cells, {"status": STYLES[process_tone(one.status, one.exit_code)]})
