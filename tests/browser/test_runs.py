"""Runs in the browser: started, followed through every restart, allowed, cancelled, run again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from hermes_cli.gateway.run_api import RunBody
from tests.integration.gateway.harness import until

from .conftest import Visit
from .counted import AWAY, assert_whole, counting, lines
from .looks import judge
from .world import DEADLINE, Installation, installed


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(tmp_path_factory.mktemp("runs"), "coder") as made:
        yield made


def start(installation: Installation, message: str) -> str:
    return installation.gateway("coder").client.runs.start(RunBody(message=message)).run_id


def workspace(installation: Installation) -> Path:
    return installation.gateway("coder").home.workspace


def test_a_run_is_started_followed_and_run_again(installation: Installation, visit: Visit) -> None:
    page = visit(installation.origin).open("/profiles/coder/runs")
    judge(page, "runs-empty")
    page.get_by_label("Start a run").fill('for n in 1 2 3; do echo "line $n"; sleep 0.3; done')
    page.get_by_role("button", name="Start").click()
    expect(page).to_have_url(re.compile("/profiles/coder/runs/run_"))
    expect(page.locator("#output")).to_contain_text("line 3")
    assert_whole(page)
    expect(page.get_by_text("● completed").or_(page.get_by_text("● Completed")).first).to_be_visible()
    judge(page, "run")
    first = page.url
    page.get_by_role("link", name="Events").click()
    expect(page.locator("#rows")).to_contain_text("completed")
    judge(page, "run-events")
    page.go_back()
    page.get_by_role("button", name="Run it again").click()
    expect(page).not_to_have_url(first)
    expect(page.locator("#output")).to_contain_text("line 3")
    page.goto(f"{installation.origin}/profiles/coder/runs")
    judge(page, "runs")


def test_a_run_is_cancelled_in_two_steps(installation: Installation, visit: Visit) -> None:
    run = start(installation, "echo begun; sleep 1000")
    page = visit(installation.origin).open(f"/profiles/coder/runs/{run}")
    expect(page.locator("#output")).to_contain_text("begun")
    page.get_by_text("Cancel…").click()
    judge(page, "run-cancel")
    page.get_by_role("button", name="Cancel this run").click()
    expect(page.locator('[data-status="cancelled"]')).to_be_visible()


@pytest.mark.parametrize(("answer", "status"), [("Allow it", "completed"), ("Deny it", "cancelled")])
def test_what_is_dangerous_is_allowed_or_not(
    installation: Installation, visit: Visit, answer: str, status: str
) -> None:
    victim = workspace(installation) / "victim"
    victim.mkdir(parents=True, exist_ok=True)
    run = start(installation, "rm -rf victim")
    page = visit(installation.origin).open(f"/profiles/coder/runs/{run}")
    expect(page.get_by_role("button", name=answer)).to_be_visible()
    judge(page, "run-approval")
    assert victim.exists()
    page.get_by_role("button", name=answer).click()
    expect(page.locator(f'[data-status="{status}"]')).to_be_visible()
    assert victim.exists() == (answer == "Deny it")


def test_a_run_goes_on_through_the_death_of_its_gateway_and_of_the_dashboard(
    installation: Installation, visit: Visit
) -> None:
    visitor = visit(installation.origin)
    visitor.expects(AWAY)
    run = start(installation, counting("enough"))
    page = visitor.open(f"/profiles/coder/runs/{run}")
    expect(page.locator("#output")).to_contain_text("line 5\n")

    gateway = installation.gateway("coder")
    gateway.kill()
    gateway.ended()
    expect(page.locator("#reach")).to_be_visible()
    judge(page, "run-gateway-away")
    installation.yard.start(gateway.home).ready(DEADLINE)
    expect(page.locator("#reach")).to_be_hidden()
    seen = len(lines(page))
    until("more lines", lambda: len(lines(page)) > seen + 5, within=DEADLINE)

    installation.dashboard.end()
    expect(page.locator("#live")).to_contain_text("Reconnecting")
    installation.dashboard.start()
    expect(page.locator("#live")).to_have_text("● Live")
    (workspace(installation) / "enough").touch()
    expect(page.locator("#output")).to_contain_text("over")
    assert_whole(page)
    assert len(lines(page)) > seen + 5
