"""What is looked for in a log is found with what stands around it, whatever it is, in bounded time."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_cli.faces.log_search import CONTEXT, LATEST, Line, SearchError, around, find, search, whole_log
from hermes_cli.home import Home
from hermes_cli.service_manager.logs import stamp


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home.of("coder", tmp_path)
    made.gateway_log.mkdir(parents=True)
    return made


def numbers(places: list[list[Line]]) -> list[list[int]]:
    return [[line.number for line in place] for place in places]


def test_a_line_is_found_with_what_stands_around_it() -> None:
    lines = [f"line {number}" for number in range(1, 21)]
    found = find(lines, re.compile(r"line (5|7|15)$"))
    assert numbers(found.places) == [[3, 4, 5, 6, 7, 8, 9], [13, 14, 15, 16, 17]]
    assert (found.hits, found.lines, found.complete) == (3, 20, True)
    assert [line.number for place in found.places for line in place if line.hits] == [5, 7, 15]


@given(st.lists(st.booleans(), max_size=60))
def test_every_hit_stands_once_and_no_other_line_twice(hits: list[bool]) -> None:
    found = find(["hit" if hit else "none" for hit in hits], re.compile("hit"))
    shown = [line.number for place in found.places for line in place]
    assert shown == sorted(set(shown))
    wanted = {number for number, hit in enumerate(hits, 1) if hit}
    assert {line.number for place in found.places for line in place if line.hits} == wanted
    near = {
        number for hit in wanted for number in range(max(1, hit - CONTEXT), min(len(hits), hit + CONTEXT) + 1)
    }
    assert set(shown) == near


def test_only_the_last_places_are_kept_and_all_are_counted() -> None:
    lines = [("hit" if number % 10 == 0 else "none") for number in range(10 * LATEST * 2)]
    found = find(lines, re.compile("hit"))
    assert len(found.places) == LATEST
    assert found.hits == LATEST * 2
    assert found.places[-1][CONTEXT].number == len(lines) - 9


def test_the_archives_are_searched_as_well_and_in_any_case(home: Home) -> None:
    (home.gateway_log / "@400000006920.s").write_text("an OLD Error\n")
    (home.gateway_log / "current").write_text("fine\na new error.\nhalf a li")
    found = search(home, "ERROR")
    assert [line.text for place in found.places for line in place if line.hits] == [
        "an OLD Error",
        "a new error.",
    ]
    assert found.places[0][0].hits == [(7, 12)]
    assert search(home, "r.r").hits == 0
    assert search(home, "o.d|n.w", expression=True).hits == 2
    assert list(whole_log(home))[:3] == ["an OLD Error", "fine", "a new error."]


def test_what_is_found_can_do_nothing(home: Home) -> None:
    (home.gateway_log / "current").write_text("\x1b[31mer\x1b[0mror\x1b]0;x\x07\n")
    [[line]] = search(home, "error").places
    assert (line.text, line.hits) == ("error", [(0, 5)])


@pytest.mark.parametrize("words", ["", "x" * 201])
def test_nothing_and_too_much_are_refused(home: Home, words: str) -> None:
    with pytest.raises(SearchError, match="1 to 200"):
        search(home, words)


@pytest.mark.parametrize("expression", ["(", "[z-a]", "a{99999999999}", "(?P<a>x)(?P<a>y)", "*"])
def test_what_is_no_expression_is_refused_in_words(home: Home, expression: str) -> None:
    with pytest.raises(SearchError, match="no regular expression"):
        search(home, expression, expression=True)


@pytest.mark.parametrize("expression", ["(a+)+$", "(a|aa)+$", r"(.*a){20}$"])
def test_an_expression_that_backtracks_for_ever_has_a_deadline(home: Home, expression: str) -> None:
    (home.gateway_log / "current").write_text("a" * 4000 + "!\n")
    began = time.monotonic()
    with pytest.raises(SearchError, match="took longer"):
        search(home, expression, expression=True, deadline=1.0)
    assert time.monotonic() - began < 20


def test_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    found = search(Home.of("nobody", tmp_path), "x")
    assert (found.hits, found.lines) == (0, 0)


def test_around_a_moment_the_last_line_before_it_is_marked() -> None:
    lines = [f"{stamp(1000.0 + number)}  line {number}" for number in range(50)]
    lines.insert(21, "  and more of 20")
    found = around(lines, 1020.5, span=5)
    assert [line.text.partition("  ")[2] for line in found.lines] == [
        *("line 17", "line 18", "line 19", "line 20", "and more of 20"),
        *("line 21", "line 22", "line 23", "line 24", "line 25"),
    ]
    assert found.marked == 22
    assert around(lines, 1.0).marked is None
    assert around(lines, 9999.0).marked == 51
    assert around(["no time", "at all"], 1000.0).marked is None
