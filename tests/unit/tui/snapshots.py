"""Screens as text files: what a person would see, compared as a whole.

UPDATE_SNAPSHOTS=1 writes them anew; look at the difference before you commit it.
"""

from __future__ import annotations

import asyncio
import difflib
import os
from pathlib import Path

from textual.pilot import Pilot

from hermes_cli import __version__
from tests.unit.tui.stage import PATIENCE, screen

DIRECTORY = Path(__file__).with_name("screens")
_STILL = 20
"""So many looks at the same screen make it one that stands still."""


async def assert_looks(pilot: Pilot[None], name: str) -> None:
    """Wait until the screen is as its file says; fail with the difference, and for what a terminal obeys."""
    path = DIRECTORY / f"{name}-{pilot.app.size.width}x{pilot.app.size.height}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        DIRECTORY.mkdir(exist_ok=True)
        path.write_text(await _when_still(pilot))
        return
    wanted = path.read_text()
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while (seen := _text(pilot)) != wanted:
        if asyncio.get_running_loop().time() > deadline:
            lines = difflib.unified_diff(
                wanted.splitlines(), seen.splitlines(), path.name, "screen", lineterm=""
            )
            raise AssertionError("\n".join(["UPDATE_SNAPSHOTS=1 writes it anew", *lines]))
        await pilot.pause(0.02)


async def _when_still(pilot: Pilot[None]) -> str:
    seen, times = "", 0
    while times < _STILL:
        await pilot.pause(0.03)
        now = _text(pilot)
        seen, times = now, times + 1 if now == seen else 0
    return seen


def _text(pilot: Pilot[None]) -> str:
    seen = screen(pilot)
    assert all(line.isprintable() for line in seen.split("\n")), repr(seen)
    seen = seen.replace(f"Hermes {__version__}", "Hermes VERSION")
    return "\n".join(line.rstrip() for line in seen.split("\n")) + "\n"
