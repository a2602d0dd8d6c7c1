"""A profile's settings, each changed after a look at whether it can be so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from hermes_cli.config import KEYS, ConfigError, Inspection
from hermes_cli.faces.config_file import check_file
from hermes_cli.faces.printable import plain
from hermes_cli.tui.here import hermes
from hermes_cli.tui.installation import Installation
from hermes_cli.tui.widgets.record_table import Column, Record
from hermes_cli.tui.words import one_line

from .page import ListPage

_COLUMNS = (
    Column("key", "setting"),
    Column("source", "from"),
    Column("value", "value", gives_way=True, least=20),
)


class ConfigPage(ListPage[Inspection]):
    """What is in force, and where it comes from."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("l", "look", "read again")]

    interval = None

    def __init__(self, installation: Installation, profile: str) -> None:
        super().__init__(installation, profile, _COLUMNS, "")

    def ask(self) -> Inspection:
        return check_file(self.installation.home(self.profile))

    def records(self, answer: Inspection) -> Sequence[Record]:
        wrong = {error.key for error in answer.errors}
        return [
            Record(
                key,
                {
                    "key": f"✕ {key}" if key in wrong else key,
                    "source": answer.sources[key],
                    "value": one_line(str(answer.values[key])),
                },
                {"key": "red"} if key in wrong else {},
            )
            for key in KEYS
        ]

    def note(self, answer: Inspection, key: str | None) -> str:
        lines = [f"{key}: {KEYS[key].expected}"] if key is not None else []
        lines += [f"✕ {plain(str(error), 400)}" for error in answer.errors]
        lines += [plain(warning, 400) for warning in answer.warnings]
        return "\n".join(lines)

    def action_look(self) -> None:
        self.look_now()

    def open(self, key: str) -> None:
        from hermes_cli.tui.screens.ask import AskScreen

        if self.answer is None:
            return
        home = self.installation.home(self.profile)
        value = plain(str(self.answer.values[key]))
        hint = f"{KEYS[key].expected}. It is written to {plain(str(home.config), 200)}; comments there stay."
        question = AskScreen(key, hint, value=value, check=lambda text: self._wrong(key, text), optional=True)
        self.app.push_screen(question, lambda text: self._set(key, text))

    def _wrong(self, key: str, text: str) -> str:
        from hermes_cli.config.editing import parse_value

        try:
            parse_value(key, text, self.installation.home(self.profile).config)
        except ConfigError as error:
            return plain(error.message, 400)
        return ""

    def _set(self, key: str, text: str | None) -> None:
        if text is None:
            return

        def work() -> str:
            from hermes_cli.config.editing import parse_value, set_value
            from hermes_cli.profiles import check_port
            from hermes_cli.profiles.lock import profiles_lock

            root, home = self.installation.root, self.installation.home(self.profile)
            value = parse_value(key, text, home.config)
            with profiles_lock(root):
                if key == "gateway.port" and isinstance(value, int):
                    check_port(home.profile, value, root)
                set_value(home, key, value)
            return f"{key} is {plain(str(value), 200)} now; a running gateway reads it when it restarts (r)"

        hermes(self).order(f"setting {key}", work, self.look_now)
