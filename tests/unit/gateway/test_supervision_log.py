"""The supervision log: whole lines from many writers, and readers that survive torn ones."""

from __future__ import annotations

import json
import threading
from multiprocessing import get_context
from pathlib import Path
from queue import Queue

import pytest

from hermes_cli.gateway import supervision_log
from hermes_cli.gateway.supervision_log import SupervisionEvent, read_events, record_event
from hermes_cli.home import Home


def path_in(root: Path) -> Path:
    return Home.of(root=root).supervision_log


def test_an_event_is_one_line_with_a_utc_time(tmp_path: Path) -> None:
    assert record_event(tmp_path, "coder", "crashed", signal="SIGKILL", detail="two\nlines")
    (line,) = path_in(tmp_path).read_text().splitlines()
    event = json.loads(line)
    assert event["ts"].endswith("Z")
    assert {key: event[key] for key in event if key != "ts"} == {
        "profile": "coder",
        "event": "crashed",
        "signal": "SIGKILL",
        "detail": "two\nlines",
    }


def test_a_log_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("in the way")
    assert not record_event(tmp_path, "coder", "ready")


def test_a_torn_line_swallows_neither_its_neighbours_nor_the_next(tmp_path: Path) -> None:
    record_event(tmp_path, "a", "ready")
    with path_in(tmp_path).open("ab") as file:
        file.write(b'{"ts":"2026-11-21T06:23:52Z","profile":"\xc3')
    record_event(tmp_path, "b", "draining")
    with path_in(tmp_path).open("ab") as file:
        file.write(b"[]\nnull\n" + b'{"ts":')
    assert [event.profile for event in read_events(tmp_path)] == ["a", "b"]


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine\n")
    (tmp_path / "logs").mkdir()
    path_in(tmp_path).symlink_to(victim)
    assert not record_event(tmp_path, "a", "ready")
    assert victim.read_text() == "mine\n"
    assert list(read_events(tmp_path)) == []


def test_it_is_rotated_and_both_files_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision_log, "ROTATE_AT", 1000)
    for number in range(20):
        record_event(tmp_path, "a", "exited", code=number)
    assert path_in(tmp_path).with_name("supervision.jsonl.1").exists()
    assert path_in(tmp_path).stat().st_size <= 1000
    codes = [event.code for event in read_events(tmp_path)]
    assert codes == list(range(20))[-len(codes) :]
    assert len(codes) > 10


def _write(root: str, profile: str, count: int) -> None:
    for number in range(count):
        record_event(Path(root), profile, "exited", code=number)


def test_many_writers_lose_no_line(tmp_path: Path) -> None:
    context = get_context("spawn")
    writers = [context.Process(target=_write, args=(str(tmp_path), name, 200)) for name in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
    events = list(read_events(tmp_path))
    for name in "abc":
        assert [event.code for event in events if event.profile == name] == list(range(200))


def test_a_follower_sees_what_was_and_what_comes_and_the_rotation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision_log, "ROTATE_AT", 2000)
    record_event(tmp_path, "a", "exited", code=0)
    seen: Queue[SupervisionEvent] = Queue()

    def follow() -> None:
        for event in read_events(tmp_path, follow=True):
            seen.put(event)
            if event.code == 60:
                return

    reader = threading.Thread(target=follow, daemon=True)
    reader.start()
    assert seen.get(timeout=10).code == 0
    for number in range(1, 61):
        record_event(tmp_path, "a", "exited", code=number)
        assert seen.get(timeout=10).code == number
    reader.join(10)
    assert not reader.is_alive()
