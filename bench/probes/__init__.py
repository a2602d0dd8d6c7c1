"""Programs that measure inside a container; their sources are handed to the image's own Python."""

from __future__ import annotations

from pathlib import Path


def source(name: str) -> str:
    """The source of the probe `name`."""
    return Path(__file__).with_name(f"{name}.py").read_text("utf-8")
