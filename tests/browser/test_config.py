"""Configuration and doctor in the browser: nothing invalid is saved, and it says what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from hermes_cli.home import Home

from .conftest import Visit
from .looks import judge
from .world import Dashboard, make_profile, serving

PAGE = "/profiles/coder/config"


@pytest.fixture
def dashboard(tmp_path: Path) -> Iterator[Dashboard]:
    root = tmp_path / "home"
    root.mkdir()
    make_profile(root, "coder")
    with serving(root) as started:
        yield started


def test_what_is_wrong_is_told_with_its_line_and_not_saved(dashboard: Dashboard, visit: Visit) -> None:
    visitor = visit(dashboard.origin)
    visitor.expects("status of 4..")
    page = visitor.open(PAGE)
    judge(page, "config")
    text = page.get_by_label("config.yaml")
    expect(text).to_have_value("gateway:\n  port: 8700\n")
    text.fill("gateway:\n  port: </textarea><img src=x onerror=alert(1)>\n")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("Line 2")
    expect(text).to_have_value("gateway:\n  port: </textarea><img src=x onerror=alert(1)>\n")
    assert page.locator("main img").count() == 0
    judge(page, "config-refused")
    assert "8700" in Home.of("coder", dashboard.root).config.read_text()
    page.get_by_role("link", name="Line 2").click()
    expect(text).to_be_focused()


def test_what_is_right_is_saved(dashboard: Dashboard, visit: Visit) -> None:
    page = visit(dashboard.origin).open(PAGE)
    page.get_by_label("config.yaml").fill("# mine\ngateway:\n  port: 8711\n")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").filter(has_text="Saved")).to_be_visible()
    judge(page, "config-saved")
    assert Home.of("coder", dashboard.root).config.read_text() == "# mine\ngateway:\n  port: 8711\n"


def test_two_people_do_not_write_over_each_other(dashboard: Dashboard, visit: Visit) -> None:
    visitor = visit(dashboard.origin)
    visitor.expects("status of 409")
    page = visitor.open(PAGE)
    Home.of("coder", dashboard.root).config.write_text("gateway:\n  port: 8722\n")
    page.get_by_label("config.yaml").fill("gateway:\n  port: 8733\n")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("8722")
    judge(page, "config-conflict")
    assert "8722" in Home.of("coder", dashboard.root).config.read_text()


def test_the_doctor_says_how_it_is(dashboard: Dashboard, visit: Visit) -> None:
    page = visit(dashboard.origin).open("/profiles/coder/doctor")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    judge(page, "doctor")
