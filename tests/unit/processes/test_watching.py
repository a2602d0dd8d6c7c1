"""Watch patterns: what is told of a process's output, what is dropped, and when the watching ends."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes_cli.processes import watching
from hermes_cli.processes.errors import BadPatternError
from hermes_cli.processes.watching import (
    COUNTED,
    LINE_BOUND,
    LINE_KEPT,
    MAX_PATTERN,
    MAX_PATTERNS,
    Found,
    Watcher,
    check_patterns,
)

OUT, ERR = 1, 2
SLOW = "re:^(a|aa)+$"
"""Takes time that doubles with every letter of a line of a's that ends in something else."""


def lines(found: list[Found]) -> list[tuple[str, bytes]]:
    return [(item.type, item.line) for item in found]


def test_a_line_with_the_substring_is_told_with_the_pattern_that_it_matched() -> None:
    watcher = Watcher(["nothing", "ready"])
    (found,) = watcher.feed(b"starting\nserver ready on 8080\nidle\n", 0, OUT)
    assert (found.type, found.pattern, found.line) == ("watch_match", "ready", b"server ready on 8080")
    assert found.suppressed == 0


def test_of_several_patterns_in_one_line_the_first_given_is_told_and_the_line_is_one_match() -> None:
    watcher = Watcher(["second", "first"])
    (found,) = watcher.feed(b"first then second\n", 0, OUT)
    assert found.pattern == "second"
    assert watcher.feed(b"first\n", 15, OUT)[0].suppressed == 0


def test_a_line_is_looked_at_when_it_ends_however_many_pieces_it_came_in() -> None:
    watcher = Watcher(["needle"])
    for piece in (b"a nee", b"", b"d", b"le in the hay"):
        assert watcher.feed(piece, 0, OUT) == []
    assert lines(watcher.feed(b"stack\nnext", 0, OUT)) == [("watch_match", b"a needle in the haystack")]


def test_a_pattern_over_the_end_of_a_line_is_no_match() -> None:
    watcher = Watcher(["ab"])
    assert watcher.feed(b"a\nb\na\r\nb\n", 0, OUT) == []


def test_stdout_and_stderr_do_not_make_one_line_together() -> None:
    watcher = Watcher(["needle"])
    assert watcher.feed(b"nee", 0, OUT) == []
    assert watcher.feed(b"dle\n", 0, ERR) == []
    assert lines(watcher.feed(b"dle\n", 0, OUT)) == [("watch_match", b"needle")]


def test_the_carriage_return_of_a_terminal_is_no_part_of_the_line() -> None:
    assert lines(Watcher(["done"]).feed(b"done\r\n", 0, OUT)) == [("watch_match", b"done")]
    assert lines(Watcher(["re:done$"]).feed(b"done\r\n", 0, OUT)) == [("watch_match", b"done")]


def test_one_match_is_told_in_fifteen_seconds_and_the_next_says_how_many_were_dropped() -> None:
    watcher = Watcher(["x"])
    assert len(watcher.feed(b"x1\nx2\nno\nx3\n", 100, OUT)) == 1
    assert watcher.feed(b"x4\n", 114.99, ERR) == []
    (found,) = watcher.feed(b"x5\n", 115, OUT)
    assert (found.line, found.suppressed) == (b"x5", 3)


def test_three_windows_in_a_row_with_drops_end_the_watching_and_promote_to_completion() -> None:
    watcher = Watcher(["x"])
    told = [found for now in range(60) for found in watcher.feed(b"x\nx\n", now, OUT)]
    assert [found.type for found in told] == ["watch_match"] * 3 + ["watch_disabled"]
    assert [found.suppressed for found in told] == [0, 29, 29, 1]
    assert "ended" in told[-1].message
    assert watcher.promoted
    assert not watcher.enabled
    assert watcher.finish(100) == []


