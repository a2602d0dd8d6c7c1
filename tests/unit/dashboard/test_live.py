"""The page is told what is different, and nobody looks while nobody watches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from hermes_cli.dashboard.live import Board, difference, snapshot
from hermes_cli.faces.overview import Overview, overview
from hermes_cli.status import ServiceReport, StatusReport
from hermes_cli.status.model import Actual


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
    async with asyncio.timeout(10):
        return await main()


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)
