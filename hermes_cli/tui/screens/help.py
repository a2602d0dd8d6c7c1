"""The keys, explained."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

TEXT = """\
The table shows what is wanted of each gateway and what it does.
  ● ready   ◐ on its way   ✕ not as wanted   ○ down, as wanted

  up, down     choose a gateway; its log is below
  s            start it, and wait until it is ready
  x            stop it, and wait until it is down
  r            restart it
  f            follow the log, or stop following
  Tab          go to the log and back; PgUp and PgDn scroll it
  ?            this help; any of ? Esc q closes it
  q, ^C        leave. Gateways go on, and so does what was asked for.

Parked means: down on purpose, after a wrong configuration or a
crash loop. The reason stands below the table; s tries again.
"""


class HelpScreen(ModalScreen[None]):
    """A box over everything else."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,escape,q", "dismiss", "close", key_display="?"),
    ]

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help") as box:
            box.border_title = "Keys"
            yield Static(TEXT, markup=False)
