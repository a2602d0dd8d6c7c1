"""A home for runs, and nothing left running of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hermes_cli.processes.registry import Registry


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "home"
    path.mkdir()
    yield path
    Registry(path / "processes").kill_all(grace=0.2)
