"""What every screen has: a title, what is said of orders, the keys below, and the verbs on a gateway."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Footer

from hermes_cli.faces.overview import Overview, Row
from hermes_cli.faces.verbs import Verb
from hermes_cli.tui.here import hermes
from hermes_cli.tui.installation import Installation
from hermes_cli.tui.widgets.lines import SaidLine, TitleLine


class HermesScreen(Screen[None]):
    """Fills the terminal."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "verb('start')", "start"),
        Binding("x", "verb('stop')", "stop"),
        Binding("r", "verb('restart')", "restart"),
    ]

    def __init__(self, installation: Installation) -> None:
        super().__init__()
        self.installation = installation
        # Kept, not queried for: a query would be answered by the screen in front.
        self.title_line = TitleLine()
        self.said_line = SaidLine()

    @property
    def profile(self) -> str | None:
        """Which gateway the verbs are for."""
        raise NotImplementedError

    def body(self) -> Iterable[Widget]:
        """What is between the title and what is said."""
        raise NotImplementedError

    def show_status(self, latest: Overview) -> None:
        """Show what has been seen of the whole installation."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        yield self.title_line
        yield from self.body()
        yield self.said_line
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        app = hermes(self)
        self.watch(app, "latest", self._take_status)
        self.watch(app, "said", self._take_said)

    def action_verb(self, verb: Verb) -> None:
        if self.profile is not None:
            hermes(self).do_verb(verb, self.profile)

    def _take_status(self, latest: Overview | None) -> None:
        if latest is not None and self.is_attached:
            self.show_status(latest)

    def _take_said(self, said: tuple[str, bool]) -> None:
        if self.is_attached:
            self.said_line.say(said[0], bad=said[1])

    def row(self, latest: Overview) -> Row | None:
        """What is known of this screen's gateway."""
        return next((row for row in latest.rows if row.profile == self.profile), None)


class InnerScreen(HermesScreen):
    """A screen over the overview, about one profile or something of it. Esc goes back."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "back"),
        *(
            Binding(key, f"verb('{verb}')", show=False)
            for key, verb in (("s", "start"), ("x", "stop"), ("r", "restart"))
        ),
    ]

    def __init__(self, installation: Installation, profile: str) -> None:
        super().__init__(installation)
        self._profile = profile

    @property
    def profile(self) -> str:
        return self._profile

    def action_back(self) -> None:
        hermes(self).hush()
        self.dismiss()
