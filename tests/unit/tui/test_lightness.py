"""The first screen loads what it shows, and nothing of the pages behind it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from hermes_cli.tui.screens.profile import PAGES

TUI = Path(__file__).parents[3] / "hermes_cli" / "tui"

_LATER = (
    "hermes_cli.doctor",
    "hermes_cli.gateway.lifecycle",
    "hermes_cli.gateway.run_client",
    "hermes_cli.gateway.process_client",
    "hermes_cli.processes.environments",
    "hermes_cli.profiles",
    "hermes_cli.tui.pages.runs",
    "hermes_cli.tui.screens.conversation",
    "hermes_cli.tui.screens.profile",
    "ruamel",
    "starlette",
    "textual.widgets._text_area",
    "uvicorn",
)
"""Loaded when they are needed."""


def test_what_is_not_on_the_first_screen_is_not_loaded_for_it() -> None:
    script = f"import sys, hermes_cli.tui.app; print([name for name in {_LATER!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("kind", PAGES, ids=lambda kind: kind.title)
def test_every_page_can_be_loaded_by_its_name(kind: object) -> None:
    from importlib import import_module

    module, name = kind.module, kind.name  # type: ignore[attr-defined]
    assert hasattr(import_module(f"hermes_cli.tui.pages.{module}"), name)


def test_no_thread_is_joined_at_the_end() -> None:
    """Textual's thread workers and asyncio's executor are waited for: what may block goes to `in_thread`."""
    for file in TUI.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            words = [node.attr] if isinstance(node, ast.Attribute) else []
            words += [one.arg or "" for one in node.keywords] if isinstance(node, ast.Call) else []
            assert not {"to_thread", "run_in_executor", "thread"} & set(words), f"{file.name}: {words}"
