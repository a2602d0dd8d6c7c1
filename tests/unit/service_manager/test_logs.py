"""Reading what s6-log leaves: archives, a rotation half done, odd bytes, lines without end."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from io import FileIO
from itertools import islice
from pathlib import Path

import pytest

from hermes_cli.service_manager import logs
from hermes_cli.service_manager.logs import follow_log, read_log

A, B, C = (f"@400000006b0145d{digit}06c389b8.s" for digit in "123")


def write(directory: Path, **files: str) -> None:
    for name, content in files.items():
        (directory / {"a": A, "b": B, "c": C}.get(name, name)).write_text(content)


def take(lines: Iterator[str], count: int) -> list[str]:
    return list(islice(lines, count))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    directory = tmp_path / "log"
    directory.mkdir()
    return directory


def test_the_order_is_archives_then_what_is_being_rotated_then_current(log: Path) -> None:
    write(log, b="3\n4\n", a="1\n2\n", previous="5\n", current="6\n7\n", lock="", state="no log")
    assert list(read_log(log, 100)) == list("1234567")
    assert list(read_log(log, 4)) == list("4567")
    assert list(read_log(log, 2)) == list("67")


def test_an_unfinished_last_line_is_shown(log: Path) -> None:
    write(log, current="one\ntwo")
    assert list(read_log(log, 100)) == ["one", "two"]


def test_nothing_there_is_no_lines(tmp_path: Path, log: Path) -> None:
    assert list(read_log(log, 100)) == []
    assert list(read_log(tmp_path / "none", 100)) == []


def test_bytes_that_are_no_text_are_shown_and_do_not_raise(log: Path) -> None:
    (log / "current").write_bytes("žluť ".encode() + b"\xff\x00\n")
    assert list(read_log(log, 1)) == ["žluť \ufffd\x00"]


def test_lines_longer_than_a_block_are_whole(log: Path) -> None:
    write(log, current="short\n" + "x" * 200_000 + "\nlast\n")
    assert [len(line) for line in read_log(log, 2)] == [200_000, 4]
    assert [len(line) for line in read_log(log, 3)] == [5, 200_000, 4]


def test_following_reads_the_rest_of_a_rotated_file_and_all_between(log: Path) -> None:
    write(log, current="1\n2\n")
    lines = follow_log(log, 1)
    assert take(lines, 1) == ["2"]
    with (log / "current").open("a") as file:
        file.write("3\n")
    # Two rotations since it last looked.
    (log / "current").rename(log / A)
    write(log, b="4\n5\n", current="6\n")
    assert take(lines, 4) == list("3456")
    with (log / "current").open("a") as file:
        file.write("7\n")
    assert take(lines, 1) == ["7"]
    lines.close()  # type: ignore[attr-defined]


def test_what_is_written_just_before_a_rotation_is_not_lost(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(log, current="1\n")
    lines = follow_log(log, 10)
    assert take(lines, 1) == ["1"]
    real = logs._successor

    def late(directory: Path, current: FileIO | None, parts: object) -> FileIO | None:
        """s6-log writes and rotates when the follower has read to the end, before it looks on."""
        if not (log / A).exists():
            with (log / "current").open("a") as file:
                file.write("2\n")
            (log / "current").rename(log / A)
            write(log, current="3\n")
        return real(directory, current, logs.any_parts)

    monkeypatch.setattr(logs, "_successor", late)
    assert take(lines, 2) == ["2", "3"]


def test_following_waits_for_the_end_of_a_line(log: Path) -> None:
    write(log, current="one\nhal")
    lines = follow_log(log, 10)
    assert take(lines, 1) == ["one"]
    with (log / "current").open("a") as file:
        file.write("f\n")
    assert take(lines, 1) == ["half"]


def test_following_goes_on_with_the_oldest_kept_when_its_file_was_deleted(log: Path) -> None:
    write(log, current="1\n")
    lines = follow_log(log, 10)
    assert take(lines, 1) == ["1"]
    (log / "current").unlink()
    write(log, b="4\n", c="5\n", current="6\n")
    assert take(lines, 3) == list("456")


def test_following_ends_with_its_directory(log: Path) -> None:
    write(log, current="1\n")
    lines = follow_log(log, 10)
    assert take(lines, 1) == ["1"]
    shutil.rmtree(log)
    assert list(lines) == []
