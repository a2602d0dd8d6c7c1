"""The keys, explained."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

TEXT = """\
  ● ready, done  ◐ on its way  ✕ not as wanted  ○ down, as wanted

Everywhere
  ^p           the palette: everything there is, found by typing
  Tab, arrows  go around; Enter opens; Esc goes back; or the mouse
  T            light, dark, or the terminal's own colours
  ?            this help; any of ? Esc q closes it
  q, ^C        leave. Gateways, runs and processes go on.

A gateway, in the overview and on its profile's pages
  s   start it, and wait until it is ready; this ends parking too
  x   stop it          r   restart it
  1 … 6   its logs, processes, runs, chat, config, doctor
  c   create a profile          d   delete the chosen one

Logs and output
  f   follow, or stop following; PgUp and PgDn scroll, End follows
  /   search; n and N go from one place to the next

Processes   a attach (^] detaches)   w write a line   k kill
            e end of its input
Runs        a allow or deny  k cancel  t try again
Chat        n new  d delete.  In a conversation: Enter sends,
            ^j makes a new line, F2 allows or denies, F4 cancels
Config      Enter changes a setting
Doctor      l look again   m mend what can be mended

Parked means: down on purpose, after a wrong configuration or a
crash loop. The reason stands below the table; s tries again.
"""


class HelpScreen(ModalScreen[None]):
    """A box over everything else."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,escape,q", "dismiss", "close", key_display="?"),
    ]

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="box wide") as box:
            box.border_title = "Keys"
            yield Static(TEXT, markup=False)
