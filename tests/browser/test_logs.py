"""A gateway's log in the browser: it comes as it is written, is searched, downloaded, and only ever text."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from hermes_cli.home import Home
from tests.integration.gateway.harness import until

from .conftest import Visit
from .counted import AWAY, assert_whole, lines
from .looks import judge
from .world import DEADLINE, Dashboard, make_profile, serving, write_log

HOSTILE = (
    "<img src=x onerror=alert(1)></div><script>alert(2)</script>\x1b[31mred\x1b]0;taken\x07\u202e"
    + "x" * 5000
)
PAGE = "/profiles/coder/logs"


@pytest.fixture
def dashboard(tmp_path: Path) -> Iterator[Dashboard]:
    root = tmp_path / "home"
    root.mkdir()
    make_profile(root, "coder")
    with serving(root) as started:
        yield started


def count(dashboard: Dashboard, first: int, last: int) -> None:
    write_log(dashboard.root, "coder", *(f"line {number}" for number in range(first, last + 1)))


def test_an_empty_log_says_how_to_fill_it_and_does_so_live(dashboard: Dashboard, visit: Visit) -> None:
    page = visit(dashboard.origin).open(PAGE)
    expect(page.get_by_text("hermes -p coder gateway start")).to_be_visible()
    judge(page, "log-empty")
    count(dashboard, 1, 1)
    expect(page.get_by_role("log")).to_have_text("line 1")
    expect(page.locator("#log-empty")).to_be_hidden()


def test_it_follows_until_somebody_scrolls_up(dashboard: Dashboard, visit: Visit) -> None:
    count(dashboard, 1, 150)
    page = visit(dashboard.origin).open(PAGE)
    expect(page.locator("#live")).to_have_text("● Live")
    expect(page.get_by_text("line 150", exact=True)).to_be_in_viewport()
    count(dashboard, 151, 160)
    expect(page.get_by_text("line 160", exact=True)).to_be_in_viewport()
    judge(page, "log")
    page.locator("#lines").evaluate("(pane) => { pane.scrollTop = 0; }")
    expect(page.get_by_label("Follow")).not_to_be_checked()
    count(dashboard, 161, 170)
    expect(page.get_by_text("line 170", exact=True)).to_have_count(1)
    expect(page.get_by_text("line 170", exact=True)).not_to_be_in_viewport()
    page.get_by_label("Follow").check()
    expect(page.get_by_text("line 170", exact=True)).to_be_in_viewport()
    assert_whole(page, "#lines")


def test_nothing_is_missed_or_doubled_while_the_dashboard_is_away(dashboard: Dashboard, visit: Visit) -> None:
    visitor = visit(dashboard.origin)
    visitor.expects(AWAY)
    count(dashboard, 1, 20)
    page = visitor.open(PAGE)
    expect(page.locator("#live")).to_have_text("● Live")
    for first in (21, 41, 61):
        count(dashboard, first, first + 9)
        dashboard.end()
        count(dashboard, first + 10, first + 19)
        expect(page.locator("#live")).to_contain_text("Reconnecting")
        dashboard.start()
    until("all lines", lambda: len(lines(page, "#lines")) >= 80, within=DEADLINE)
    assert_whole(page, "#lines")


def test_it_is_searched_and_says_what_is_no_expression(dashboard: Dashboard, visit: Visit) -> None:
    count(dashboard, 1, 3000)
    visitor = visit(dashboard.origin)
    visitor.expects("status of 400")
    page = visitor.open(PAGE)
    page.get_by_label("Search the whole log").fill("line 29")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="Found in")).to_contain_text("of 3000")
    expect(page.locator("mark").first).to_have_text("line 29")
    judge(page, "log-search")
    page.get_by_label("Search the whole log").fill("line [")
    page.get_by_label("Regular expression").check()
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("alert")).to_be_visible()
    judge(page, "log-search-refused")
    page.get_by_role("link", name="Follow the log").click()
    expect(page.get_by_text("line 3000", exact=True)).to_be_in_viewport()


def test_it_is_downloaded_whole(dashboard: Dashboard, visit: Visit, tmp_path: Path) -> None:
    count(dashboard, 1, 3000)
    page = visit(dashboard.origin).open(PAGE)
    with page.expect_download() as started:
        page.get_by_role("link", name="Download").click()
    started.value.save_as(tmp_path / "log")
    assert (tmp_path / "log").read_text() == "".join(f"line {n}\n" for n in range(1, 3001))


def test_hostile_lines_are_only_text(dashboard: Dashboard, visit: Visit) -> None:
    write_log(dashboard.root, "coder", HOSTILE)
    page = visit(dashboard.origin).open(PAGE)
    log = page.get_by_role("log")
    expect(log).to_contain_text("<script>alert(2)</script>")
    write_log(dashboard.root, "coder", HOSTILE, "last")
    expect(log.get_by_text("last", exact=True)).to_be_visible()
    assert log.locator(":scope > :not(.line), .line > *").count() == 0
    assert "\x1b" not in log.inner_text()
    assert "\u202e" not in log.inner_text()
    judge(page, "log-hostile")


def test_a_page_whose_profile_was_deleted_elsewhere_says_so(dashboard: Dashboard, visit: Visit) -> None:
    visitor = visit(dashboard.origin)
    visitor.expects(f"{AWAY}|status of 404")
    page = visitor.open(PAGE)
    expect(page.locator("#live")).to_have_text("● Live")
    shutil.rmtree(Home.of("coder", dashboard.root).path)
    dashboard.end()
    dashboard.start()
    expect(page.locator("#live")).to_have_text("✕ Deleted: what this page shows is no more")
