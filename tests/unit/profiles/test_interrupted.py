"""A change of profiles that is killed at any point is finished or undone by the next command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_DRIVER = Path(__file__).with_name("crash_driver.py")
_PLACE = Path(__file__).parents[3]


def crashes(action: str, tmp_path: Path) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, str(_DRIVER), action, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=110,
        env={"PYTHONPATH": str(_PLACE), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found[-1]["finished"]
    # Fewer crash points would mean that the driver no longer sees what the change does.
    assert len(found) > 8
    for one in found:
        assert one["recovered"]["hidden"] == [], one
        assert one["recovered"]["strays"] == [], one
        assert one["again"] == [], one
        assert set(one["recovered"]["profiles"].values()) == {None}, one
        assert len(set(one["recovered"]["ports"])) == len(one["recovered"]["ports"]), one
        assert one["recovered"]["slots"]["bystander"] == "down", one
        assert set(one["recovered"]["slots"]) == set(one["recovered"]["profiles"]) - {"default"}, one
    return found


@pytest.mark.timeout(120)
def test_a_killed_create_leaves_the_whole_profile_or_nothing(tmp_path: Path) -> None:
    found = crashes("create", tmp_path)
    made = ["coder" in one["recovered"]["profiles"] for one in found]
    assert made == sorted(made), "once made, it stays made"
    assert not made[0]
    assert made[-1]


@pytest.mark.timeout(120)
def test_a_killed_delete_leaves_the_whole_profile_or_nothing(tmp_path: Path) -> None:
    found = crashes("delete", tmp_path)
    kept = ["coder" in one["recovered"]["profiles"] for one in found]
    assert kept == sorted(kept, reverse=True), "once gone, it stays gone"
    assert kept[0]
    assert not kept[-1]
    for one, whole in zip(found, kept, strict=True):
        assert one["recovered"]["files"] == int(whole), "all of its files, or none"


@pytest.mark.timeout(120)
def test_a_killed_rename_leaves_one_profile_under_one_name_running_as_it_was(tmp_path: Path) -> None:
    for one in crashes("rename", tmp_path):
        names = set(one["recovered"]["profiles"]) & {"coder", "writer"}
        assert len(names) == 1, one
        assert one["recovered"]["files"] == 1, one
        assert one["recovered"]["slots"][names.pop()] == "up", one
