"""The overview is live, says when it is not, needs no script to be read, and shows hostile text as text."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from hermes_cli.gateway.records import IntentRecord
from hermes_cli.home import Home, save

from .conftest import Visit
from .counted import AWAY
from .looks import judge
from .proxy import proxied
from .world import Dashboard, make_profile, serving

HOSTILE = (
    "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>\x1b[31m\u202e"
    + "x" * 300
)


@pytest.fixture
def dashboard(tmp_path: Path) -> Iterator[Dashboard]:
    root = tmp_path / "home"
    root.mkdir()
    make_profile(root, "coder")
    with serving(root) as started:
        yield started


def row(page: Page, profile: str) -> str:
    """A selector of the row of a profile's gateway."""
    return f'tr[data-service="gateway-{profile}"]'


def want(dashboard: Dashboard, profile: str) -> None:
    save(Home.of(profile, dashboard.root).intent, IntentRecord(intent="running", requested_at=1.0))


def test_a_change_is_shown_without_a_reload(dashboard: Dashboard, visit: Visit) -> None:
    page = visit(dashboard.origin).open("/")
    expect(page.locator("#live")).to_have_text("● Live")
    coder = page.locator(row(page, "coder"))
    expect(coder).to_have_attribute("data-tone", "idle")
    want(dashboard, "coder")
    expect(coder).to_have_attribute("data-tone", "bad")
    make_profile(dashboard.root, "zoe", 8701)
    expect(page.get_by_role("link", name="zoe").first).to_be_visible()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_survives_the_end_of_the_dashboard_and_says_so_meanwhile(
    dashboard: Dashboard, visit: Visit, number: signal.Signals
) -> None:
    visitor = visit(dashboard.origin)
    visitor.expects(AWAY)
    page = visitor.open("/")
    live = page.locator("#live")
    expect(live).to_have_text("● Live")
    dashboard.end(number)
    expect(live).to_contain_text("Reconnecting")
    judge(page, "overview-reconnecting")
    want(dashboard, "coder")
    dashboard.start()
    expect(live).to_have_text("● Live")
    expect(page.locator(row(page, "coder"))).to_have_attribute("data-tone", "bad")


def test_it_is_whole_without_a_script(dashboard: Dashboard, visit: Visit) -> None:
    page = visit(dashboard.origin, java_script_enabled=False).open("/")
    expect(page.locator(row(page, "coder"))).to_contain_text("8700")
    expect(page.locator("noscript p")).to_contain_text("Reload the page")
    judge(page, "overview-without-script", script=False)


def test_hostile_text_is_only_text(dashboard: Dashboard, visit: Visit) -> None:
    home = Home.of("coder", dashboard.root)
    page = visit(dashboard.origin).open("/")
    expect(page.locator("#live")).to_have_text("● Live")
    reason = HOSTILE.replace("\\", "\\\\").replace('"', '\\"').replace("\x1b", "\\u001b")
    home.parked.write_text(f'{{"kind":"config","reason":"{reason}","parked_at":1}}', encoding="utf-8")
    (dashboard.root / "profiles" / "<b>bad<img src=x>").mkdir()
    expect(page.locator(row(page, "coder"))).to_contain_text("<script>document.title='taken'</script>")
    page.reload()
    expect(page.locator(row(page, "coder"))).to_contain_text("<img src=x onerror=")
    expect(page.locator("#live")).to_have_text("● Live")
    assert page.locator("main img, main b").count() == 0
    assert page.title() != "taken"
    judge(page, "overview-hostile")


def test_the_keyboard_reaches_everything_and_is_seen(dashboard: Dashboard, visit: Visit) -> None:
    page = visit(dashboard.origin).open("/")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{dashboard.origin}/#content")
    page.goto(dashboard.origin)
    reachable = page.evaluate(
        """() => [...document.querySelectorAll('a[href], button, select, input, textarea, summary')]
             .filter((element) => element.checkVisibility() && !element.disabled).length"""
    )
    seen: set[str] = set()
    for _ in range(reachable + 5):
        page.keyboard.press("Tab")
        where = page.evaluate(
            """() => { const at = document.activeElement; if (at === document.body) return '';
                 if (getComputedStyle(at).outlineStyle === 'none') return 'unseen: ' + at.outerHTML;
                 return [...document.querySelectorAll('*')].indexOf(at) + ''; }"""
        )
        assert not where.startswith("unseen"), where
        if where:
            seen.add(where)
    assert len(seen) >= reachable, (len(seen), reachable)


def test_it_lives_below_a_path_of_a_reverse_proxy(tmp_path: Path, stack: ExitStack, visit: Visit) -> None:
    make_profile(tmp_path, "coder")
    guarded = serving(tmp_path, "--root-path", "/hermes", HERMES_DASHBOARD_PASSWORD="pw")
    origin = stack.enter_context(proxied(stack.enter_context(guarded).port, "/hermes"))
    visitor = visit(origin)
    page = visitor.open("/hermes/")
    expect(page).to_have_url(f"{origin}/hermes/login")
    page.get_by_label("Password").fill("pw")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{origin}/hermes/")
    expect(page.locator("#live")).to_have_text("● Live")
    make_profile(tmp_path, "zoe", 8701)
    page.get_by_role("link", name="zoe").first.click()
    expect(page).to_have_url(f"{origin}/hermes/profiles/zoe/logs")
    expect(page.locator("#live")).to_have_text("● Live")
    page.get_by_role("link", name="Overview").first.click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_title("Sign in · Hermes")
    assert all(url.startswith(f"{origin}/hermes/") for url in visitor.requests), visitor.requests
