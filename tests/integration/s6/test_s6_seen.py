"""Whoever looks again and again asks only of what has moved, and is never told what was."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hermes_cli.service_manager import spawn
from tests.integration.s6.tree import Tree, until


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The slots that s6's programs were run for."""
    names: list[str] = []
    run_all = spawn.run_all

    def counting(argvs: Sequence[Sequence[str]], **options: Any) -> list[spawn.Completed]:
        names.extend(Path(argv[-1]).name for argv in argvs)
        return run_all(argvs, **options)

    monkeypatch.setattr(spawn, "run_all", counting)
    return names


def test_only_what_has_moved_is_asked(tree: Tree, asked: list[str]) -> None:
    manager = tree.manager()
    for profile in ("still", "moving"):
        manager.register_profile_gateway(profile)
    manager.status_all()
    asked.clear()
    manager.status_all()
    assert asked == []
    tree.manager().start("gateway-moving")
    found = manager.status_all()
    assert set(asked) == {"gateway-moving"}
    assert [status.in_words() for status in found.values()] == ["ready", "down"]


def test_every_step_is_seen_as_by_one_who_looks_for_the_first_time(tree: Tree) -> None:
    manager, other = tree.manager(), tree.manager()
    manager.register_profile_gateway("coder")
    name = "gateway-coder"
    for step in (
        lambda: other.start(name),
        lambda: other.restart(name),
        lambda: os.kill(other.status(name).pid or 0, signal.SIGKILL),
        lambda: (tree.scandir / name / "down").touch(),
        lambda: other.stop(name),
        lambda: (tree.scandir / name / "down").unlink(),
        lambda: subprocess.run(["s6-svc", "-o", tree.scandir / name], check=True),
    ):
        manager.status_all()
        step()
        until(lambda: manager.status_all() == tree.manager().status_all(), "both see the same")


def test_a_lost_supervisor_is_seen_though_no_file_has_moved(tree: Tree) -> None:
    manager = tree.manager()
    manager.register_profile_gateway("coder")
    assert manager.status_all()["gateway-coder"].answering
    os.kill(tree.supervisor("gateway-coder"), signal.SIGKILL)
    until(lambda: not manager.status_all()["gateway-coder"].answering, "its loss is seen")
    until(lambda: manager.status_all()["gateway-coder"].answering, "it is supervised again")
