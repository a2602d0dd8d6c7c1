"""A question with a few answers, each a key and a button."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import Button, Static


class Answer(NamedTuple):
    key: str
    words: str


NO = Answer("n", "No")


class QuestionScreen(ModalScreen[str | None]):
    """Gives the key of the answer, or None where it was left with Esc."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "leave it"),
        Binding("left,up", "app.focus_previous", show=False),
        Binding("right,down", "app.focus_next", show=False),
    ]

    def __init__(self, title: str, text: str, *answers: Answer) -> None:
        """`text` may have several lines. All is safe to show. The first answer is chosen first: Enter must
        do no harm."""
        super().__init__()
        self._title, self._text, self._answers = title, text, answers

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = Text(self._title)
            with VerticalScroll(can_focus=False):
                yield Static(Text(self._text))
            with Horizontal(classes="buttons"):
                for answer in self._answers:
                    yield Button(
                        Text(f"{answer.key}: {answer.words}"), id=f"answer-{answer.key}", compact=True
                    )

    def on_mount(self) -> None:
        self.query(Button).first().focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss((event.button.id or "").removeprefix("answer-"))

    def on_key(self, event: Key) -> None:
        if event.key in self._keys:
            event.stop()
            self.dismiss(event.key)

    @property
    def _keys(self) -> Sequence[str]:
        return [answer.key for answer in self._answers]
