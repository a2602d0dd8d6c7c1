"""The gateway may end at any moment: its runs go on, are told whole, and are executed once."""

from __future__ import annotations

from pathlib import Path

import pytest

from .harness import assert_store_sound, assert_whole, lives, text_of

_LINES = 400


def _numbered(name: str) -> str:
    return (
        f"echo ran >>counter.{name}; i=0; while [ $i -lt {_LINES} ]; do i=$((i+1)); echo $i; sleep 0.01; done"
    )


@pytest.mark.parametrize("seed", range(4))
def test_a_hundred_kills_neither_lose_nor_repeat_an_event_nor_a_run(home: Path, seed: int) -> None:
    """25 kills in each of four tests, at random moments, three runs at once."""
    names = ("a", "b", "c")
    runs = {name: _numbered(name) for name in names}
    told = lives(home, runs, kills=25, seed=seed, shortest=0.005, longest=0.3)
    assert told["kills"] >= 20
    for name in names:
        events = told["seen"][name]
        assert_whole(events)
        assert events[-1]["type"] == "completed"
        assert text_of(events).split() == [str(number) for number in range(1, _LINES + 1)]
        assert (home / f"counter.{name}").read_text() == "ran\n"
    assert_store_sound(home)


def _points(home: Path) -> list[str]:
    names: list[str] = lives(home, {"k": "echo ran >>counter; echo said"}, points=True)["points"]
    return names


def test_a_kill_in_any_window_between_two_writes_executes_once(tmp_path: Path) -> None:
    """Every window: before and after each transaction, the reservation, the keeper, each look."""
    first = tmp_path / "first"
    first.mkdir()
    points = _points(first)
    assert {"after _transact", "after reserve", "before _receive", "after poll"} <= set(points)
    for number, name in enumerate(points, 1):
        home = tmp_path / f"home{number}"
        home.mkdir()
        runs = {"k": "echo ran >>counter; echo said"}
        told = lives(home, runs, points=True, deadly=number)
        events = told["seen"]["k"]
        assert_whole(events)
        assert events[-1]["type"] == "completed", (name, events)
        assert text_of(events) == "said\n", name
        assert (home / "counter").read_text() == "ran\n", name
        assert_store_sound(home)
