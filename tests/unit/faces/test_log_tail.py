"""A log that is read while it grows and rotates gives every line once."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from hermes_cli.faces.log_tail import Cursor, LogTail, follow


def _write(directory: Path, text: str, name: str = "current") -> None:
    with (directory / name).open("a") as file:
        file.write(text)


def _rotate(directory: Path, stamp: str) -> None:
    (directory / "current").rename(directory / f"@{stamp}.s")


def _drain(tail: LogTail) -> list[str]:
    found: list[str] = []
    while lines := tail.read():
        found += lines
    return found


def test_it_begins_so_many_lines_before_the_end(tmp_path: Path) -> None:
    _write(tmp_path, "".join(f"{n}\n" for n in range(10)))
    tail = LogTail(tmp_path, lines=3)
    assert _drain(tail) == ["7", "8", "9"]
    _write(tmp_path, "10\n\n11\n")
    assert _drain(tail) == ["10", "", "11"]
    tail.close()


def test_a_missing_log_is_empty_until_it_appears(tmp_path: Path) -> None:
    tail = LogTail(tmp_path / "log")
    assert tail.read() == []
    (tmp_path / "log").mkdir()
    _write(tmp_path / "log", "first\n")
    assert _drain(tail) == ["first"]
    tail.close()


def test_a_line_is_given_out_when_it_is_whole(tmp_path: Path) -> None:
    _write(tmp_path, "half")
    tail = LogTail(tmp_path)
    assert _drain(tail) == []
    _write(tmp_path, " done\n")
    assert _drain(tail) == ["half done"]
    tail.close()


def test_what_is_written_before_and_after_a_rotation_comes_in_order(tmp_path: Path) -> None:
    _write(tmp_path, "0\n")
    tail = LogTail(tmp_path)
    assert _drain(tail) == ["0"]
    _write(tmp_path, "1\n")
    _rotate(tmp_path, "1")
    _write(tmp_path, "2\n")
    _rotate(tmp_path, "2")
    _write(tmp_path, "3\n")
    assert _drain(tail) == ["1", "2", "3"]
    tail.close()


def test_a_cursor_goes_on_where_it_stood_even_in_a_rotated_file(tmp_path: Path) -> None:
    _write(tmp_path, "0\n1\n")
    first = LogTail(tmp_path)
    _drain(first)
    cursor = Cursor.parse(str(first.cursor))
    first.close()
    _write(tmp_path, "2\n")
    _rotate(tmp_path, "1")
    _write(tmp_path, "3\n")
    second = LogTail(tmp_path, cursor=cursor)
    assert not second.skipped
    assert _drain(second) == ["2", "3"]
    second.close()


def test_a_cursor_whose_file_is_gone_says_that_something_was_skipped(tmp_path: Path) -> None:
    _write(tmp_path, "new\n")
    tail = LogTail(tmp_path, cursor=Cursor("1-5"))
    assert tail.skipped
    assert _drain(tail) == ["new"]
    tail.close()


def test_a_link_or_a_pipe_in_place_of_the_log_is_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret\n")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "current").symlink_to(secret)
    (tmp_path / "b").mkdir()
    os.mkfifo(tmp_path / "b" / "current")
    for name in "ab":
        tail = LogTail(tmp_path / name)
        assert tail.read() == []
        tail.close()


def test_rubbish_bytes_and_endless_lines_do_not_stop_it(tmp_path: Path) -> None:
    (tmp_path / "current").write_bytes(b"\xff\xfe\x00\n" + b"x" * 300_000)
    tail = LogTail(tmp_path)
    assert tail.read() == ["\ufffd\ufffd\x00"]
    assert tail.read() == ["x" * 300_000]
    tail.close()


def test_following_wakes_up_for_new_lines(tmp_path: Path) -> None:
    async def main() -> list[list[str]]:
        batches = []
        following = follow(LogTail(tmp_path))
        async with asyncio.timeout(10):
            for text in ("one\n", "two\n"):
                _write(tmp_path, text)
                batches.append(await anext(following))
        await following.aclose()
        return batches

    assert asyncio.run(main()) == [["one"], ["two"]]
