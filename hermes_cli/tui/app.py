"""The text interface as an application, and the way into it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import ClassVar

from textual import work
from textual.app import App
from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.reactive import reactive
from textual.screen import Screen

from hermes_cli.faces.background import in_thread
from hermes_cli.faces.changes import InstallationChanges
from hermes_cli.faces.overview import Meter, Overview, overview, unreadable
from hermes_cli.faces.printable import plain
from hermes_cli.faces.verbs import Operator, Verb, Verbs
from hermes_cli.home import root_home
from hermes_cli.status import StatusReport

from . import themes
from .installation import Installation, installation
from .screens.overview import OverviewScreen

INTERVAL = 1.0
"""Seconds between two looks at everything, where nothing told of a change before."""

_GATHER = 0.1
"""Seconds in which changes gather before the next look: a hundred starts are not a hundred looks."""

EXIT_USAGE = 2
EXIT_TERMINATED = 143


def _commands() -> type[Provider]:
    from .commands import Commands

    return Commands


class HermesApp(App[None]):
    """Shows an installation, and has its verbs done. Owns nothing of it: what was asked for goes on."""

    CSS_PATH = "app.tcss"
    TITLE = "Hermes"
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_commands}

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "help", key_display="?"),
        Binding("T", "theme", "light, dark", show=False),
        Binding("q", "quit", "quit"),
        Binding("ctrl+c", "quit", "quit", show=False, priority=True),
    ]

    latest: reactive[Overview | None] = reactive(None)
    """What the last look at everything saw."""
    managed: reactive[bool] = reactive(True)
    """Whether there is a service manager to start gateways with."""
    said: reactive[tuple[str, bool]] = reactive(("", False))
    """What there is to say of orders, and whether it is bad news."""

    def __init__(
        self, asked: Installation | None = None, profile: str | None = None, *, interval: float = INTERVAL
    ) -> None:
        """`profile` is chosen first."""
        super().__init__(ansi_color=themes.ansi_alone())
        self.installation = asked or installation(root_home())
        self._profile = profile
        self._interval = interval
        self._changes: InstallationChanges | None = None
        self._meter = Meter()
        self.verbs = Verbs(self._operator, self._say_verbs)
        themes.prepare(self)

    def get_default_screen(self) -> Screen[None]:
        return OverviewScreen(self.installation, self._profile)

    def on_mount(self) -> None:
        self.heed_signals()
        self._watch_status()
        self.set_interval(1.0, self._tick)

    def heed_signals(self) -> None:
        """Leave in order at SIGTERM and SIGINT. Again after something else handled them."""
        for number, code in ((signal.SIGTERM, EXIT_TERMINATED), (signal.SIGINT, 0)):
            with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
                asyncio.get_running_loop().add_signal_handler(number, partial(self.exit, return_code=code))

    def action_help(self) -> None:
        from .screens.help import HelpScreen

        self.push_screen(HelpScreen())

    def action_theme(self) -> None:
        themes.switch(self)

    # Orders

    def do_verb(self, verb: Verb, profile: str) -> None:
        """Have `verb` done on the gateway of `profile`; how it went is said."""
        self._do_verb(verb, profile)

    def order(self, going: str, work: Callable[[], str], done: Callable[[], None] = lambda: None) -> None:
        """Do `work` in a thread; say `going …` meanwhile, then the sentence that it returns or raises.

        `done` is called afterwards, whatever came of it.
        """
        self._order(going, work, done)

    def tell(self, text: str, *, bad: bool = False) -> None:
        """Say something on every screen, until something else is said."""
        self.said = (text, bad)

    def hush(self) -> None:
        """Let go of good news that was said: it is about what the reader has left."""
        if not self.said[1] and not self.verbs.going:
            self.tell("")

    def look_now(self) -> None:
        """Look at everything at once, and not only when it is time."""
        if self._changes is not None:
            self._changes.wake()

    @work(group="verbs")
    async def _do_verb(self, verb: Verb, profile: str) -> None:
        await self.verbs.do(verb, profile)
        self.look_now()

    @work(group="orders")
    async def _order(self, going: str, work: Callable[[], str], done: Callable[[], None]) -> None:
        self.tell(f"◐ {going} …")
        try:
            said = await in_thread(work)
        except Exception as error:
            # The face stays up whatever an order meets; the sentence says what it was.
            self.tell(f"✕ {plain(str(error), 600) or type(error).__name__}", bad=True)
        else:
            self.tell(f"● {said}")
        done()
        self.look_now()

    def _operator(self) -> Operator:
        return self.installation.operator()

    def _say_verbs(self) -> None:
        self.tell(self.verbs.text(), bad=self.verbs.failed)

    def _tick(self) -> None:
        if self.verbs.going:
            self._say_verbs()

    # Looking

    @work(group="status", exclusive=True)
    async def _watch_status(self) -> None:
        """Look, show, wait: the looking is in a thread, so keys answer whatever it meets."""
        with contextlib.closing(InstallationChanges(self.installation.root)) as changes:
            self._changes = changes
            while True:
                try:
                    report = await in_thread(lambda: self._look(changes))
                except Exception as error:
                    # The face stays up and says it; the next look may succeed.
                    self.latest = unreadable(error, self.latest)
                else:
                    self._show(report)
                await asyncio.sleep(_GATHER)
                await changes.next(self._interval)

    def _look(self, changes: InstallationChanges) -> StatusReport:
        changes.arm()
        return self.installation.look()

    def _show(self, report: StatusReport) -> None:
        self.managed = report.supervisor != "none"
        self.latest = overview(report, self.latest, self.installation.clock(), self._meter)


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
