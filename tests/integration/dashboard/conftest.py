"""A root home with real gateways, and a dashboard over it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.dashboard.browser import Browser, Dashboard, running
from tests.integration.gateway.harness import Gateway, Yard


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


@pytest.fixture
def gateway(yard: Yard) -> Gateway:
    """The gateway of the profile `coder`, ready."""
    yard.profile()
    return yard.start(yard.profile("coder")).ready()


@pytest.fixture
def served(yard: Yard, gateway: Gateway) -> Iterator[Dashboard]:
    """A dashboard with the gateway of `coder` beside it."""
    with running(yard.root) as dashboard:
        yield dashboard


@pytest.fixture
def browser(served: Dashboard) -> Browser:
    return served.client()
