"""Processes in a word or two, with the mark that says how that is to be taken."""

from __future__ import annotations

from collections.abc import Mapping

from hermes_cli.faces.overview import MARKS, Tone
from hermes_cli.faces.printable import plain

_PROCESS: Mapping[str, Tone] = {"running": "good", "exited": "idle", "killed": "idle", "lost": "bad"}


def process_tone(status: str, exit_code: int | None) -> Tone:
    """How a process is. What ended by itself with an exit code is bad."""
    return "bad" if status == "exited" and exit_code else _PROCESS.get(status, "bad")


def process_words(status: str, exit_code: int | None) -> str:
    """`● running`, `✕ exited 3`, `○ killed`."""
    words = f"{status} {exit_code}" if status == "exited" and exit_code is not None else status
    return f"{MARKS[process_tone(status, exit_code)]} {words}"


def one_line(text: str, limit: int = 400) -> str:
    """Several lines as one, safe to show."""
    return plain(" ".join(text[: 4 * limit].split()), limit)
