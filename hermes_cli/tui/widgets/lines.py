"""Lines of text around what a screen shows: its title, what is said of orders, why nothing can be had."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from hermes_cli.faces.reach import Reach


class TitleLine(Static):
    """What the screen is about, first of all."""

    def __init__(self) -> None:
        super().__init__("", markup=False)

    def show(self, title: str, rest: str = "", *, bad: bool = False) -> None:
        """Show both, which are safe to show."""
        self.set_class(bad, "-bad")
        self.update(Text.assemble((title, "bold"), "  " if rest else "", rest, no_wrap=True))


class SaidLine(Static):
    """What is under way, and how the last order ended. Not there where there is nothing to say."""

    def __init__(self) -> None:
        super().__init__("", markup=False)
        self.display = False

    def say(self, text: str, *, bad: bool) -> None:
        self.update(Text(text))
        self.set_class(bad, "-bad")
        self.display = bool(text)


class NoteLine(Static):
    """What else is to be known of what is chosen. Not there where there is nothing."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("", markup=False, id=id)
        self.display = False

    def show(self, text: str) -> None:
        self.update(Text(text))
        self.display = bool(text)


class ReachLine(Static):
    """Why the gateway cannot be asked, and the next step. Not there where it answers."""

    def __init__(self) -> None:
        super().__init__("", markup=False)
        self.display = False

    def show(self, reach: Reach) -> None:
        mark = "◐" if reach.state == "slow" else "✕"
        words = f"{mark} {reach.sentence} {reach.next_step}".strip()
        if reach.code in ("stopped", "parked"):
            words += " Here: press s."
        self.update(Text(words))
        self.display = reach.state != "ok"
