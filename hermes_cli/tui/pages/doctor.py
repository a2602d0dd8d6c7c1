"""What `hermes doctor` finds in the whole installation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from hermes_cli.doctor import DoctorReport, Finding, diagnose
from hermes_cli.faces.overview import Tone
from hermes_cli.faces.printable import plain, plain_text
from hermes_cli.tui.here import hermes
from hermes_cli.tui.installation import Installation
from hermes_cli.tui.widgets.gateway_table import STYLES
from hermes_cli.tui.widgets.record_table import Column, Record
from hermes_cli.tui.words import one_line

from .page import ListPage

_COLUMNS = (
    Column("status", "status", least=9),
    Column("id", "check", most=26),
    Column("message", "what was found", gives_way=True, least=20),
)
_TONES: Mapping[str, Tone] = {"error": "bad", "warning": "busy", "ok": "good"}
_MARKS: Mapping[str, str] = {"error": "✕ error", "warning": "▲ warning", "ok": "● ok"}


class DoctorPage(ListPage[DoctorReport]):
    """The worst first. All profiles are looked at: one port, or one disk, is everybody's."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l", "look", "look again"),
        Binding("m", "mend", "mend"),
    ]

    interval = None

    def __init__(self, installation: Installation, profile: str) -> None:
        super().__init__(installation, profile, _COLUMNS, "◐ looking at everything …")

    def ask(self) -> DoctorReport:
        found = diagnose(self.installation.root, self.installation.manager())
        found.findings.sort(key=lambda one: list(_TONES).index(one.status))
        return found

    def records(self, answer: DoctorReport) -> Sequence[Record]:
        # By number: nothing keeps two findings from the same name.
        return [_record(str(number), finding) for number, finding in enumerate(answer.findings)]

    def note(self, answer: DoctorReport, key: str | None) -> str:
        if key is None:
            return ""
        finding = answer.findings[int(key)]
        lines = [plain(finding.message, 600), plain(finding.remedy, 600), plain_text(finding.detail)]
        if finding.fixable and finding.status != "ok":
            lines.append("m mends this.")
        return "\n".join(line for line in lines if line)

    def open(self, key: str) -> None:
        pass  # all of it stands below the table

    def action_look(self) -> None:
        hermes(self).tell("◐ looking at everything …")
        self.look_now()

    def action_mend(self) -> None:
        from hermes_cli.tui.screens.question import NO, Answer, QuestionScreen

        fixable = [one for one in self.answer.findings if one.fixable] if self.answer is not None else []
        if not fixable:
            hermes(self).tell("○ there is nothing that can be mended by itself")
            return
        text = "\n".join(f"{plain(one.id, 60)}: {plain(one.message, 200)}" for one in fixable)
        question = QuestionScreen("Mend what can be mended?", text, NO, Answer("y", "Mend it"))
        self.app.push_screen(question, lambda answer: self._mend() if answer == "y" else None)

    def _mend(self) -> None:
        def work() -> str:
            report = diagnose(self.installation.root, self.installation.manager(), fix=True)
            mended = sum(finding.fixed for finding in report.findings)
            return f"{mended} of what was found is mended"

        hermes(self).order("mending", work, self.look_now)


def _record(key: str, finding: Finding) -> Record:
    cells = {
        "status": _MARKS[finding.status],
        "id": plain(finding.id, 80),
        "message": one_line(finding.message),
    }
    return Record(key, cells, {"status": STYLES[_TONES[finding.status]]})
