"""axe-core's judgement of a page."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

SOURCE = Path(__file__).resolve().parents[2] / ".venv/axe-core-4.14.1/package/axe.min.js"
"""Where scripts/ensure-browser puts it."""

GRAVE = ("serious", "critical")

COLOURS = ("color-contrast", "link-in-text-block")
"""The rules whose answer another colour scheme changes."""

_RUN = """async (rules) => (await axe.run(document, {
    resultTypes: ['violations'], ...(rules.length ? {runOnly: {type: 'rule', values: rules}} : {})
  })).violations.map((found) => [found.impact, found.id, found.help,
    found.nodes.map((node) => node.target.join(' ') + ': ' + node.failureSummary).slice(0, 5)])"""


@cache
def _source() -> str:
    return SOURCE.read_text(encoding="utf-8")


def grave_violations(page: Page, *rules: str) -> list[Any]:
    """What axe finds serious or critical on `page`: impact, rule, meaning, and up to five places of each.

    It goes by `rules`, or by all of its own.
    """
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(f"() => {{ {_source()} }}")
    return [found for found in page.evaluate(_RUN, list(rules)) if found[0] in GRAVE]
