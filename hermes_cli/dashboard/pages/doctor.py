"""What `hermes doctor` finds, on a page."""

from __future__ import annotations

from hermes_cli.dashboard.markup import Content, Html, el
from hermes_cli.doctor import DoctorReport, Finding
from hermes_cli.faces.overview import Tone
from hermes_cli.faces.printable import plain, plain_text

from . import parts
from .shell import Place

_TONES: dict[str, tuple[Tone, str]] = {
    "ok": ("good", "ok"),
    "warning": ("busy", "warning"),
    "error": ("bad", "error"),
}
_MENDED: tuple[Tone, str] = ("good", "mended")
_ORDER = ("error", "warning", "ok")


def doctor_page(place: Place, profile: str, report: DoctorReport | None, at: float | None) -> Html:
    """`report`: None while it is still being looked. `at`: when it was, seconds since the epoch."""
    here = place.profile_url(profile, "doctor")
    return parts.profile_page(
        place,
        profile,
        "Doctor",
        el("p", "It looks at the whole installation, with every profile.", class_="hint"),
        parts.part("report", _report(place, here, report, at)),
        script="doctor.js",
    )


def _report(place: Place, here: str, report: DoctorReport | None, at: float | None) -> Content:
    again = el("a", "Look again", href=here, class_="button")
    if report is None:
        return el(
            "div",
            el("p", "It takes longer than usual; it is still being looked."),
            again,
            class_="notice",
            data_tone="busy",
            data_looking=True,
        )
    findings = sorted(report.findings, key=lambda one: (_ORDER.index(one.status), not one.fixed))
    fixable = sum(one.fixable and one.status != "ok" for one in findings)
    return [
        el(
            "p",
            summary(report),
            " ",
            parts.when(at),
            role="status",
            class_="summary",
            data_tone=_tone(report),
        ),
        el(
            "div",
            again,
            _mend(place, here, fixable) if fixable and place.operator else None,
            class_="tools",
        ),
        el("ul", [el("li", _finding(one), data_status=one.status) for one in findings], class_="findings"),
    ]


def _mend(place: Place, here: str, fixable: int) -> Html:
    things = "one of these" if fixable == 1 else f"{fixable} of these"
    question = f"It can mend {things} safely, as 'hermes doctor --fix' does, and looks again afterwards."
    return parts.confirmed(place, f"{here}/fix", "Mend…", question, "Mend it")


def _finding(one: Finding) -> Content:
    tone, word = _MENDED if one.fixed else _TONES[one.status]
    bad = one.status != "ok"
    return [
        parts.pill(tone, word),
        " ",
        plain(one.message, 1000),
        el("p", "→ ", plain(one.remedy, 1000), class_="note") if one.remedy and bad else None,
        el("pre", plain_text(one.detail), class_="message", tabindex=0) if one.detail and bad else None,
    ]


def summary(report: DoctorReport) -> str:
    """How many things are how, as one sentence."""
    errors = sum(one.status == "error" for one in report.findings)
    warnings = sum(one.status == "warning" for one in report.findings)
    mended = sum(one.fixed for one in report.findings)
    done = f"{_count(mended, 'thing')} mended, " if mended else ""
    return f"{done}{_count(errors, 'error')}, {_count(warnings, 'warning')}.".capitalize()


def _tone(report: DoctorReport) -> Tone:
    if not report.ok:
        return "bad"
    return "busy" if any(one.status == "warning" for one in report.findings) else "good"


def _count(number: int, word: str) -> str:
    return f"{number or 'no'} {word}{'' if number == 1 else 's'}"
