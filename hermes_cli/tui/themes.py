"""Light, dark, or the terminal's own colours; and what a terminal without colours gets."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .app import HermesApp

VARIABLE = "HERMES_THEME"
"""`dark`, `light` or `terminal`: the theme to begin with."""

_NAMES = {"dark": "textual-dark", "light": "textual-light", "terminal": "ansi-dark"}
_FULL = ("truecolor", "256")
"""What rich calls terminals whose colours are enough for a theme."""


def ansi_alone() -> bool | None:
    """What to tell Textual before it decides what no colours (no-color.org) mean: none at all, not greys."""
    return True if "NO_COLOR" in os.environ else None


def prepare(app: HermesApp) -> None:
    """Choose the theme to begin with: the one asked for, else one that the terminal can show.

    The terminal's own colours follow whatever it is set to, light or dark, and work with 16 or with none.
    """
    asked = os.environ.get(VARIABLE, "")
    capable = app.console.color_system in _FULL and not app.no_color
    app.theme = _NAMES[asked] if asked in _NAMES and capable else _NAMES["dark" if capable else "terminal"]


def switch(app: HermesApp) -> None:
    """The next theme."""
    names = list(_NAMES.values())
    following = names[(names.index(app.theme) + 1) % len(names)] if app.theme in names else names[0]
    app.theme = following
    said = next(word for word, name in _NAMES.items() if name == following)
    app.tell("● the theme is the terminal's own" if said == "terminal" else f"● the theme is {said}")
