"""Output on disk and back: any pieces, any cursor, any page; what the cap or the disk took is said."""

from __future__ import annotations

import os
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes_cli.processes import frames
from hermes_cli.processes.keeper.writer import SpoolWriter
from hermes_cli.processes.spool import Spool

PIECES = st.lists(st.binary(min_size=1, max_size=300), max_size=40)
LINES = st.lists(st.text(alphabet="ab \n\r", min_size=1, max_size=40), max_size=60)
BUDGETS = st.sampled_from([9 * 64, 9 * 200, 9 * 1000, 1 << 20])


@contextmanager
def written(pieces: list[bytes], budget: int = 1 << 20) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        writer = SpoolWriter(directory, budget)
        for number, piece in enumerate(pieces):
            writer.write(1 + number % 2, piece, 1_000_000 + number)
        writer.close()
        yield Path(directory)


def kept_bytes(spool: Spool) -> dict[int, int]:
    """Offset to byte, of all that is there."""
    return {
        record.offset + index: byte for record in spool.records() for index, byte in enumerate(record.data)
    }


@settings(deadline=None)
@given(PIECES)
def test_what_was_written_is_read_back_whatever_the_pieces(pieces: list[bytes]) -> None:
    with written(pieces) as directory:
        records = list(Spool(directory).records())
        assert b"".join(record.data for record in records) == b"".join(pieces)
        assert [record.stream for record in records] == [1 + number % 2 for number in range(len(pieces))]


@settings(deadline=None)
@given(PIECES, BUDGETS, st.integers(0, 13_000), st.integers(1, 2000), st.integers(0, 500))
def test_any_cursor_reads_what_is_there_from_it_on(
    pieces: list[bytes], budget: int, start: int, size: int, context: int
) -> None:
    output = b"".join(pieces)
    with written(pieces, budget) as directory:
        spool = Spool(directory)
        kept = kept_bytes(spool)
        chunk = spool.read(start, size, context)
        assert chunk.end_of_output == len(output)
        assert len(chunk.data) <= size
        assert output[chunk.start : chunk.end] == chunk.data
        assert output[chunk.start - len(chunk.before) : chunk.start] == chunk.before
        behind = [offset for offset in kept if offset >= start]
        if behind:
            assert chunk.data
            assert chunk.start == min(behind)
            assert chunk.dropped == chunk.start - start
            before = len(chunk.before)
            assert before == context or chunk.start - before - 1 not in kept
        else:
            assert not chunk.data


@settings(deadline=None)
@given(PIECES, BUDGETS, st.integers(1, 700))
def test_following_cursors_gives_everything_once_and_counts_the_rest(
    pieces: list[bytes], budget: int, size: int
) -> None:
    output = b"".join(pieces)
    with written(pieces, budget) as directory:
        spool = Spool(directory)
        kept = kept_bytes(spool)
        cursor = seen = dropped = 0
        for _ in range(len(output) + 2):
            chunk = spool.read(cursor, size)
            assert output[chunk.start : chunk.end] == chunk.data
            seen, dropped, cursor = seen + len(chunk.data), dropped + chunk.dropped, chunk.end
            assert chunk.gap == (bool(chunk.data) and cursor < len(output) and cursor not in kept)
            if cursor >= len(output):
                break
        assert cursor == len(output)
        assert seen + dropped == len(output)
        assert seen == len(kept)


@settings(deadline=None)
@given(PIECES, BUDGETS, st.integers(0, 4000), st.integers(0, 200))
def test_the_tail_is_the_end_of_the_output(pieces: list[bytes], budget: int, size: int, context: int) -> None:
    output = b"".join(pieces)
    with written(pieces, budget) as directory:
        spool = Spool(directory)
        chunk = spool.tail(size, context)
        assert chunk.end == len(output) == spool.end()
        assert len(chunk.data) <= size
        assert output.endswith(chunk.before + chunk.data)
        kept = kept_bytes(spool)
        first = chunk.start - len(chunk.before)
        assert len(chunk.data) + len(chunk.before) >= size + context or first - 1 not in kept


@settings(deadline=None)
@given(LINES, st.integers(0, 50), st.integers(1, 50), st.sampled_from([9 * 64, 1 << 20]))
def test_pages_of_lines_from_the_beginning(texts: list[str], offset: int, limit: int, budget: int) -> None:
    output = "".join(texts).encode()
    lines = [line.removesuffix(b"\r") for line in output.removesuffix(b"\n").split(b"\n")] if output else []
    with written([text.encode() for text in texts], budget) as directory:
        spool = Spool(directory)
        page = spool.page(offset, limit)
        if len(kept_bytes(spool)) == len(output):
            assert page.total == len(lines)
            assert page.lines == lines[offset : offset + limit]
            assert page.dropped == 0
            assert spool.page(None, limit).lines == lines[-limit:]
        elif page.lines:
            assert offset <= page.first < offset + limit
            assert all(line in output for line in page.lines)


