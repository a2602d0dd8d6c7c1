"""What others wrote reaches a screen without moving, colouring or reordering anything on it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_cli.faces.printable import MAX_LINE, Flowing, plain, plain_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b]0;owned\x07title", "title"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0;2\x1b\\sixel", "sixel"),
        ("\x1bc\x1b(0reset", "reset"),
        ("one\rtwo\nthree\x08", "one\ufffdtwo\ufffdthree\ufffd"),
        ("a\u202egpj.exe", "a\ufffdgpj.exe"),
        ("tab\tkept, déjà vu, 漢字, 👩\u200d💻", "tab\tkept, déjà vu, 漢字, 👩\u200d💻"),
        ("torn \x1b[3", "torn 3"),
        ("\x1b]0;what follows is not hidden", "0;what follows is not hidden"),
        ("<b>&amp;", "<b>&amp;"),
    ],
)
def test_sequences_vanish_and_words_stay(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_an_endless_line_is_cut_and_says_by_how_much() -> None:
    assert plain("x" * (MAX_LINE + 1)) == "x" * MAX_LINE + " … (1 more characters)"
    assert plain("x" * 10_000_000).endswith(f" … ({10_000_000 - MAX_LINE} more characters)")


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    shown = plain(text)
    assert not any(character < " " and character != "\t" for character in shown)
    assert not any("\x7f" <= character <= "\x9f" for character in shown)
    assert plain(shown) == shown


def test_a_text_keeps_its_lines_and_nothing_hides_one() -> None:
    assert plain_text("a\x1b[1mb\r\nc\rd\n") == "ab\nc\nd\n"


@given(st.lists(st.text(alphabet="ab\r\n", max_size=5), max_size=8))
def test_pieces_that_flow_are_the_text_that_they_are_of(pieces: list[str]) -> None:
    flow = Flowing()
    assert "".join(flow.take(piece) for piece in pieces) == plain_text("".join(pieces))
