"""Every screen and page, whole, in a small terminal and in a large one, with hostile words on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from textual.pilot import Pilot

from hermes_cli.gateway.records import IntentRecord, ParkedRecord, StateRecord
from hermes_cli.gateway.run_api import EventPage, RunEvent
from hermes_cli.home import Home, save
from hermes_cli.tui.screens.run import RunScreen
from tests.fakes.gateway import FakeGateway, Refusal
from tests.unit.tui.scenery import RUN, SETTINGS, ended_run, findings, inspection, still_gateway, still_stage
from tests.unit.tui.snapshots import assert_looks
from tests.unit.tui.stage import Scene, Stage, screen, sees

SIZES = ((80, 24), (120, 40))

PAGES = {
    "overview": ([], "coder took request 29"),
    "overview-parked": (["down"], "config.yaml:3"),
    "overview-search": ([*"/", *"request 7", "enter"], "1 lines found"),
    "help": (["question_mark"], "the palette"),
    "palette": (["ctrl+p", *"coder: r"], "coder: restart"),
    "create": (["c", *"Wrong"], "not a valid name"),
    "logs": (["1"], "coder took request 29"),
    "processes": (["2"], "last said"),
    "process": (["2", "enter"], "half a li"),
    "process-write": (["2", "w"], "The line and Enter go to it"),
    "process-kill": (["2", "k"], "Kill proc_"),
    "runs": (["3"], "waits to be allowed"),
    "run": (["3", "down", "enter"], "11 passed"),
    "run-approval": (["3", "a"], "This is dangerous"),
    "run-cancel": (["3", "k"], "All that it started"),
    "chat": (["4"], "began with"),
    "conversation": (["4", "enter"], "11 passed"),
    "conversation-new": (["4", "n", *"a message ", "ctrl+j", *"of two lines"], "of two lines"),
    "config": (["5"], "agent.command"),
    "doctor": (["6"], "m mends this"),
}


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr("hermes_cli.tui.pages.doctor.diagnose", findings)
    monkeypatch.setattr("hermes_cli.tui.pages.config.check_file", inspection)
    monkeypatch.setattr("hermes_cli.tui.pages.config.KEYS", SETTINGS)
    made = still_stage(tmp_path)
    with still_gateway(made):
        yield made


def pressing(keys: list[str], sign: str, name: str) -> Scene:
    """Press the keys one after the other, each when there is something to press it at."""

    async def scene(pilot: Pilot[None]) -> None:
        await sees(pilot, "coder took request 29")
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
            if key in _WAITED_FOR and len(pilot.app.screen_stack) > 1:
                await sees(pilot, _WAITED_FOR[key])
        await sees(pilot, sign)
        await assert_looks(pilot, name)

    return scene


_WAITED_FOR = {"2": "proc_00000000aaa1", "3": "run_00000000000000a1", "4": "ses_00000000000000c1"}
"""A page is there when its rows are."""


@pytest.mark.parametrize("size", SIZES, ids=["small", "large"])
@pytest.mark.parametrize("name", PAGES)
def test_a_screen_looks_as_it_should(stage: Stage, name: str, size: tuple[int, int]) -> None:
    keys, sign = PAGES[name]
    stage.play(pressing(keys, sign, name), profile="coder", size=size)


class TestTheGatewayCannotBeAsked:
    """Each way has a state of its own, with the next step."""

    @pytest.fixture
    def stage(self, tmp_path: Path) -> Stage:
        return still_stage(tmp_path)

    @pytest.mark.parametrize("page", ["2", "3", "4"])
    def test_a_stopped_one_is_said_to_be(self, stage: Stage, page: str) -> None:
        save(Home.of("coder", stage.root).intent, IntentRecord(intent="stopped", requested_at=1.0))
        stage.play(_opening(page, "The gateway of coder is stopped.", "press s"), profile="coder")

    def test_a_parked_one_says_why(self, stage: Stage) -> None:
        slip = ParkedRecord(kind="config", reason="port 8643 is \x1b[31mtaken", parked_at=1.0)
        save(Home.of("coder", stage.root).parked, slip)
        stage.play(_opening("3", "is parked: port 8643 is taken.", "press s"), profile="coder")

    def test_one_of_another_version_is_to_be_restarted(self, stage: Stage) -> None:
        home = Home.of("coder", stage.root)
        theirs = StateRecord(
            state="running", pid=1, pid_start=1, boot_id="", started_at=1.0, hermes_version="9.9.9"
        )
        save(home.state, theirs)
        fake = FakeGateway(home)
        fake.answer("GET /v1/runs", {"runs": [{"run_id": 1}]})
        with fake.serving():
            stage.play(_opening("3", "runs Hermes 9.9.9", "Restart it"), profile="coder")

    def test_one_that_refuses_is_quoted(self, stage: Stage) -> None:
        fake = FakeGateway(Home.of("coder", stage.root))
        fake.answer("GET /v1/runs", Refusal(503, "store_unusable", "the \x1b[31mstore is [b]broken[/b]"))
        with fake.serving():
            stage.play(_opening("3", "The store is [b]broken[/b]."), profile="coder")

    def test_a_slow_one_is_said_to_be_and_the_keys_answer(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("hermes_cli.tui.installation.PATIENCE", 0.3)
        fake = FakeGateway(Home.of("coder", stage.root))
        fake.hang("GET /v1/runs")

        async def scene(pilot: Pilot[None]) -> None:
            await pilot.press("3")
            await sees(pilot, "does not answer in time")
            fake.answer("GET /v1/runs", {"runs": []})
            await sees(pilot, "Nothing has run here yet")
            assert "in time" not in screen(pilot)

        with fake.serving():
            stage.play(scene, profile="coder")

    def test_a_run_of_which_only_the_text_is_kept_shows_that(self, stage: Stage) -> None:
        fake = FakeGateway(Home.of("coder", stage.root))
        run = ended_run()
        gone = {"code": "cursor_expired", "detail": "gone", "cursor": f"{RUN}:3", "snapshot": "kept words\n"}
        last = [
            RunEvent(event_id=f"{RUN}:4", seq=4, run_id=RUN, session_id="s", type="failed", created_at=1.0)
        ]

        def events(query: Mapping[str, str]) -> object:
            if query["cursor"] == "0":
                return Refusal(410, "cursor_expired", "gone", gone)
            return EventPage(
                run_id=RUN,
                events=last,
                cursor=f"{RUN}:4",
                last_event_id=f"{RUN}:4",
                status="failed",
                terminal_state="failed",
            )

        fake.answer(f"GET /v1/runs/{RUN}", run)
        fake.routes[f"GET /v1/runs/{RUN}/events"] = events

        async def scene(pilot: Pilot[None]) -> None:
            pilot.app.push_screen(RunScreen(stage.installation(), "coder", RUN))
            await sees(pilot, "the text alone is kept", "kept words", "— failed")

        with fake.serving():
            stage.play(scene, profile="coder")

    def test_a_run_that_is_gone_is_said_to_be(self, stage: Stage) -> None:
        fake = FakeGateway(Home.of("coder", stage.root))
        fake.answer(f"GET /v1/runs/{RUN}/events", Refusal(404, "no_such_run", f"there is no run {RUN}"))

        async def scene(pilot: Pilot[None]) -> None:
            pilot.app.push_screen(RunScreen(stage.installation(), "coder", RUN))
            await sees(pilot, f"There is no run {RUN}.")

        with fake.serving():
            stage.play(scene, profile="coder")


def _opening(page: str, *texts: str) -> Scene:
    async def scene(pilot: Pilot[None]) -> None:
        await pilot.press(page)
        await sees(pilot, *texts)

    return scene
