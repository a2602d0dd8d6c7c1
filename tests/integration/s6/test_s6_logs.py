"""What `logs` promises, over a real s6-log."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import Queue

import pytest

from hermes_cli.service_manager import GatewayNotRegisteredError
from tests.integration.s6.tree import Tree, until


class Follower:
    """Reads a followed log in a thread, as `hermes gateway logs -f` would."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._queue: Queue[str] = Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._lines:
            self._queue.put(line)

    def take(self, count: int) -> list[str]:
        return [self._queue.get(timeout=10) for _ in range(count)]


def test_the_last_lines_come_oldest_first_across_rotated_files(tree: Tree) -> None:
    manager = tree.manager()
    manager.register_profile_gateway("coder", start_now=True)
    said = [f"{number:04} {'x' * 60}" for number in range(150)]
    tree.say("coder", "".join(f"{line}\n" for line in said))
    directory = tree.logs / "coder"
    until(lambda: said[-1] in list(manager.logs("gateway-coder", lines=1)), "the last line is logged")
    assert list(directory.glob("@*")), "the test must rotate"
    assert list(manager.logs("gateway-coder", lines=140)) == said[-140:]
    assert list(manager.logs("gateway-coder", lines=3)) == said[-3:]
    assert list(manager.logs("gateway-coder", lines=0)) == []


def test_following_misses_and_repeats_nothing_through_rotations(tree: Tree) -> None:
    manager = tree.manager()
    manager.register_profile_gateway("coder", start_now=True)
    follower = Follower(manager.logs("gateway-coder", lines=10, follow=True))
    tree.say("coder", "begin\n")
    assert follower.take(1) == ["begin"]
    said = [f"{number:04} {'y' * 60}" for number in range(400)]
    seen: list[str] = []
    for first in range(0, 400, 20):
        tree.say("coder", "".join(f"{line}\n" for line in said[first : first + 20]))
        seen += follower.take(20)
    assert seen == said
    assert list((tree.logs / "coder").glob("@*")), "the test must rotate"


def test_following_begins_before_there_is_a_log(tree: Tree) -> None:
    manager = tree.manager()
    (tree.scandir / "gateway-later").mkdir()
    follower = Follower(manager.logs("gateway-later", follow=True))
    (tree.logs / "later").mkdir()
    (tree.logs / "later/current").write_text("here\n")
    assert follower.take(1) == ["here"]


def test_the_log_outlives_the_slot_and_no_log_at_all_is_a_typed_error(tree: Tree) -> None:
    manager = tree.manager()
    manager.register_profile_gateway("coder", start_now=True)
    tree.say("coder", "hello\n")
    until(lambda: list(manager.logs("gateway-coder")) == ["hello"], "it is logged")
    manager.unregister_profile_gateway("coder")
    assert list(manager.logs("gateway-coder")) == ["hello"]
    with pytest.raises(GatewayNotRegisteredError):
        manager.logs("gateway-ghost")


def test_an_empty_log_is_no_lines(tree: Tree) -> None:
    manager = tree.manager()
    (tree.scandir / "gateway-mute").mkdir()
    assert list(manager.logs("gateway-mute")) == []
