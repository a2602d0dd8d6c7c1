"""The text interface does what its keys say, shows what it does, and never stands still."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from pathlib import Path

import pytest
from textual.pilot import Pilot

from hermes_cli.gateway.lifecycle import Lifecycle
from hermes_cli.home import Home
from hermes_cli.service_manager import ServiceError, ServiceParkedError
from hermes_cli.status import StatusReport, collect
from hermes_cli.tui.app import HermesApp
from hermes_cli.tui.installation import Installation
from hermes_cli.tui.screens.help import HelpScreen
from tests.fakes.gateway import FakeGateway
from tests.fakes.s6_service_manager import HOLD_LIMIT
from tests.unit.tui.stage import Stage, chosen, overview_of, said, says, screen, sees, shows, until


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path, "coder", "writer")


def test_every_gateway_is_there_with_the_columns_of_status(stage: Stage) -> None:
    columns = ("wanted", "actual", "ready", "pid", "uptime", "restarts", "last exit", "port")

    async def scene(pilot: Pilot[None]) -> None:
        for word in (*columns, "default", "coder", "writer"):
            await until(pilot, partial(shows, pilot, word))

    stage.play(scene)


def test_s_starts_x_stops_and_r_restarts_the_chosen_gateway(stage: Stage) -> None:
    async def scene(pilot: Pilot[None]) -> None:
        await pilot.press("down")
        assert chosen(pilot) == "coder"
        for key, verb, outcome in (
            ("s", "start", "coder is ready"),
            ("r", "restart", "coder is ready again"),
            ("x", "stop", "coder is down"),
        ):
            await pilot.press(key)
            await until(pilot, partial(says, pilot, outcome))
            assert stage.manager.calls[-1].verb == verb
            assert stage.manager.calls[-1].service == "gateway-coder"
        assert len(stage.manager.calls) == 3

    stage.play(scene)


def test_a_verb_under_way_is_shown_and_the_keys_still_answer(stage: Stage) -> None:
    async def scene(pilot: Pilot[None]) -> None:
        stage.manager.hold()
        await pilot.press("s")
        await until(pilot, lambda: "starting default …" in screen(pilot))
        await pilot.press("s")
        await until(pilot, lambda: "starting default is still under way" in said(pilot))
        await pilot.press("down")
        assert chosen(pilot) == "coder"
        stage.manager.release()
        await until(pilot, lambda: "default is ready" in said(pilot))
        await until(pilot, lambda: "● ready" in screen(pilot))
        assert [call.verb for call in stage.manager.calls] == ["start"]

    stage.play(scene)


def test_leaving_does_not_wait_for_a_verb(stage: Stage) -> None:
    stage.manager.hold()

    async def scene(pilot: Pilot[None]) -> None:
        await pilot.press("s")
        await until(pilot, lambda: "starting default" in said(pilot))
        await pilot.press("q")

    began = time.monotonic()
    try:
        stage.play(scene)
        assert time.monotonic() - began < HOLD_LIMIT / 2
    finally:
        stage.manager.release()


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ServiceParkedError("gateway-default", "config.yaml:3: no port"), "config.yaml:3: no port"),
        (ServiceError("hostile \x1b[2J\x1b[31m[bold]markup"), "hostile [bold]markup"),
        (ServiceError(""), "ServiceError"),
    ],
)
def test_a_failure_is_a_sentence_on_the_screen(stage: Stage, error: ServiceError, sentence: str) -> None:
    stage.manager.failures["start"] = error

    async def scene(pilot: Pilot[None]) -> None:
        await pilot.press("s")
        await until(pilot, lambda: said(pilot).startswith("✕"))
        assert sentence in said(pilot)

    stage.play(scene)


def test_a_change_from_outside_appears_by_itself(stage: Stage) -> None:
    async def scene(pilot: Pilot[None]) -> None:
        stage.manager.change("writer", running=True, ready=True, wanted=True, pid=4711)
        await until(pilot, lambda: "4711" in screen(pilot))
        stage.manager.register_profile_gateway("zoe")
        await until(pilot, lambda: "zoe" in screen(pilot))
        stage.manager.unregister_profile_gateway("zoe")
        await until(pilot, lambda: "zoe" not in screen(pilot))

    stage.play(scene)


def test_the_chosen_gateway_stays_chosen_when_others_come(stage: Stage) -> None:
    async def scene(pilot: Pilot[None]) -> None:
        assert chosen(pilot) == "writer"
        stage.manager.register_profile_gateway("aaron")
        await until(pilot, lambda: "aaron" in screen(pilot))
        assert chosen(pilot) == "writer"

    stage.play(scene, profile="writer")


def test_the_log_of_the_chosen_gateway_is_followed(stage: Stage) -> None:
    stage.log("coder", "coder speaks\n")

    async def scene(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "default has written nothing here yet. s starts it." in screen(pilot))
        await pilot.press("down")
        await until(pilot, lambda: "coder speaks" in screen(pilot))
        assert "written nothing" not in screen(pilot)
        stage.log("coder", "\x1b[2J\x1b[31mred [b]alert[/b]\x1b[0m\n")
        await until(pilot, lambda: "red [b]alert[/b]" in screen(pilot))

    stage.play(scene)


def test_following_stops_where_the_reader_scrolls_up_and_goes_on_with_f(stage: Stage) -> None:
    stage.log("default", "".join(f"line {n}\n" for n in range(100)))

    async def scene(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "line 99" in screen(pilot))
        await pilot.press("tab", "pageup", "pageup")
        await until(pilot, lambda: "line 99" not in screen(pilot))
        stage.log("default", "the newest\n")
        await until(pilot, lambda: "the newest" in overview_of(pilot).pane.log_view.lines)
        assert "the newest" not in screen(pilot)
        assert "not following" in screen(pilot)
        await pilot.press("f")
        await until(pilot, lambda: "the newest" in screen(pilot))

    stage.play(scene)


def test_it_follows_the_size_of_the_terminal_and_wraps_again(stage: Stage) -> None:
    stage.log("default", "x" * 100 + "END\n")

    async def scene(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "END" in screen(pilot))
        await pilot.resize_terminal(130, 40)
        await until(pilot, lambda: "x" * 100 + "END" in screen(pilot))
        await pilot.resize_terminal(60, 20)
        await until(pilot, lambda: "x" * 100 not in screen(pilot) and "END" in screen(pilot))

    stage.play(scene)


def test_every_column_fits_a_small_terminal_whatever_the_names(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "a-profile-with-a-name-that-goes-on-and-on")
    stage.manager.change(
        "default", running=True, ready=True, wanted=True, pid=1234567, restarts=12, exit_signal="SIGKILL"
    )

    async def scene(pilot: Pilot[None]) -> None:
        await until(pilot, partial(shows, pilot, "a-profile-wi"))
        rows = [line for line in screen(pilot).splitlines() if line.rstrip().endswith(("8642", "8643"))]
        assert len(rows) == 2, screen(pilot)
        assert rows[0].split()[1:7] == ["up", "●", "ready", "yes", "1234567", "-"]
        await pilot.press("down")
        await until(pilot, partial(shows, pilot, "a-profile-with-a-name-that-goes-on-and-on"))

    stage.play(scene)


def test_help_opens_and_closes(stage: Stage) -> None:
    async def scene(pilot: Pilot[None]) -> None:
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))
        await sees(pilot, "restart it")
        await pilot.press("end")
        await sees(pilot, "Parked means")
        await pilot.press("q")
        await until(pilot, lambda: not isinstance(pilot.app.screen, HelpScreen))
        assert pilot.app.is_running

    stage.play(scene)


def test_while_help_is_open_the_keys_behind_it_do_nothing(stage: Stage) -> None:
    async def scene(pilot: Pilot[None]) -> None:
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))
        await pilot.press("x", "s")
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, HelpScreen))
        assert stage.manager.calls == []

    stage.play(scene)


def test_a_status_that_cannot_be_read_is_said_and_passes(stage: Stage) -> None:
    well = stage.look

    async def scene(pilot: Pilot[None]) -> None:
        def broken() -> StatusReport:
            raise OSError("the disk is gone")

        stage.look = broken
        await until(pilot, lambda: "the disk is gone" in screen(pilot))
        assert "coder" in screen(pilot)
        stage.look = well
        await until(pilot, lambda: "the disk is gone" not in screen(pilot))

    stage.play(scene)


def test_fifty_gateways_leave_room_for_the_log_on_a_small_terminal(tmp_path: Path) -> None:
    stage = Stage(tmp_path, *(f"p{number:02d}" for number in range(50)))
    stage.log("default", "still readable\n")

    async def scene(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "still readable" in screen(pilot))
        await pilot.press("end")
        await until(pilot, lambda: chosen(pilot) == "p49")
        assert "p49" in screen(pilot)

    stage.play(scene)


def test_without_a_service_manager_it_says_what_the_keys_cannot_do(tmp_path: Path) -> None:
    asked = Installation(
        root=tmp_path,
        look=lambda: StatusReport(healthy=True, problems=[], services=collect(tmp_path).services),
        operator=lambda: Lifecycle(None, tmp_path),
        manager=lambda: None,
    )
    app = HermesApp(asked, interval=0.05)

    async def main() -> None:
        async with asyncio.timeout(30), app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: "no service manager here" in screen(pilot))
            await pilot.press("s")
            await until(pilot, lambda: "hermes gateway run" in said(pilot))

    asyncio.run(main())


def test_keys_typed_faster_than_pages_open_are_not_lost(stage: Stage) -> None:
    async def scene(pilot: Pilot[None]) -> None:
        await pilot.press(*"24n", *"words")
        await sees(pilot, "A new conversation", "words")
        await pilot.press("escape", *"5", "down", "enter")
        await sees(pilot, "a port number from 1 to 65535", "Enter: go on")

    stage.play(scene)


def test_a_page_that_is_left_asks_nothing_more(stage: Stage) -> None:
    fake = FakeGateway(Home.of("coder", stage.root))
    fake.answer("GET /v1/runs", {"runs": []})

    async def scene(pilot: Pilot[None]) -> None:
        await pilot.press("3")
        await sees(pilot, "Nothing has run here yet")
        await pilot.press("1")
        await sees(pilot, "written nothing here yet")
        workers = {worker.group for worker in pilot.app.workers}
        assert "list" not in workers, workers
        await pilot.press("escape")
        await until(pilot, lambda: {worker.group for worker in pilot.app.workers} == {"status", "log"})

    with fake.serving():
        stage.play(scene, profile="coder")


def test_a_search_marks_all_places_and_goes_around_them(stage: Stage) -> None:
    stage.log("default", "".join(f"line {n} {'Needle' if n % 40 == 0 else 'hay'}\n" for n in range(200)))

    async def scene(pilot: Pilot[None]) -> None:
        await sees(pilot, "line 199")
        await pilot.press("1")
        await sees(pilot, "line 199")
        await pilot.press("slash", *"NEEDLE")
        await sees(pilot, "5 lines found", "line 160 Needle")
        await pilot.press("enter", "N")
        await sees(pilot, "line 120 Needle")
        await pilot.press("n", "n")
        await sees(pilot, "line 0 Needle")
        await pilot.press("escape")
        await until(pilot, lambda: "lines found" not in screen(pilot))
        await pilot.press("end")
        await sees(pilot, "line 199")
        await pilot.press("slash", *"nowhere")
        await sees(pilot, "0 lines found")

    stage.play(scene)
