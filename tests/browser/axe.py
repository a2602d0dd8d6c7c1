"""axe-core's judgement of a page."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

SOURCE = Path(__file__).resolve().parents[2] / ".venv/axe-core-4.14.1/package/axe.min.js"
"""Where scripts/ensure-browser puts it."""

GRAVE = ("serious", "critical")

_RUN = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations.map(
  (found) => [found.impact, found.id, found.help, found.nodes.map((node) => node.target.join(' ') + ': '
    + node.failureSummary).slice(0, 5)])"""


@cache
def _source() -> str:
    return SOURCE.read_text(encoding="utf-8")


def grave_violations(page: Page) -> list[Any]:
    """What axe finds serious or critical on `page`: impact, rule, meaning, and up to five places of each."""
    page.evaluate(f"() => {{ if (!window.axe) {{ {_source()} }} }}")
    return [found for found in page.evaluate(_RUN) if found[0] in GRAVE]
