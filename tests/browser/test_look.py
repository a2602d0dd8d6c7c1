"""Every page looks right: in light and dark, on a desktop and on a phone, to people and to axe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Request, expect

from tests.integration.gateway.harness import Yard

from .conftest import Visit
from .looks import judge
from .world import Dashboard, make_profile, serving, write_log


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    root = tmp_path_factory.mktemp("home")
    yard = Yard(root, tmp_path_factory.mktemp("logs"))
    for name in ("default", "writer", "reviewer"):
        yard.profile(name)
    try:
        yard.start(yard.profile("coder")).ready()
        write_log(root, "coder", *(f"2026-11-21 13:{n:02}:00 the log's line {n}" for n in range(40)))
        with serving(root) as started:
            yield started
    finally:
        yard.end()


def test_the_overview(dashboard: Dashboard, visit: Visit) -> None:
    page = visit(dashboard.origin).open("/")
    page.get_by_text("● Live").wait_for()
    judge(page, "overview")


def test_an_empty_home(tmp_path: Path, stack: ExitStack, visit: Visit) -> None:
    dashboard = stack.enter_context(serving(tmp_path))
    judge(visit(dashboard.origin).open("/"), "overview-empty")


def test_fifty_profiles_arrive_in_less_than_a_hundred_kilobytes(
    tmp_path: Path, stack: ExitStack, visit: Visit
) -> None:
    for number in range(50):
        make_profile(tmp_path, f"profile-{number:02}", 8700 + number)
    visitor = visit(stack.enter_context(serving(tmp_path)).origin)
    asked: list[Request] = []
    visitor.context.on("requestfinished", lambda request: asked.append(request))
    page = visitor.open("/")
    page.get_by_text("profile-49").first.wait_for()
    page.get_by_text("● Live").wait_for()
    judge(page, "overview-fifty")
    sizes = {request.url: request.sizes()["responseBodySize"] for request in asked}
    assert {url.rpartition("/")[2] for url in sizes} >= {"", "app.css", "overview.js", "live.js"}
    assert sum(sizes.values()) < 100_000, sizes


def test_nothing_is_at_this_address(dashboard: Dashboard, visit: Visit) -> None:
    judge(visit(dashboard.origin).open("/nothing", status=404), "not-found")


def test_somebody_who_chooses_dark_keeps_it(dashboard: Dashboard, visit: Visit) -> None:
    visitor = visit(dashboard.origin, color_scheme="light")
    page = visitor.open("/")
    background = "() => getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    button = page.get_by_role("button", name="Colours:")
    expect(button).to_have_text("Colours: Auto")
    button.click()
    expect(button).to_have_text("Colours: Light")
    assert page.evaluate(background) == light
    button.click()
    expect(button).to_have_text("Colours: Dark")
    dark = page.evaluate(background)
    assert dark != light
    other = visitor.open("/profiles/coder/logs")
    assert other.evaluate(background) == dark
    button.click()
    expect(other.get_by_role("button", name="Colours:")).to_have_text("Colours: Auto")
    assert other.evaluate(background) == light