def test_two_strikes_are_not_enough_and_promote_nothing() -> None:
    watcher = Watcher(["x"])
    told = [found for now in range(30) for found in watcher.feed(b"x\nx\n", now, OUT)]
    assert [found.type for found in told] == ["watch_match"] * 2
    assert watcher.enabled
    assert not watcher.promoted


def test_a_window_without_drops_ends_the_row_of_strikes() -> None:
    watcher = Watcher(["x"])
    for now in (0, 15):
        assert len(watcher.feed(b"x\nx\n", now, OUT)) == 1
    assert len(watcher.feed(b"x\n", 30, OUT)) == 1
    for now in (45, 60):
        assert len(watcher.feed(b"x\nx\n", now, OUT)) == 1
    assert watcher.enabled
    assert [found.type for found in watcher.feed(b"x\nx\n", 75, OUT)] == ["watch_match", "watch_disabled"]


def test_a_whole_quiet_window_ends_the_row_of_strikes_too() -> None:
    """A build that prints two errors an hour is no flood."""
    watcher = Watcher(["x"])
    for hour in range(24):
        assert [found.type for found in watcher.feed(b"x\nx\n", hour * 3600, OUT)] == ["watch_match"]


def test_a_clock_that_goes_back_does_not_silence_a_process() -> None:
    watcher = Watcher(["x"])
    watcher.feed(b"x\n", 1_000_000, OUT)
    assert watcher.feed(b"x\n", 10, OUT) == []
    assert len(watcher.feed(b"x\n", 26, OUT)) == 1


def test_an_unfinished_last_line_is_looked_at_once_at_the_end_and_nothing_after_it() -> None:
    watcher = Watcher(["Traceback", "err"])
    assert watcher.feed(b"Traceback", 0, OUT) == []
    assert lines(watcher.finish(1)) == [("watch_match", b"Traceback")]
    assert watcher.finish(1) == []
    assert watcher.feed(b"Traceback\n", 100, OUT) == []
    assert not watcher.enabled
    assert not watcher.promoted


def test_without_patterns_nothing_is_watched() -> None:
    watcher = Watcher([])
    assert not watcher.enabled
    assert watcher.feed(b"anything\n", 0, OUT) == []


@pytest.mark.parametrize("before", [0, 3000, 5000, LINE_BOUND - 100])
def test_of_a_long_line_the_part_with_the_match_is_kept(before: int) -> None:
    (found,) = Watcher(["needle"]).feed(b"." * before + b"needle" + b"." * 9000 + b"\n", 0, OUT)
    assert len(found.line) == LINE_KEPT
    assert b"needle" in found.line


def test_output_without_line_ends_is_looked_at_in_pieces_and_held_in_bounds() -> None:
    watcher = Watcher(["needle"])
    assert watcher.feed(b"." * 100 + b"needle", 0, OUT) == []
    assert len(watcher.feed(b"." * LINE_BOUND, 0, OUT)) == 1
    for _ in range(100):
        watcher.feed(b"." * 50_000, 0, OUT)
        assert sum(len(stream.line) for stream in watcher._streams.values()) < LINE_BOUND
    assert len(watcher.feed(b"\nneedle\n", 15, OUT)) == 1


@pytest.mark.parametrize("pattern", ["re:^needle", "re:^$"])
def test_an_expression_takes_no_later_piece_of_a_long_line_for_a_line(pattern: str) -> None:
    watcher = Watcher([pattern])
    for line in (b"." * LINE_BOUND + b"needle\n", b"." * LINE_BOUND + b"\n"):
        assert watcher.feed(line, 0, OUT) == []
    assert len(watcher.feed(b"\nneedle\n", 0, OUT)) == 1


def test_bytes_that_are_no_text_are_looked_at_like_others() -> None:
    assert lines(Watcher(["ß"]).feed(b"\xff\xfe\x00\xc3\x9f\x80\n", 0, OUT)) == [
        ("watch_match", b"\xff\xfe\x00\xc3\x9f\x80")
    ]
    assert len(Watcher(["re:^\ufffd.ß"]).feed(b"\xff\x00\xc3\x9f\n", 0, OUT)) == 1


