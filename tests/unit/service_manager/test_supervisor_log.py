"""The log of a supervised service: bounded, cut at line ends, and no reason for anything to stop."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hermes_cli.service_manager.logs import numbered_parts, read_log
from hermes_cli.service_manager.supervisor_log import Pump, RotatingLog


def written(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(directory.iterdir())}


def test_parts_end_at_line_ends_and_the_oldest_goes(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path / "a.log", part=20, parts=3)
    for number in range(10):
        log.write(f"line {number}\n".encode())
    log.close()
    assert written(tmp_path) == {
        "a.log": "line 8\nline 9\n",
        "a.log.1": "line 6\nline 7\n",
        "a.log.2": "line 4\nline 5\n",
    }


def test_one_write_of_many_lines_is_divided(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path / "a.log", part=1000, parts=10)
    log.write(b"".join(b"line %03d\n" % number for number in range(500)))
    log.close()
    assert all(path.stat().st_size <= 1000 for path in tmp_path.iterdir())
    lines = list(read_log(tmp_path, 10_000, numbered_parts("a.log")))
    assert lines == [f"line {number:03d}" for number in range(500)]


def test_a_line_without_end_is_bounded_too(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path / "a.log", part=1000, parts=3)
    for _ in range(100):
        log.write(b"x" * 777)
    log.close()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 3000


def test_it_goes_on_in_the_file_of_an_earlier_supervisor(tmp_path: Path) -> None:
    for word in (b"one\n", b"two\n"):
        log = RotatingLog(tmp_path / "a.log")
        log.write(word)
        log.close()
    assert written(tmp_path) == {"a.log": "one\ntwo\n"}


def test_what_a_full_disk_swallowed_is_said_when_there_is_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = RotatingLog(tmp_path / "a.log")
    log.write(b"before\n")

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        log.write(b"lost\n")
        log.write(b"and lost\n")
    log.write(b"after\n")
    log.close()
    assert written(tmp_path)["a.log"].splitlines() == [
        "before",
        "supervisor: 14 bytes of output are lost here (No space left on device)",
        "after",
    ]


def test_a_part_that_cannot_be_renamed_is_gone_on_with_and_never_without_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows renames no file that a reader has open."""

    def refuse(self: Path, target: Path) -> Path:
        if self.exists():
            raise PermissionError(13, "The process cannot access the file")
        raise FileNotFoundError

    log = RotatingLog(tmp_path / "a.log", part=100, parts=3)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", refuse)
        for number in range(200):
            log.write(b"line %05d\n" % number)
            assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 400
    log.write(b"x" * 99 + b"\n")
    log.write(b"free again\n")
    log.close()
    assert (tmp_path / "a.log.1").exists()
    assert list(read_log(tmp_path, 1, numbered_parts("a.log"))) == ["free again"]


def test_everything_said_before_the_end_is_in_the_log(tmp_path: Path) -> None:
    pump = Pump(RotatingLog(tmp_path / "a.log"))
    pump.start()
    said = [f"\0line {number} \0hermes" for number in range(2000)]
    for line in said:
        os.write(pump.writer, f"{line}\n".encode())
    pump.drain(10)
    assert (tmp_path / "a.log").read_text().splitlines() == said
