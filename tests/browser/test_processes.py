"""Background processes in the browser: started, listened to, spoken to, killed, and none of it lost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from hermes_cli.gateway.process_api import StartBody
from tests.integration.gateway.harness import until

from .conftest import Visit
from .counted import AWAY, assert_whole, counting, lines
from .looks import judge
from .world import DEADLINE, Installation, installed

HOSTILE = "printf '<img src=x onerror=alert(1)>\\033[31mred\\033[0m\\033]0;taken\\007 \\342\\200\\256end\\n'"


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(tmp_path_factory.mktemp("processes"), "coder") as made:
        yield made


def start(installation: Installation, command: str) -> str:
    return installation.gateway("coder").client.processes.start(StartBody(command=command)).session_id


def opened(installation: Installation, visit: Visit, command: str) -> Page:
    return visit(installation.origin).open(f"/profiles/coder/processes/{start(installation, command)}")


def test_a_command_is_started_spoken_to_and_ends(installation: Installation, visit: Visit) -> None:
    page = visit(installation.origin).open("/profiles/coder/processes")
    page.get_by_label("Start a command").fill('while read -r line; do echo "heard $line"; done; exit 3')
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page).to_have_url(re.compile("/profiles/coder/processes/proc_"))
    stdin = page.get_by_label("Into its stdin")
    stdin.fill("first")
    stdin.press("Enter")
    expect(page.locator("#output")).to_contain_text("heard first")
    expect(stdin).to_have_value("")
    stdin.fill("second")
    page.get_by_role("button", name="Send line").click()
    expect(page.locator("#output")).to_contain_text("heard second")
    judge(page, "process")
    page.get_by_role("button", name="Close stdin").click()
    expect(page.get_by_text("ended with exit code 3")).to_be_visible()
    expect(stdin).to_be_hidden()
    judge(page, "process-ended")
    page.get_by_role("link", name="Processes").first.click()
    expect(page.get_by_role("table")).to_contain_text("ended with exit code 3")
    judge(page, "processes")


def test_a_process_is_killed_in_two_steps(installation: Installation, visit: Visit) -> None:
    page = opened(installation, visit, "echo begun; sleep 1000")
    expect(page.locator("#output")).to_contain_text("begun")
    page.get_by_text("Kill…").click()
    page.get_by_role("button", name="Kill this process").click()
    expect(page.locator('[data-status="killed"]')).to_be_visible()


def test_hostile_output_is_only_text(installation: Installation, visit: Visit) -> None:
    page = opened(installation, visit, f"{HOSTILE}; sleep 1000")
    output = page.locator("#output")
    expect(output).to_contain_text("<img src=x onerror=alert(1)>red")
    assert output.locator("img").count() == 0
    assert "\x1b" not in output.inner_text()
    assert "\u202e" not in output.inner_text()
    assert "taken" not in page.title()


def test_output_goes_on_through_the_death_of_the_gateway_and_of_the_dashboard(
    installation: Installation, visit: Visit
) -> None:
    visitor = visit(installation.origin)
    visitor.expects(AWAY)
    gateway = installation.gateway("coder")
    process = start(installation, counting("enough"))
    page = visitor.open(f"/profiles/coder/processes/{process}")
    expect(page.locator("#output")).to_contain_text("line 5\n")

    gateway.kill()
    gateway.ended()
    expect(page.locator("#reach")).to_be_visible()
    installation.yard.start(gateway.home).ready(DEADLINE)
    expect(page.locator("#reach")).to_be_hidden()
    seen = len(lines(page))
    until("more lines", lambda: len(lines(page)) > seen + 5, within=DEADLINE)

    installation.dashboard.end()
    expect(page.locator("#live")).to_contain_text("Reconnecting")
    installation.dashboard.start()
    expect(page.locator("#live")).to_have_text("● Live")
    (gateway.home.path / "enough").touch()
    expect(page.locator("#output")).to_contain_text("over")
    assert_whole(page)
    assert len(lines(page)) > seen + 5


def test_the_whole_output_is_downloaded(installation: Installation, visit: Visit, tmp_path: Path) -> None:
    page = opened(installation, visit, "seq 1 5000; echo over")
    expect(page.locator("#output")).to_contain_text("over")
    with page.expect_download() as started:
        page.get_by_role("link", name="Download").click()
    started.value.save_as(tmp_path / "log")
    assert (tmp_path / "log").read_text() == "".join(f"{n}\n" for n in range(1, 5001)) + "over\n"
