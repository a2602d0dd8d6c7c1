"""What a supervisor does, from the browser: start, stop, restart, unpark, create, delete."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.docker.containers import wait_for

from .conftest import Visit
from .container import PASSWORD, Installation, NoImageError, installed
from .looks import judge

PARK_TIMEOUT = 60


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    try:
        with installed({"default": 8642, "coder": 8643, "writer": 8644, "reviewer": 8645}) as made:
            yield made
    except NoImageError as error:
        pytest.fail(str(error))


@pytest.fixture
def page(installation: Installation, visit: Visit) -> Page:
    """The overview, seen by the operator."""
    page = visit(installation.origin).open("/")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#live")).to_have_text("● Live")
    return page


def row(page: Page, profile: str) -> Locator:
    return page.locator(f'tr[data-service="gateway-{profile}"]')


def press(page: Page, verb: str, profile: str) -> None:
    row(page, profile).get_by_role("button", name=f"{verb} {profile}").click()


def test_a_gateway_is_stopped_started_and_restarted(installation: Installation, page: Page) -> None:
    coder = row(page, "coder")
    expect(coder).to_have_attribute("data-tone", "good")
    press(page, "Stop", "coder")
    expect(coder.locator('[data-f="actual"]')).to_have_text("down")
    expect(coder).to_have_attribute("data-tone", "idle")
    slot = installation.box.gateway("coder")
    assert slot is not None
    assert not slot.up
    expect(page.locator("#said")).to_contain_text("coder")
    judge(page, "overview-stopped")
    press(page, "Start", "coder")
    expect(coder.locator('[data-f="actual"]')).to_have_text("ready")
    before = installation.box.ready("coder").pid
    press(page, "Restart", "coder")
    installation.box.ready("coder", not_pid=before)
    expect(page.locator("#said")).to_contain_text("is ready again")


def test_the_keyboard_stops_and_starts_and_stays_where_it_is(page: Page) -> None:
    coder = row(page, "coder")
    coder.get_by_role("button", name="Stop coder").focus()
    for key, state, following in (("Enter", "down", "Start coder"), ("Space", "ready", "Stop coder")):
        page.keyboard.press(key)
        expect(coder.locator('[data-f="actual"]')).to_have_text(state)
        expect(coder.get_by_role("button", name=following)).to_be_focused()


def test_a_parked_gateway_says_why_and_is_unparked(installation: Installation, page: Page) -> None:
    box = installation.box
    writer = row(page, "writer")
    box.put("/opt/data/profiles/writer/config.yaml", "gateway: [\n", uid=10000)
    box.signal(box.ready("writer").pid)
    expect(writer.locator('[data-f="actual"]')).to_have_text("parked", timeout=PARK_TIMEOUT * 1000)
    expect(writer.locator(".note")).to_contain_text("config.yaml")
    judge(page, "overview-parked")
    box.put("/opt/data/profiles/writer/config.yaml", "gateway:\n  port: 8644\n", uid=10000)
    press(page, "Unpark", "writer")
    expect(writer.locator('[data-f="actual"]')).to_have_text("ready")


def test_a_crash_on_the_timeline_leads_to_the_line_of_the_log_that_explains_it(
    installation: Installation, page: Page
) -> None:
    box = installation.box
    timeline = page.locator("#timeline")
    lane = timeline.locator(".lanes tr", has=page.get_by_role("link", name="reviewer", exact=True))
    expect(lane.get_by_text("1 crash", exact=True)).to_be_visible()
    box.signal(box.ready("reviewer").pid, "SEGV")
    expect(lane.get_by_text("2 crashes", exact=True)).to_be_visible()
    judge(page, "overview-timeline")
    timeline.get_by_role("link", name=re.compile("Show its log, of reviewer")).first.click()
    expect(page).to_have_url(re.compile(r"/profiles/reviewer/logs\?around="))
    expect(page.locator("#there")).to_be_in_viewport()
    judge(page, "log-crash")


def test_a_profile_is_created_and_deleted(installation: Installation, page: Page) -> None:
    page.get_by_role("link", name="New profile").click()
    judge(page, "profile-create")
    page.get_by_label("Name").fill("painter")
    page.get_by_label("Start its gateway at once").check()
    page.get_by_role("button", name="Create").click()
    painter = row(page, "painter")
    expect(painter.locator('[data-f="actual"]')).to_have_text("ready")
    wait_for(lambda: installation.box.gateway("painter"), 10, "slot of painter")
    painter.get_by_role("link", name="Delete painter…").click()
    page.get_by_label("Type its name").fill("paint")
    judge(page, "profile-delete")
    page.get_by_label("Type its name").fill("painter")
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_role("heading", name="Gateways")).to_be_visible()
    expect(painter).to_have_count(0)
    assert installation.box.gateway("painter") is None


def test_everything_is_done_without_a_script_too(installation: Installation, visit: Visit) -> None:
    page = visit(installation.origin, java_script_enabled=False).open("/")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    default = row(page, "default")
    for verb, outcome in (("Stop", "down"), ("Start", "ready")):
        press(page, verb, "default")
        expect(page).to_have_url(f"{installation.origin}/")
        expect(default.locator('[data-f="actual"]')).to_have_text(outcome)
