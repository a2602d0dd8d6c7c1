"""A root home whose gateways end with the test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .harness import Yard


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    if sys.platform != "linux":
        pytest.skip("gateways are tested as processes on Linux")
    root, logs = tmp_path / "home", tmp_path / "output"
    root.mkdir()
    logs.mkdir()
    made = Yard(root, logs)
    try:
        yield made
    finally:
        made.end()
