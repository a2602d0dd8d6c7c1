"""A real s6 for every test that asks for one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.integration.s6.tree import Tree, make_tree


@pytest.fixture
def tree(monkeypatch: pytest.MonkeyPatch) -> Iterator[Tree]:
    """A running tree of this uid, ended and removed afterwards."""
    if shutil.which("s6-svscan") is None:
        pytest.skip("s6 is not installed (Debian: apt-get install s6 execline)")
    made = make_tree(monkeypatch)
    try:
        made.begin()
        yield made
    finally:
        made.end()
        shutil.rmtree(made.base)
