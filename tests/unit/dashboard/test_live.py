"""The page is told what is different, and nobody looks while nobody watches."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hermes_cli.dashboard.live import Board, difference, snapshot
from hermes_cli.faces.changes import Changes, InstallationChanges
from hermes_cli.faces.overview import Overview, overview
from hermes_cli.gateway.records import IntentRecord, ParkedRecord
from hermes_cli.gateway.supervision_log import record_event
from hermes_cli.home import Home, save
from hermes_cli.service_manager.watch import GROWN
from hermes_cli.status import ServiceReport, StatusReport, collect
from hermes_cli.status.model import Actual
from tests.fakes.s6_service_manager import FakeS6ServiceManager


def _report(**services: Actual) -> StatusReport:
    rows = [
        ServiceReport(service=f"gateway-{name}", profile=name, actual=actual)
        for name, actual in services.items()
    ]
    return StatusReport(healthy=True, problems=[], services=rows)


def _apply(page: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """What the script in the page does with a change."""
    rows = {name: dict(fields) for name, fields in page["rows"].items()}
    for name, fields in change.get("rows", {}).items():
        rows.setdefault(name, {}).update(fields)
    order = change.get("order", page["order"])
    rest = {key: value for key, value in change.items() if key not in ("rows", "order")}
    return {**page, **rest, "order": order, "rows": {name: rows[name] for name in order}}


def test_only_what_is_different_is_sent() -> None:
    before = overview(_report(default="down", coder="ready"))
    after = overview(_report(default="down", coder="starting"))
    assert difference(before, after) == {
        "rows": {"gateway-coder": {"actual": "starting", "tone": "busy", "mark": "◐"}}
    }
    assert difference(after, after) == {}


def test_a_page_that_applies_the_differences_ends_like_a_new_one() -> None:
    states = [
        _report(default="down"),
        _report(default="down", coder="starting"),
        _report(default="ready", coder="ready", writer="parked"),
        _report(default="ready", writer="parked"),
        _report(),
    ]
    shown = [overview(state) for state in states]
    page = snapshot(shown[0])
    for before, after in pairwise(shown):
        page = _apply(page, difference(before, after))
        fresh = snapshot(after)
        assert {**page, "now": 0} == {**fresh, "now": 0}


def test_it_looks_only_while_somebody_watches() -> None:
    async def main() -> None:
        current = _report(default="down")
        board = Board(lambda: current, interval=0.01)
        watching = board.changes()
        assert (await anext(watching)).rows[0].actual == "down"
        current = _report(default="ready")
        assert (await anext(watching)).rows[0].actual == "ready"
        await watching.aclose()
        await _until(lambda: board._poller is not None and board._poller.done())
        looks = board.looks
        await asyncio.sleep(0.05)
        assert board.looks == looks

    asyncio.run(_limited(main))


def test_a_change_on_disk_is_seen_long_before_the_interval(tmp_path: Path) -> None:
    home = Home.of("coder", tmp_path)
    home.path.mkdir(parents=True)
    home.config.write_text("")

    async def main() -> None:
        board = Board(
            lambda: collect(tmp_path, FakeS6ServiceManager("default", "coder")),
            lambda: InstallationChanges(tmp_path, tmp_path / "service"),
            interval=3600,
        )
        watching = board.changes()
        assert (await anext(watching)).rows[1].wanted == "down"
        save(home.intent, IntentRecord(intent="running", requested_at=1.0))
        assert (await anext(watching)).rows[1].wanted == "up"
        await watching.aclose()

    asyncio.run(_limited(main))


@pytest.mark.parametrize(
    "happens",
    [
        lambda root: save(
            Home.of("coder", root).parked, ParkedRecord(kind="config", reason="x", parked_at=1)
        ),
        lambda root: (root / "profiles" / "new").mkdir(),
        lambda root: Home.of("coder", root).run_dir.joinpath(".a").rename(root / "profiles/coder/run/a.json"),
        lambda root: (root / "profiles/coder/processes/proc_1/status.json").touch(),
        lambda root: record_event(root, "coder", "ready"),
        lambda root: (root / "service/gateway-coder/supervise/status").write_bytes(b"x"),
        lambda root: (root / "service/gateway-new").mkdir(),
    ],
)
def test_whatever_the_status_is_made_of_wakes(tmp_path: Path, happens: Callable[[Path], object]) -> None:
    home = Home.of("coder", tmp_path)
    for path in (home.run_dir, home.processes / "proc_1", tmp_path / "service/gateway-coder/supervise"):
        path.mkdir(parents=True)
    home.config.write_text("")
    (home.run_dir / ".a").touch()
    (tmp_path / "service/gateway-coder/supervise/status").write_bytes(b"")
    record_event(tmp_path, "coder", "registered")

    async def main() -> None:
        with contextlib.closing(InstallationChanges(tmp_path, tmp_path / "service")) as changes:
            changes.arm()
            happens(tmp_path)
            await changes.next(3600)

    asyncio.run(_limited(main))


def test_what_the_status_is_not_made_of_wakes_nobody(tmp_path: Path) -> None:
    home = Home.of(root=tmp_path)
    home.processes.joinpath("proc_1").mkdir(parents=True)
    for path in (home.state_db, home.processes / "proc_1" / "output"):
        path.write_bytes(b"")

    async def main() -> None:
        with contextlib.closing(InstallationChanges(tmp_path, tmp_path / "service")) as changes:
            changes.arm()
            for path in (home.state_db, home.processes / "proc_1" / "output"):
                path.write_bytes(b"grows")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await changes.next(3600)

    asyncio.run(_limited(main))


def test_a_thing_done_here_is_seen_at_once() -> None:
    async def main() -> None:
        current = _report(default="down")
        board = Board(lambda: current, lambda: Changes(Path("/nowhere"), GROWN), interval=3600)
        watching = board.changes()
        await anext(watching)
        current = _report(default="ready")
        board.look_again()
        assert (await anext(watching)).rows[0].actual == "ready"
        current = _report(default="down")
        board.look_again()
        assert (await board.fresh()).rows[0].actual == "down"
        await watching.aclose()

    asyncio.run(_limited(main))


def test_many_watchers_cost_one_look() -> None:
    async def main() -> None:
        board = Board(lambda: _report(default="down"), interval=30)
        watching = [board.changes() for _ in range(20)]
        assert len({id(await anext(each)) for each in watching}) == 1
        assert board.looks == 1
        board.close()
        for each in watching:
            assert await anext(each, None) is None

    asyncio.run(_limited(main))


def test_a_look_that_fails_is_shown_and_the_next_one_is_tried() -> None:
    async def main() -> list[Overview]:
        answers: list[Callable[[], StatusReport]] = [_broken, lambda: _report(default="down")]
        board = Board(lambda: answers.pop(0)() if len(answers) > 1 else answers[0](), interval=0.01)
        watching = board.changes()
        seen = [await anext(watching), await anext(watching)]
        await watching.aclose()
        return seen

    failed, well = asyncio.run(_limited(main))
    assert failed.problems == ["no disk"]
    assert well.rows[0].name == "default"


def _broken() -> StatusReport:
    raise OSError("no disk")


async def _limited(main: Callable[[], Any]) -> Any:
    async with asyncio.timeout(30):
        return await main()


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)