def test_a_regular_expression_sees_one_line_as_text() -> None:
    watcher = Watcher(["re:^ERROR (?!ignored).{3}ß$"])
    assert watcher.feed(b" ERROR abc\xc3\x9f\nERROR ignored\n", 0, OUT) == []
    (found,) = watcher.feed(b"x\nERROR abc\xc3\x9f\n", 0, OUT)
    assert (found.pattern, found.line) == ("re:^ERROR (?!ignored).{3}ß$", b"ERROR abc\xc3\x9f")


def test_substrings_and_regular_expressions_go_together() -> None:
    watcher = Watcher(["plain", "re:^[0-9]+$"], window=1)
    assert [found.pattern for found in watcher.feed(b"no\n42\n", 0, OUT)] == ["re:^[0-9]+$"]
    assert [found.pattern for found in watcher.feed(b"so plain\n", 1, OUT)] == ["plain"]


def test_an_expression_that_backtracks_for_ever_is_given_up_within_a_second_and_said_so() -> None:
    watcher = Watcher([SLOW])
    began = time.process_time()
    (found,) = watcher.feed(b"a" * 1000 + b"!\n", 0, OUT)
    assert time.process_time() - began < 2
    assert (found.type, found.pattern) == ("watch_disabled", SLOW)
    assert "too long" in found.message
    assert watcher.promoted
    assert not watcher.enabled


def test_an_expression_that_is_slow_on_every_line_is_given_up_too() -> None:
    watcher = Watcher([SLOW])
    line = b"a" * 27 + b"!\n"
    began = time.process_time()
    while watcher.enabled and time.process_time() - began < 10:
        found = watcher.feed(line, 0, OUT)
    assert [item.type for item in found] == ["watch_disabled"]
    assert time.process_time() - began < 5


def whole(patterns: list[str], script: list[tuple[float, int, bytes]]) -> list[str]:
    watcher = Watcher(patterns)
    told = [repr(found) for now, stream, data in script for found in watcher.feed(data, now, stream)]
    told += map(repr, watcher.finish(script[-1][0] if script else 0))
    return [*told, f"{watcher.enabled} {watcher.promoted}"]


# Letters of few kinds and lines about as long as the bound, so that patterns, ends and cuts meet.
PIECES = st.one_of(
    st.sampled_from([b"a", b"b", b"ab", b"aab\n", b"\n", b"\r\n", b"\xc3\xa4", b"\xc3", b"c\r"]),
    st.integers(-8, 8).map(lambda off: b"c" * (LINE_BOUND + off)),
    st.integers(-8, 8).map(lambda off: b"c" * (LINE_KEPT + off)),
)


@settings(max_examples=300, deadline=None)
@given(
    patterns=st.lists(
        st.sampled_from(["ab", "b", "ä", "aab", "re:a+b$", "re:^$", "re:^c*ab", "re:ä"]),
        min_size=1,
        max_size=3,
    ),
    script=st.lists(
        st.tuples(
            st.sampled_from([0.0, 1.0, 15.0]),
            st.sampled_from([OUT, ERR]),
            st.lists(PIECES, max_size=12).map(b"".join),
        ),
        max_size=8,
    ),
    data=st.data(),
)
def test_any_pieces_of_the_same_bytes_give_the_same_matches(
    patterns: list[str], script: list[tuple[float, int, bytes]], data: st.DataObject
) -> None:
    now = 0.0
    at_once: list[tuple[float, int, bytes]] = []
    in_pieces: list[tuple[float, int, bytes]] = []
    for step, stream, output in script:
        now += step
        at_once.append((now, stream, output))
        cuts = sorted(data.draw(st.lists(st.integers(0, len(output)), max_size=6)))
        in_pieces += [
            (now, stream, output[a:b]) for a, b in zip([0, *cuts], [*cuts, len(output)], strict=True)
        ]
    assert whole(patterns, in_pieces) == whole(patterns, at_once)


