"""The stylesheet's colours can be told apart: WCAG 2.2, 1.4.3 (text) and 1.4.11 (edges of fields)."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

CSS = (files("hermes_cli.dashboard") / "static/app.css").read_text(encoding="utf-8")

TEXT = 4.5
"""The least contrast of text with what is behind it, level AA."""
EDGE = 3.0
"""The least contrast of what tells a field or a focused element from what is around it."""

TONES = ("good", "busy", "bad", "idle")
PAIRS = [
    *((name, ground, TEXT) for name in ("text", "soft", "accent") for ground in ("page", "card", "sunk")),
    *((name, ground, TEXT) for name in TONES for ground in ("page", "card", f"{name}-bg")),
    *(("text", f"{name}-bg", TEXT) for name in (*TONES, "accent")),
    ("soft", "accent-bg", TEXT),
    ("accent", "accent-bg", TEXT),
    ("on-accent", "accent", TEXT),
    *((name, "pane", TEXT) for name in ("pane-text", "pane-soft", "pane-mark")),
    ("pane-ink", "pane-mark", TEXT),
    *(("edge", ground, EDGE) for ground in ("page", "card")),
]


def colours(scheme: int) -> dict[str, str]:
    """Each custom property that is a colour: six hexadecimal digits. `scheme` is 0 for light, 1 for dark."""
    found: dict[str, str] = {}
    for name, value in re.findall(r"--([a-z-]+): ([^;]+);", CSS):
        hexes = re.findall(r"#([0-9a-f]{6})\b", value)
        if re.fullmatch(r"light-dark\(#[0-9a-f]{6}, #[0-9a-f]{6}\)|#[0-9a-f]{6}", value):
            found[name] = hexes[min(scheme, len(hexes) - 1)]
    return found


def luminance(colour: str) -> float:
    """Relative luminance of sRGB, as WCAG 2.2 defines it."""
    channels = [int(colour[index : index + 2], 16) / 255 for index in (0, 2, 4)]
    red, green, blue = ((c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4) for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_the_measure_is_wcags() -> None:
    assert contrast("000000", "ffffff") == pytest.approx(21)
    assert contrast("777777", "ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_what_stands_on_what_can_be_read(scheme: int) -> None:
    known = colours(scheme)
    weak = {
        f"{name} on {ground}": round(contrast(known[name], known[ground]), 2)
        for name, ground, least in PAIRS
        if contrast(known[name], known[ground]) < least
    }
    assert not weak


def test_every_colour_has_a_name() -> None:
    rules = CSS[CSS.index("/* ---- ground */") :]
    assert not re.findall(r"#[0-9a-f]{3,8}\b|\brgba?\(|\bhsla?\(", rules)


def test_the_stylesheet_stays_small_and_fetches_nothing_from_elsewhere() -> None:
    assert len(CSS.encode()) < 20_000
    assert set(re.findall(r"url\(([^)]*)\)", CSS)) <= {"icon.svg"}
    assert "@import" not in CSS
    assert CSS.count("!important") <= 2
