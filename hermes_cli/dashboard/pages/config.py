"""A profile's config.yaml: its text, what is wrong with it, and a way to change it."""

from __future__ import annotations

import msgspec

from hermes_cli.dashboard.markup import Content, Html, el

from . import parts
from .shell import Place


class Fault(msgspec.Struct, frozen=True):
    """Something that is wrong. Safe to show."""

    line: int | None
    column: int | None
    key: str
    message: str


class ConfigView(msgspec.Struct, kw_only=True):
    """What the page shows. Texts are safe to show."""

    text: str
    version: str
    faults: list[Fault]
    warnings: list[str]
    path: str
    conflict: str | None = None
    """What is in the file by now, where somebody else has changed it since the text was looked at."""
    saved: bool = False


def config_page(place: Place, profile: str, view: ConfigView) -> Html:
    return parts.profile_page(
        place,
        profile,
        "Configuration",
        _saved(place, profile) if view.saved else None,
        _conflict(view) if view.conflict is not None else None,
        _faults(view),
        _editor(place, profile, view) if place.operator else _reading(view),
        el(
            "p",
            f"{view.path}; secrets are not here: they are in .env beside it, which is not shown.",
            class_="hint",
        ),
        script="config.js",
    )


def _saved(place: Place, profile: str) -> Html:
    return el(
        "div",
        el("p", "Saved. A gateway that runs goes on as it was: it reads its configuration when it starts."),
        parts.form(
            place, place.profile_url(profile, "restart"), parts.button("Restart the gateway"), stay=True
        )
        if place.operator
        else None,
        class_="notice",
        data_tone="good",
        role="status",
    )


def _conflict(view: ConfigView) -> Html:
    return el(
        "div",
        el(
            "p",
            "It was not saved: somebody has changed the file since you opened it. Below is your text; "
            "saving it again takes the place of what is in the file now:",
        ),
        el("pre", view.conflict, class_="terminal", tabindex=0),
        class_="notice",
        data_tone="bad",
        role="alert",
    )


def _faults(view: ConfigView) -> Content:
    return [
        # The role is the frame's: a list with another role has no items (WAI-ARIA 1.2, listitem).
        el(
            "div",
            el("ul", [el("li", _fault(fault)) for fault in view.faults], class_="problems"),
            role="alert",
        )
        if view.faults
        else None,
        el(
            "ul",
            [el("li", warning) for warning in view.warnings],
            class_="notice warnings",
            data_tone="busy",
        )
        if view.warnings
        else None,
    ]


def _fault(fault: Fault) -> Content:
    place = f"Line {fault.line}" if fault.line else ""
    place += f", column {fault.column}" if fault.line and fault.column else ""
    where: Content = el("a", place, href="#text", data_line=fault.line) if place else None
    key = el("code", fault.key) if fault.key else None
    pieces = [piece for piece in (where, key) if piece]
    return [*(part for piece in pieces for part in (piece, ": ")), fault.message]


def _editor(place: Place, profile: str, view: ConfigView) -> Html:
    return el(
        "form",
        el("input", type="hidden", name="csrf", value=place.csrf),
        parts.hidden("version", view.version),
        parts.field(
            "config.yaml",
            el(
                "textarea",
                # HTML takes one line break at the beginning for its own.
                f"\n{view.text}",
                id="text",
                name="text",
                rows=24,
                spellcheck="false",
                autocapitalize="off",
                autocomplete="off",
                class_="code",
                aria_invalid="true" if view.faults else None,
            ),
            "text",
        ),
        el("div", parts.button("Save", look="primary"), class_="actions"),
        method="post",
        action=place.profile_url(profile, "config"),
        id="editor",
    )


def _reading(view: ConfigView) -> Html:
    return el("pre", view.text, id="text", class_="terminal", tabindex=0)
