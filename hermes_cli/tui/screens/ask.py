"""A line of text to be given."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static


class AskScreen(ModalScreen[str | None]):
    """Gives the line, or None where it was left with Esc."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "cancel")]

    def __init__(
        self,
        title: str,
        hint: str = "",
        *,
        value: str = "",
        check: Callable[[str], str] = lambda _text: "",
        optional: bool = False,
    ) -> None:
        """`check` says what is wrong with a line, or nothing. An empty line counts only if `optional`."""
        super().__init__()
        self._title, self._hint, self._value = title, hint, value
        self._check, self._optional = check, optional
        self._wrong = Static("", classes="wrong", markup=False)

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = Text(self._title)
            yield Static(Text(self._hint), classes="hint")
            yield Input(self._value, compact=True, select_on_focus=False)
            yield self._wrong
            yield Static(Text("Enter: go on · Esc: leave it"), classes="keys")

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        wrong = self._check(event.value) if event.value else ""
        self._wrong.update(Text(f"✕ {wrong}" if wrong else ""))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if not event.value and not self._optional:
            return
        wrong = self._check(event.value)
        if wrong:
            self._wrong.update(Text(f"✕ {wrong}"))
            self.app.bell()
        else:
            self.dismiss(event.value)
