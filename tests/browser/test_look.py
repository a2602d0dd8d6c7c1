"""Every page looks right: in light and dark, on a desktop and on a phone, to people and to axe."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Visit
from .looks import judge
from .world import Dashboard, Yard, running, write_log


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    root = tmp_path_factory.mktemp("home")
    yard = Yard(root, tmp_path_factory.mktemp("logs"))
    for name in ("default", "coder", "writer", "reviewer"):
        yard.profile(name)
    try:
        yard.start(yard.profile("coder")).ready()
        write_log(
            root,
            "coder",
            "".join(f"2026-11-21 13:{n:02}:00 a line of the log, number {n}\n" for n in range(40)),
        )
        with running(root) as started:
            yield started
    finally:
        yard.end()


def test_the_overview(dashboard: Dashboard, visit: Visit) -> None:
    page = visit(f"http://127.0.0.1:{dashboard.port}").open("/")
    page.get_by_text("● Live").wait_for()
    judge(page, "overview")


def test_an_empty_home(tmp_path: Path, visit: Visit) -> None:
    with running(tmp_path) as dashboard:
        judge(visit(f"http://127.0.0.1:{dashboard.port}").open("/"), "overview-empty")


def test_sign_in(tmp_path: Path, visit: Visit) -> None:
    with running(tmp_path, HERMES_DASHBOARD_PASSWORD="pw") as dashboard:
        judge(visit(f"http://127.0.0.1:{dashboard.port}").open("/login"), "sign-in")
