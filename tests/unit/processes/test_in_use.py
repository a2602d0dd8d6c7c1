"""The note that a sandbox may have events is only removed when no start could have been missed."""

from __future__ import annotations

from pathlib import Path

from hermes_cli.processes.in_use import UNDER_WAY, forget, note, sandboxes_in_use, using


def test_a_note_is_left_by_a_start_and_removed_when_nothing_came_after(tmp_path: Path) -> None:
    assert (sandboxes_in_use(tmp_path), note(tmp_path, "ssh")) == ([], None)
    with using(tmp_path, "ssh"):
        pass
    assert sandboxes_in_use(tmp_path) == ["ssh"]
    said = note(tmp_path, "ssh")
    assert said is not None
    assert forget(tmp_path, "ssh", said)
    assert sandboxes_in_use(tmp_path) == []


def test_a_note_read_during_a_start_is_not_removed_after_it(tmp_path: Path) -> None:
    with using(tmp_path, "ssh"):
        said = note(tmp_path, "ssh")
        assert said == UNDER_WAY
        assert not forget(tmp_path, "ssh", said)
    assert not forget(tmp_path, "ssh", said)
    assert sandboxes_in_use(tmp_path) == ["ssh"]


def test_a_start_after_the_reading_keeps_the_note(tmp_path: Path) -> None:
    with using(tmp_path, "docker"):
        pass
    said = note(tmp_path, "docker")
    assert said is not None
    with using(tmp_path, "docker"):
        assert not forget(tmp_path, "docker", said)
    assert not forget(tmp_path, "docker", said)
    assert sandboxes_in_use(tmp_path) == ["docker"]
