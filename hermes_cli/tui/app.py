"""The text interface as an application, and the way into it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Footer, Static

from hermes_cli import __version__
from hermes_cli.faces.background import in_thread
from hermes_cli.faces.overview import Overview, Row, overview, unreadable
from hermes_cli.faces.verbs import Operator, Verb, Verbs
from hermes_cli.home import Home, root_home
from hermes_cli.service_manager.names import DEFAULT_PROFILE, service_name
from hermes_cli.status import StatusReport, collect

from .help import HelpScreen
from .log_view import LogView
from .table import EXIT_WIDTH, GatewayTable

INTERVAL = 1.0
"""Seconds between two looks at everything."""

LONG_NAME = 24
"""Characters of a name that a table may have to cut."""

EXIT_USAGE = 2
EXIT_TERMINATED = 143

_UNMANAGED = "no service manager here: gateways run by 'hermes gateway run'; s and r cannot start them"


class HermesApp(App[None]):
    """Shows the installation below `root`, and asks `operator` for the verbs."""

    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = False
    TITLE = "Hermes"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "verb('start')", "start"),
        Binding("x", "verb('stop')", "stop"),
        Binding("r", "verb('restart')", "restart"),
        Binding("f", "follow", "follow log"),
        Binding("question_mark", "help", "help", key_display="?"),
        Binding("q", "quit", "quit"),
        Binding("ctrl+c", "quit", "quit", show=False, priority=True),
    ]

    def __init__(
        self,
        root: Path | None = None,
        profile: str | None = None,
        *,
        look: Callable[[], StatusReport] | None = None,
        operator: Callable[[], Operator] | None = None,
        interval: float = INTERVAL,
    ) -> None:
        super().__init__()
        self._root = root if root is not None else root_home()
        self._prefer = service_name(profile or DEFAULT_PROFILE)
        self._look = look or (lambda: collect(self._root))
        self._interval = interval
        # Kept, not queried for: a query looks on the screen in front, which may be the help.
        self._title = Static(f"Hermes {__version__}", id="title", markup=False)
        self._table = GatewayTable()
        self._services = Static("", id="services", markup=False)
        self._detail = Static("", id="detail", markup=False)
        self._log_view = LogView()
        self._said = Static("", id="verbs", markup=False)
        self._latest: Overview | None = None
        self._managed = True
        self._look_now = asyncio.Event()
        self.verbs = Verbs(operator or (lambda: _lifecycle(self._root)), self._show_verbs)

    def compose(self) -> ComposeResult:
        yield self._title
        yield self._table
        yield self._services
        yield self._detail
        yield self._log_view
        yield self._said
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self._table.focus()
        for number, code in ((signal.SIGTERM, EXIT_TERMINATED), (signal.SIGINT, 0)):
            with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
                asyncio.get_running_loop().add_signal_handler(number, partial(self.exit, return_code=code))
        self._watch()
        self.set_interval(1.0, self._tick)

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        self._show_chosen()

    def action_verb(self, verb: Verb) -> None:
        row = self._table.chosen
        if row is not None and row.profile is not None:
            self._do(verb, row.profile)

    def action_follow(self) -> None:
        log = self._log_view
        log.follow(not log.auto_scroll)

    def action_help(self) -> None:
        self.push_screen(HelpScreen())

    @work(group="verbs")
    async def _do(self, verb: Verb, profile: str) -> None:
        await self.verbs.do(verb, profile)
        self._look_now.set()

    @work(group="status", exclusive=True)
    async def _watch(self) -> None:
        """Look, show, wait: the looking is in a thread, so keys answer whatever it meets."""
        while True:
            self._look_now.clear()
            try:
                report = await in_thread(self._look)
            except Exception as error:
                # The face stays up and says it; the next look may succeed.
                self._show(unreadable(error, self._latest))
            else:
                self._managed = report.supervisor == "s6"
                self._show(overview(report, self._latest))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval):
                    await self._look_now.wait()

    def _show(self, latest: Overview) -> None:
        if not self._title.is_attached:
            return
        self._latest = latest
        title = Text(f"Hermes {__version__}  ", style="bold")
        title.append(f"{latest.mark} {latest.summary}")
        self._title.set_class(latest.tone == "bad", "-bad")
        self._title.update(title)
        gateways = [row for row in latest.rows if row.profile is not None]
        self._table.show(gateways, self._prefer)
        self._services.update(Text("  ".join(_service(row) for row in latest.rows if row.profile is None)))
        self._services.display = len(gateways) < len(latest.rows)
        self._show_chosen()

    def _show_chosen(self) -> None:
        row = self._table.chosen
        notes = [] if row is None else [note for note in (_long_name(row), row.note, _long_exit(row)) if note]
        if row is not None and self._latest is not None:
            notes += [problem for problem in self._latest.problems if not problem.startswith("gateway-")]
        if not self._managed:
            notes.append(_UNMANAGED)
        self._detail.update(Text("\n".join(notes)))
        self._detail.display = bool(notes)
        if row is not None and row.profile is not None:
            self._log_view.show(Home.of(row.profile, self._root), startable=self._managed)

    def _show_verbs(self) -> None:
        if not self._said.is_attached:
            return
        self._said.update(Text(self.verbs.text()))
        self._said.set_class(self.verbs.failed, "-bad")
        self._said.display = bool(self.verbs.text())

    def _tick(self) -> None:
        if self.verbs.going:
            self._show_verbs()


def _service(row: Row) -> str:
    return f"{row.name} {row.mark} {row.actual}"


def _long_name(row: Row) -> str:
    return row.name if len(row.name) > LONG_NAME else ""


def _long_exit(row: Row) -> str:
    if not row.last_exit:
        return ""
    return f"last exit: {row.last_exit}" if row.tone == "bad" or len(row.last_exit) > EXIT_WIDTH else ""


def _lifecycle(root: Path) -> Operator:
    from hermes_cli.gateway.levels import manager_or_none
    from hermes_cli.gateway.lifecycle import Lifecycle

    return Lifecycle(manager_or_none(), root)


def run(profile: str | None = None) -> int:
    """Open the text interface on this terminal; the exit code: 0 after q or ^C, 143 after SIGTERM.

    `profile` is chosen first. ^C is a way to leave, as q is: nothing is interrupted by it, so it is no
    failure of the container whose command this is.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print(
            "hermes: the text interface needs a terminal; 'hermes status' works without one", file=sys.stderr
        )
        return EXIT_USAGE
    for size in ("COLUMNS", "LINES"):  # Textual would believe them over the terminal, for ever
        os.environ.pop(size, None)
    app = HermesApp(profile=profile)
    app.run()
    return app.return_code or 0
