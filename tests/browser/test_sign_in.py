"""Signing in: the wrong password says so, the right one leads on, a session that is over says that."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from .conftest import Visit
from .counted import AWAY
from .looks import judge
from .world import Dashboard, make_profile, serving

PASSWORD = "correct horse"
READ_PASSWORD = "battery staple"


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    root = tmp_path_factory.mktemp("home")
    make_profile(root, "coder")
    passwords = {"HERMES_DASHBOARD_PASSWORD": PASSWORD, "HERMES_DASHBOARD_READ_PASSWORD": READ_PASSWORD}
    with serving(root, **passwords) as started:
        yield started


def sign_in(page: Page, password: str) -> None:
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_a_wrong_password_is_told_and_the_right_one_leads_to_the_page_that_was_wanted(
    dashboard: Dashboard, visit: Visit
) -> None:
    visitor = visit(dashboard.origin)
    visitor.expects("status of 403")
    page = visitor.open("/?sort=name")
    expect(page).to_have_title("Sign in · Hermes")
    judge(page, "sign-in")
    sign_in(page, "wrong")
    expect(page.get_by_role("alert")).to_contain_text("That is not the password.")
    judge(page, "sign-in-wrong")
    sign_in(page, PASSWORD)
    expect(page).to_have_url(f"{dashboard.origin}/?sort=name")
    expect(page.get_by_role("link", name="coder").first).to_be_visible()


def test_the_keyboard_alone_signs_in(dashboard: Dashboard, visit: Visit) -> None:
    page = visit(dashboard.origin).open("/")
    expect(page.get_by_label("Password")).to_be_focused()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def test_an_open_page_says_that_its_session_is_over(dashboard: Dashboard, visit: Visit) -> None:
    visitor = visit(dashboard.origin)
    visitor.expects("status of 401")
    page = visitor.open("/")
    sign_in(page, PASSWORD)
    expect(page.locator("#live")).to_have_text("● Live")
    other = visitor.open("/")
    other.get_by_role("button", name="Sign out").click()
    expect(other).to_have_title("Sign in · Hermes")
    expect(page.locator("#live")).to_contain_text("Signed out")
    page.reload()
    expect(page).to_have_title("Sign in · Hermes")


def test_a_session_outlives_the_dashboard_and_leads_back_when_it_has_expired(
    dashboard: Dashboard, visit: Visit
) -> None:
    visitor = visit(dashboard.origin)
    visitor.expects(AWAY)
    visitor.expects("status of 401")
    page = visitor.open("/profiles/coder/runs")
    sign_in(page, PASSWORD)
    expect(page).to_have_url(f"{dashboard.origin}/profiles/coder/runs")
    dashboard.end()
    dashboard.start()
    page.reload()
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    for path in (dashboard.root / "dashboard/sessions").iterdir():
        record = json.loads(path.read_bytes())
        path.write_text(json.dumps({**record, "ends_at": 1.0}))
    page.get_by_role("link", name="Processes").click()
    expect(page).to_have_title("Sign in · Hermes")
    sign_in(page, PASSWORD)
    expect(page).to_have_url(f"{dashboard.origin}/profiles/coder/processes")


def test_a_reader_sees_everything_and_is_offered_nothing_that_changes(
    dashboard: Dashboard, visit: Visit
) -> None:
    visitor = visit(dashboard.origin)
    page = visitor.open("/")
    sign_in(page, READ_PASSWORD)
    expect(page.locator("#live")).to_have_text("● Live")
    judge(page, "overview-reader")
    for address in ("/", "/profiles/coder/runs", "/profiles/coder/processes"):
        page.goto(dashboard.origin + address)
        expect(page.get_by_role("button", name="Sign out")).to_be_visible()
        forms = page.locator('form[method="post"]:not([action$="/logout"])')
        assert forms.count() == 0, (address, forms.first.inner_html())
    visitor.expects("status of 403")
    post = """async (csrf) => (await fetch('/profiles/coder/runs', {method: 'POST',
      body: new URLSearchParams({csrf, message: 'echo taken'})})).status"""
    csrf = page.locator('input[name="csrf"]').first.input_value()
    assert page.evaluate(post, csrf) == 403