@settings(max_examples=300, deadline=None)
@given(
    patterns=st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=4),
    text=st.text("abc\n", max_size=200),
)
def test_the_fast_search_finds_what_looking_at_each_line_finds(patterns: list[str], text: str) -> None:
    expected = [line for line in text.split("\n") if any(pattern in line for pattern in patterns)]
    watcher = Watcher(patterns, strikes=2)
    found = watcher.feed(text.encode(), 0, OUT) + watcher.finish(0)
    assert [item.line.decode() for item in found] == expected[:1]
    again = Watcher(patterns)
    again.feed(text.encode() + b"\n", 0, OUT)
    assert again._suppressed == max(0, len(expected) - 1)
    if expected:
        first = next(pattern for pattern in patterns if pattern in expected[0])
        assert found[0].pattern == first


def speed(patterns: list[str], chunk: bytes) -> float:
    """MB for each second of CPU time, over 65 MB that come at 100 MB/s, the best of three."""
    best = 0.0
    for _ in range(3):
        watcher = Watcher(patterns)
        began = time.thread_time()
        for turn in range(1000):
            watcher.feed(chunk, turn * 0.00066, OUT)
        best = max(best, 1000 * len(chunk) / (time.thread_time() - began) / 1e6)
    return best


@pytest.mark.parametrize(
    ("name", "patterns", "line"),
    [
        ("no match", ["panic: "], b"[12:00:01] worker 17: handled GET /index.html in 12 ms\n"),
        ("no match, three patterns", ["panic: ", "ERROR", "Traceback"], b"[12:00:01] worker 17: handled\n"),
        ("yes", ["y"], b"y\n"),
        ("yes, no match", ["panic: "], b"y\n"),
        ("no line ends", ["panic: "], b"0123456789abcdef"),
    ],
)
def test_watching_does_not_slow_a_process_that_writes_fast(
    name: str, patterns: list[str], line: bytes
) -> None:
    """100 MB/s is promised of the whole keeper; alone on a core this part does 800 and more."""
    rate = speed(patterns, (line * (65536 // len(line) + 1))[:65536])
    print(f"watching, {name}: {rate:.0f} MB/s")
    assert rate > 200


def test_a_flood_of_matches_is_counted_to_a_bound() -> None:
    watcher = Watcher(["y"])
    watcher.feed(b"y\n" * (COUNTED * 2), 0, OUT)
    (found,) = watcher.feed(b"y\n", 15, OUT)
    assert found.suppressed == COUNTED


def test_the_keeper_pays_for_regular_expressions_only_where_there_is_one() -> None:
    code = """
import sys, time
sys.path.insert(0, sys.argv[1])
had = set(sys.modules)
import watching
watching.Watcher(["a"]).feed(b"a", 0, 1)
print(sorted(set(sys.modules) - had))
"""
    program = [sys.executable, "-S", "-I", "-c", code, str(Path(watching.__file__).parent)]
    run = subprocess.run(program, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "['__future__', 'watching']"


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "re:",
        "re:(",
        "re:a{2,1}",
        "re:" + "(" * 900,
        "two\nlines",
        "cr\r",
        "nul\0",
        "\ud800",
        "x" * (MAX_PATTERN + 1),
    ],
)
def test_a_pattern_that_cannot_be_used_is_refused_with_its_reason(pattern: str) -> None:
    with pytest.raises(BadPatternError, match="cannot be used"):
        check_patterns(["fine", pattern])


def test_too_many_patterns_are_refused() -> None:
    with pytest.raises(BadPatternError, match="32"):
        check_patterns(["x"] * (MAX_PATTERNS + 1))


def test_ordinary_patterns_are_accepted() -> None:
    check_patterns(["Listening on", "re:^error(\\[E\\d+\\])?:", "ß", "re:[[a]", "x" * MAX_PATTERN])
