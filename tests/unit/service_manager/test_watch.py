"""Waiting for a file: what happens after arming is not missed, and nothing there is no reason to fail."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from hermes_cli.service_manager import watch
from hermes_cli.service_manager.watch import GROWN, REPLACED, Watch


def replace(path: Path, content: str) -> None:
    """As s6-supervise writes its status: a new file renamed over the old."""
    new = path.with_name(".new")
    new.write_text(content)
    new.replace(path)


def waited(watching: Watch, timeout: float) -> float:
    began = time.monotonic()
    watching.wait(timeout)
    return time.monotonic() - began


def test_a_replaced_file_wakes_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "status"
    path.write_text("0")
    with Watch(path, REPLACED) as watching:
        for number in range(5):
            watching.arm()
            timer = threading.Timer(0.05, replace, (path, str(number)))
            timer.start()
            assert waited(watching, 10) < 5
            timer.join()


def test_what_happens_between_arming_and_waiting_is_not_missed(tmp_path: Path) -> None:
    path = tmp_path / "status"
    path.write_text("0")
    with Watch(path, REPLACED) as watching:
        watching.arm()
        replace(path, "1")
        assert waited(watching, 10) < 5


def test_without_an_event_it_waits_as_long_as_it_was_told(tmp_path: Path) -> None:
    with Watch(tmp_path, GROWN) as watching:
        watching.arm()
        assert 0.2 <= waited(watching, 0.2) < 2


@pytest.mark.parametrize("make", [False, True])
def test_a_missing_path_or_no_inotify_left_makes_it_look_more_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: bool
) -> None:
    if make:
        (tmp_path / "status").touch()
        monkeypatch.setattr(watch.Watch, "_open", staticmethod(lambda: -1))
    with Watch(tmp_path / "status", REPLACED) as watching:
        watching.arm()
        assert waited(watching, 10) < 1


def test_closing_leaves_no_descriptor(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with Watch(tmp_path, GROWN) as watching:
        watching.arm()
    watching.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
