"""A gateway that cannot be reached, seen in the browser: which way, what to do, and back without a reload."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from hermes_cli.home import Home
from tests.integration.dashboard.test_unreachable_gateways import hang_up, imposter, saying

from .conftest import Visit
from .looks import judge
from .world import Dashboard, make_profile, serving

EMPTY = saying(b'{"runs":[]}')
NEWER = saying(b'{"future":1}')


@pytest.fixture
def dashboard(tmp_path: Path) -> Iterator[Dashboard]:
    root = tmp_path / "home"
    root.mkdir()
    make_profile(root, "coder").run_dir.mkdir()
    with serving(root) as started:
        yield started


def test_each_way_has_its_words_and_the_page_comes_back_by_itself(dashboard: Dashboard, visit: Visit) -> None:
    with imposter(Home.of("coder", dashboard.root)) as peer:
        peer.answer = NEWER
        page = visit(dashboard.origin).open("/profiles/coder/runs")
        notice, start = page.locator("#reach"), page.get_by_role("button", name="Start the gateway")
        expect(notice).to_contain_text("another version of Hermes")
        expect(start).to_be_hidden()
        judge(page, "gateway-other-version")
        peer.answer = hang_up
        expect(notice).to_contain_text("is stopped")
        expect(start).to_be_visible()
        judge(page, "gateway-stopped")
        peer.answer = EMPTY
        expect(page.get_by_text("has not been asked for anything yet")).to_be_visible()
        expect(notice).to_be_hidden()
        # What was shown stays while it is away.
        peer.answer = hang_up
        expect(notice).to_contain_text("is stopped")
        expect(page.get_by_text("has not been asked for anything yet")).to_be_visible()
        peer.answer = EMPTY
        expect(notice).to_be_hidden()
