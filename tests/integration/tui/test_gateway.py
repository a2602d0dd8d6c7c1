"""A profile's pages on a real gateway: what is started elsewhere appears, what is asked for happens."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from textual.pilot import Pilot

from hermes_cli.gateway.client import GatewayClient
from hermes_cli.gateway.process_api import StartBody
from hermes_cli.gateway.run_api import RunBody
from hermes_cli.processes.registry import Registry
from hermes_cli.tui.app import HermesApp
from hermes_cli.tui.installation import installation
from hermes_cli.tui.screens.conversation import ConversationScreen
from tests.integration.gateway.harness import Gateway, Yard
from tests.unit.tui.stage import PATIENCE, Scene, screen, sees, until

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def gateway(yard: Yard) -> Iterator[Gateway]:
    home = yard.profile("coder")
    yield yard.start(home).ready()
    Registry(home.processes).kill_all(grace=0.2)


@pytest.fixture
def client(gateway: Gateway) -> GatewayClient:
    return GatewayClient(gateway.home, timeout=30.0)


def play(yard: Yard, scene: Scene, size: tuple[int, int] = (80, 24)) -> None:
    async def main() -> None:
        app = HermesApp(installation(yard.root), "coder", interval=0.2)
        async with asyncio.timeout(4 * PATIENCE), app.run_test(size=size) as pilot:
            await sees(pilot, "● ready")
            await scene(pilot)

    asyncio.run(main())


def test_a_process_is_listed_followed_written_to_and_killed(yard: Yard, client: GatewayClient) -> None:
    command = "echo begun; while read line; do echo got $line; done; sleep 1000"
    started = client.processes.start(StartBody(command=command))

    async def scene(pilot: Pilot[None]) -> None:
        await pilot.press("2")
        await sees(pilot, started.session_id, "● running", "last said: begun")
        await pilot.press("enter")
        await sees(pilot, "begun")
        await pilot.press("w", *"hello")
        await sees(pilot, "The line and Enter go to it")
        await pilot.press("enter")
        await sees(pilot, "got hello", "● written to")
        await pilot.press("e")
        await sees(pilot, "is closed")
        await pilot.press("k")
        await sees(pilot, f"Kill {started.session_id}?")
        await pilot.press("enter")  # No is chosen first
        await until(pilot, lambda: "Kill it" not in screen(pilot))
        assert client.processes.poll(started.session_id).status == "running"
        await pilot.press("k", "y")
        await sees(pilot, "— ○ killed", "is killed")
        await pilot.press("escape")
        await sees(pilot, "○ killed")

    play(yard, scene)


def test_a_process_that_another_started_appears_and_its_end_too(yard: Yard, client: GatewayClient) -> None:
    async def scene(pilot: Pilot[None]) -> None:
        await pilot.press("2")
        await sees(pilot, "No background process runs here")
        started = await asyncio.to_thread(client.processes.start, StartBody(command="sleep 1000"))
        await sees(pilot, started.session_id, "● running")
        await asyncio.to_thread(client.processes.kill, started.session_id)
        await sees(pilot, "○ killed")
        await pilot.press("w")
        await sees(pilot, "has ended")

    play(yard, scene)


def test_a_run_streams_in_is_cancelled_and_tried_again(yard: Yard, client: GatewayClient) -> None:
    started = client.runs.start(RunBody(message="echo begun; sleep 1000"))

    async def scene(pilot: Pilot[None]) -> None:
        await pilot.press("3")
        await sees(pilot, started.run_id, "◐ running")
        await pilot.press("enter")
        await sees(pilot, "> echo begun", "— started (shell)")
        await until(pilot, lambda: "\nbegun" in screen(pilot))
        await pilot.press("k", "y")
        await sees(pilot, "— cancelled", "○ cancelled")
        await pilot.press("t")
        await until(pilot, lambda: started.run_id not in screen(pilot).splitlines()[0])
        await until(pilot, lambda: "\nbegun" in screen(pilot) and "◐ running" in screen(pilot))
        again = client.runs.recent(limit=1)[0]
        assert again.retry_of == started.run_id
        client.runs.cancel(again.run_id)
        await sees(pilot, "○ cancelled")

    play(yard, scene)


@pytest.mark.parametrize(
    ("key", "outcome"), [("y", "● completed"), ("d", "○ cancelled"), ("l", "waits to be")]
)
def test_what_is_dangerous_is_shown_and_allowed_denied_or_left(
    yard: Yard, client: GatewayClient, gateway: Gateway, key: str, outcome: str
) -> None:
    target = gateway.home.path / "doomed"
    target.mkdir()
    run = client.runs.start(RunBody(message=f"rm -rf {target}"))

    async def scene(pilot: Pilot[None]) -> None:
        await pilot.press("3")
        await sees(pilot, "waits to be allowed")
        await pilot.press("a")
        await sees(pilot, "This is dangerous", f"Allow {run.run_id}")
        await pilot.press(key)
        await until(pilot, lambda: "This is dangerous" not in screen(pilot))
        await sees(pilot, outcome)
        assert target.exists() == (key != "y")

    play(yard, scene)
    if key == "l":
        client.runs.cancel(run.run_id)


def test_a_conversation_is_begun_gone_on_with_and_deleted(yard: Yard, client: GatewayClient) -> None:
    async def scene(pilot: Pilot[None]) -> None:
        await pilot.press("4")
        await sees(pilot, "Nothing has been said here yet")
        await pilot.press("n", *"echo one; sleep 0.3; echo two", "enter")
        await sees(pilot, "> echo one", "one\n".rstrip())
        await until(pilot, lambda: "\ntwo" in screen(pilot))
        await pilot.press(*"echo three", "ctrl+j", *"echo four", "enter")
        await sees(pilot, "> echo three", "  echo four")
        await until(pilot, lambda: "\nthree" in screen(pilot) and "\nfour" in screen(pilot))
        session = client.runs.sessions()[0]
        assert session.runs == 2
        # Somebody else goes on with it.
        await asyncio.to_thread(
            client.runs.start, RunBody(message="echo from elsewhere", session_id=session.session_id)
        )
        await sees(pilot, "> echo from elsewhere")
        await until(pilot, lambda: "\nfrom elsewhere" in screen(pilot))
        await pilot.press("escape")
        await sees(pilot, session.session_id, "echo one; sleep 0.3")
        await pilot.press("d", "y")
        await sees(pilot, "is gone, with 3 runs", "Nothing has been said here yet")
        assert client.runs.sessions() == []

    play(yard, scene)


def test_what_was_written_is_not_lost_where_the_session_is_busy(yard: Yard, client: GatewayClient) -> None:
    started = client.runs.start(RunBody(message="echo begun; sleep 1000"))

    async def scene(pilot: Pilot[None]) -> None:
        await pilot.press("4")
        await sees(pilot, "◐ answering")
        await pilot.press("enter")
        await until(pilot, lambda: "\nbegun" in screen(pilot))
        await pilot.press(*"precious words", "enter")
        await sees(pilot, "✕", "precious words")
        found = pilot.app.screen
        assert isinstance(found, ConversationScreen)
        await until(pilot, lambda: found.box.text == "precious words")
        await pilot.press("f4")
        await sees(pilot, "— cancelled")
        assert client.runs.get(started.run_id).status == "cancelled"

    play(yard, scene)


def test_output_goes_on_through_a_restart_of_the_gateway(
    yard: Yard, client: GatewayClient, gateway: Gateway
) -> None:
    command = "n=0; while [ $n -lt 600 ]; do n=$((n+1)); echo tick $n; sleep 0.05; done"
    client.processes.start(StartBody(command=command))

    async def scene(pilot: Pilot[None]) -> None:
        await pilot.press("2", "enter")
        await sees(pilot, "tick 3")
        gateway.kill()
        await asyncio.to_thread(gateway.ended)
        await sees(pilot, "✕ The gateway of coder")
        await asyncio.to_thread(lambda: yard.start(gateway.home).ready())
        await until(pilot, lambda: "✕ The gateway of coder" not in screen(pilot))
        log = pilot.app.screen.pane.log_view  # type: ignore[attr-defined]
        seen = len(log.lines)
        await until(pilot, lambda: len(log.lines) > seen + 5)
        whole = [line for line in log.lines if line.startswith("tick ")][:-1]
        assert whole == [f"tick {n}" for n in range(1, len(whole) + 1)]

    play(yard, scene)


def test_a_setting_is_checked_before_it_is_written(yard: Yard, gateway: Gateway) -> None:
    async def scene(pilot: Pilot[None]) -> None:
        await pilot.press("5")
        await sees(pilot, "gateway.drain_timeout")
        await pilot.press("down", "down", "enter")
        await sees(pilot, "a number of seconds from 0 to 25")
        await pilot.press(*["backspace"] * 4, *"99", "enter")
        await sees(pilot, "✕ expected a number of seconds")
        assert "drain_timeout" not in gateway.home.config.read_text()
        await pilot.press("backspace", "backspace", *"7.5", "enter")
        await sees(pilot, "gateway.drain_timeout is 7.5 now", "config.yaml 7.5")
        assert "drain_timeout: 7.5" in gateway.home.config.read_text()

    play(yard, scene)


def test_a_profile_is_made_and_removed(yard: Yard, gateway: Gateway) -> None:
    async def scene(pilot: Pilot[None]) -> None:
        await pilot.press("c", *"newcomer", "enter")
        await sees(pilot, "the profile newcomer is made", "newcomer down")
        assert (yard.root / "profiles" / "newcomer" / "config.yaml").exists()
        await pilot.press("end", "d")
        await sees(pilot, "Delete the profile newcomer?")
        await pilot.press("escape")
        await until(pilot, lambda: "Delete the profile" not in screen(pilot))
        assert (yard.root / "profiles" / "newcomer").exists()
        await pilot.press("d")
        await sees(pilot, "Delete the profile newcomer?")
        await pilot.press("y")
        await sees(pilot, "the profile newcomer is gone")
        assert not (yard.root / "profiles" / "newcomer").exists()

    play(yard, scene)


def test_the_palette_opens_pages_and_does_verbs(yard: Yard, gateway: Gateway) -> None:
    async def scene(pilot: Pilot[None]) -> None:
        await pilot.press("ctrl+p", *"coder doctor")
        await sees(pilot, "coder: doctor")
        await pilot.press("enter", "enter")
        await sees(pilot, "what was found", "supervisor")
        await pilot.press("ctrl+p", *"coder restart")
        await sees(pilot, "coder: restart")
        await pilot.press("enter", "enter")
        await sees(pilot, "✕ no service manager that Hermes can drive")

    play(yard, scene)