def test_lines_on_both_sides_of_a_gap_keep_their_numbers() -> None:
    lines = [b"line %06d\n" % number for number in range(5000)]
    with written(lines, 9 * 2000) as directory:
        spool = Spool(directory)
        assert spool.page(0, 3).lines == [b"line 000000", b"line 000001", b"line 000002"]
        last = spool.page(None, 3)
        assert (last.total, last.first) == (5000, 4997)
        assert last.lines == [b"line 004997", b"line 004998", b"line 004999"]
        into_the_gap = spool.page(40, 100)
        assert into_the_gap.lines[0] == b"line 000040"
        assert into_the_gap.dropped > 0
        assert spool.page(0, 10).dropped == 0
        across = spool.page(40, 5000)
        assert across.lines[-1] == b"line 004999"
        assert across.dropped == into_the_gap.dropped


def test_the_cap_keeps_the_beginning_and_the_end_and_is_never_passed() -> None:
    budget = 90_000
    with tempfile.TemporaryDirectory() as directory:
        writer = SpoolWriter(directory, budget)
        most = 0
        for number in range(400):
            writer.write(1, b"%08d" % number * 150, 0)
            most = max(most, sum(entry.stat().st_size for entry in os.scandir(directory)))
        writer.close()
        assert most <= budget
        spool = Spool(Path(directory))
        assert spool.read(0, 8).data == b"00000000"
        assert spool.tail(8).data == b"00000399"
        assert len(kept_bytes(spool)) > budget * 3 // 4


@settings(deadline=None)
@given(PIECES.filter(bool), st.integers(1, 400), st.booleans())
def test_a_torn_last_frame_costs_only_itself(pieces: list[bytes], cut: int, finished: bool) -> None:
    output = b"".join(pieces)
    with written(pieces) as directory:
        segment = next(directory.iterdir())
        size = segment.stat().st_size
        os.truncate(segment, max(0, size - cut))
        spool = Spool(directory, finished=finished)
        found = b"".join(record.data for record in spool.records())
        assert output.startswith(found)
        assert spool.tail(1 << 20).data == found
        assert spool.end() == len(found)
        assert spool.read(0, 1 << 20).data == found
        if finished:
            overhead = frames.OVERHEAD * len(pieces)
            assert len(found) >= len(output) - cut - overhead


def test_a_line_of_megabytes_is_read_in_time_and_shown_shortened() -> None:
    with written([b"x" * 100] * 40_000, 16 << 20) as directory:
        page = Spool(directory).page(None, 10)
        assert page.total == 1
        assert page.lines[0].endswith(b" [%d bytes more]" % (4_000_000 - (1 << 16)))


def test_a_page_is_bounded_and_says_what_it_shows() -> None:
    with written([b"y" * 60_000 + b"\n"] * 200, 16 << 20) as directory:
        page = Spool(directory).page(0, 200)
        assert page.total == 200
        assert 50 < len(page.lines) < 80


def test_a_disk_that_takes_nothing_costs_what_comes_then_and_nothing_before() -> None:
    with tempfile.TemporaryDirectory() as directory:
        writer = SpoolWriter(directory, 9 * 4000)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        for number in range(5):
            writer.write(1, b"%04d" % number * 500, 0)
        before = kept_bytes(Spool(Path(directory)))
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))  # EFBIG stands for ENOSPC
            for _ in range(50):
                writer.write(1, b"lost" * 500, 0)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert kept_bytes(Spool(Path(directory))) == before
        writer.write(1, b"again\n", 0)
        writer.close()
        spool = Spool(Path(directory))
        assert spool.end() == 55 * 2000 + 6
        assert spool.read(10_000, 100).dropped == 100_000
        assert spool.read(10_000, 100).data == b"again\n"


def test_what_the_disk_did_not_take_at_the_very_end_is_counted_too() -> None:
    with written([b"kept"]) as directory:
        spool = Spool(directory, finished=True, length=100)
        assert spool.end() == 100
        first = spool.read(0, 50)
        assert (first.data, first.gap) == (b"kept", True)
        rest = spool.read(4, 50)
        assert (rest.data, rest.dropped, rest.end) == (b"", 96, 100)


@pytest.mark.parametrize("kind", ["fifo", "link", "directory", "rubbish"])
def test_what_is_no_segment_is_passed_over(tmp_path: Path, kind: str) -> None:
    with written([b"real\n"]) as directory:
        planted = directory / frames.segment_name(5, 1)
        if kind == "fifo":
            os.mkfifo(planted)
        elif kind == "link":
            planted.symlink_to(next(directory.iterdir()))
        elif kind == "directory":
            planted.mkdir()
        else:
            planted.write_bytes(os.urandom(500))
            (directory / "notes.txt").write_text("x")
        spool = Spool(directory)
        assert spool.read(0, 100).data == b"real\n"
        assert spool.page(None, 10).lines == [b"real"]


def test_a_directory_that_is_gone_or_a_link_is_empty(tmp_path: Path) -> None:
    with written([b"secret"]) as directory:
        (tmp_path / "output").symlink_to(directory)
        for path in (tmp_path / "output", tmp_path / "nowhere"):
            spool = Spool(path)
            assert (spool.end(), spool.tail(10).data, spool.page(None, 5).total) == (0, b"", 0)
