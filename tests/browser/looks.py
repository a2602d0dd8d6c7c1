"""A page in light and dark, on a desktop and on a phone: pictured, measured, and judged by axe."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

from playwright.sync_api import Page

from . import axe

PICTURES = Path(__file__).resolve().parents[2] / "artifacts/screenshots"


class Look(NamedTuple):
    """How a page is shown; sizes in CSS pixels."""

    scheme: Literal["light", "dark"]
    device: str
    width: int
    height: int


LOOKS = [
    Look(scheme, device, width, height)
    for scheme in ("light", "dark")
    for device, width, height in (("desktop", 1280, 800), ("phone", 390, 844))
]

_TOO_WIDE = """() => [...document.querySelectorAll('body *')].filter((element) =>
  element.getBoundingClientRect().right > document.documentElement.clientWidth + 1
  && element.getClientRects().length && !element.closest('.nav, .scroll'))
  .slice(0, 5).map((element) => element.outerHTML.slice(0, 150))"""


def judge(page: Page, name: str, *, script: bool = True) -> None:
    """Keep a picture of `page` as it is in every look; fail if it is wider than the screen or axe objects.

    `script` is False where scripts are off: axe is one.
    """
    PICTURES.mkdir(parents=True, exist_ok=True)
    before = page.viewport_size
    for look in LOOKS:
        page.set_viewport_size({"width": look.width, "height": look.height})
        page.emulate_media(color_scheme=look.scheme)
        page.evaluate("() => scrollTo(0, 0)")
        page.screenshot(path=PICTURES / f"{name}-{look.device}-{look.scheme}.png", full_page=True)
        if page.evaluate(
            "() => document.scrollingElement.scrollWidth > document.documentElement.clientWidth"
        ):
            raise AssertionError(f"{name} is wider than a {look.device}: {page.evaluate(_TOO_WIDE)}")
        if script and axe.SOURCE.exists():
            rules = () if look.scheme == "light" else axe.COLOURS
            assert not (found := axe.grave_violations(page, *rules)), (name, look, found)
    if before is not None:
        page.set_viewport_size(before)
