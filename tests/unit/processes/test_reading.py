"""What is shown of output: whole characters, no escape sequences, no secrets, whatever the cursors."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hermes_cli.processes.keeper.writer import SpoolWriter
from hermes_cli.processes.reading import line_text, read_text, stripped, tail_text
from hermes_cli.processes.redaction import MASK, Redactor
from hermes_cli.processes.spool import Spool

SECRET = "s3cret-value-0815"
TOKEN = "a1b2c3d4e5f6g7h8i9j0k1l2m3"
REDACTOR = Redactor([SECRET])

TEXTS = st.sampled_from(
    [
        *("plain text ", "a\n", "\r\n", "\r", "ünï→😀", "\x1b[1;31m", "\x1b[0m", "\x1b]0;a title\x07", "\t"),
        *("\x1b]8;;http://x\x1b\\", "\x1b(B", "\x1b", "\x1b[", "\x1b]", "\x08", "\x00"),
        *(SECRET, SECRET[:9], "s3"),
    ]
).map(str.encode)
PARTS = TEXTS | st.sampled_from([b"\xff", b"\xe2\x82", b"\xf0\x9f\x98", b"\x80"])
"""With a secret that is known by its value. Of a token that is known by its beginning, a page that ends in
the middle of this beginning shows some letters of it."""

SHAPES = PARTS | st.sampled_from(
    [b"TOKEN=", b"ghp_", TOKEN.encode(), b"Bearer ", b"password: ", b"-----BEGIN PRIVATE KEY-----\n"]
)


def spool_of(directory: str, pieces: list[bytes], budget: int = 1 << 20) -> Spool:
    writer = SpoolWriter(directory, budget)
    for piece in pieces:
        writer.write(1, piece, 0)
    writer.close()
    return Spool(Path(directory))


def followed(spool: Spool, sizes: list[int], redactor: Redactor = REDACTOR) -> str:
    """The text that somebody sees who polls with pages of these sizes until the end."""
    text, cursor = "", 0
    for number in range(100_000):
        page = read_text(spool, cursor, sizes[number % len(sizes)], redactor, running=False)
        assert page.end >= cursor
        text, cursor = text + page.text, page.end
        if cursor >= page.end_of_output:
            return text
    raise AssertionError(f"no end: at {cursor}")


@given(st.lists(PARTS, max_size=30), st.lists(st.integers(1, 60), min_size=1, max_size=5))
@settings(deadline=None, max_examples=300)
@example([b"\xe2\x82", b"\xac"], [1])
@example([b"\x1b", b"[1m", b"x"], [1])
@example([SECRET.encode()], [1, 2])
def test_pages_of_any_size_are_together_the_whole(pieces: list[bytes], sizes: list[int]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        spool = spool_of(directory, pieces)
        whole = read_text(spool, 0, 1 << 20, REDACTOR, running=False)
        assert whole.end == whole.end_of_output
        assert followed(spool, sizes) == whole.text
        assert SECRET not in whole.text


@given(st.lists(PARTS, max_size=30))
@settings(deadline=None)
def test_what_is_told_while_it_comes_is_together_the_whole(pieces: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        writer = SpoolWriter(directory, 1 << 20)
        spool = Spool(Path(directory))
        text, cursor = "", 0
        for piece in pieces:
            writer.write(1, piece, 0)
            page = read_text(spool, cursor, 1 << 16, REDACTOR, running=True)
            text, cursor = text + page.text, page.end
        text += read_text(spool, cursor, 1 << 16, REDACTOR, running=False).text
        writer.close()
        assert text == read_text(spool, 0, 1 << 20, REDACTOR, running=False).text


@settings(deadline=None)
@given(st.lists(PARTS, min_size=1, max_size=30), st.integers(0, 300), st.integers(1, 100))
def test_no_cursor_shows_a_secret_or_an_escape(pieces: list[bytes], cursor: int, size: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        spool = spool_of(directory, pieces)
        for text in (
            read_text(spool, cursor, size, REDACTOR, running=False).text,
            tail_text(spool, size, REDACTOR).text,
        ):
            assert SECRET[5:] not in text
            assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", text)


@settings(deadline=None)
@given(st.lists(SHAPES, max_size=20), st.lists(st.integers(1, 60), min_size=1, max_size=5))
def test_no_pages_together_show_a_token(pieces: list[bytes], sizes: list[int]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        pieces += [b" TOKEN=", b"ghp_", TOKEN.encode(), b" end"]
        text = followed(spool_of(directory, pieces), sizes)
        assert f"ghp_{TOKEN}" not in text
        assert text.endswith(f"{MASK} end")


@settings(deadline=None)
@given(st.text(max_size=60), st.integers(1, 7))
def test_characters_are_never_split(text: str, size: int) -> None:
    plain = re.sub("[\x00-\x1f\x7f-\x9f]", "", text)
    with tempfile.TemporaryDirectory() as directory:
        assert followed(spool_of(directory, [plain.encode()]), [size], Redactor([])) == plain


def test_half_a_character_waits_while_more_can_come() -> None:
    with tempfile.TemporaryDirectory() as directory:
        spool = spool_of(directory, [b"caf\xc3"])
        assert read_text(spool, 0, 100, REDACTOR, running=True).text == "caf"
        assert read_text(spool, 0, 100, REDACTOR, running=False).text == "caf\ufffd"


def test_a_secret_that_has_only_begun_waits_while_more_can_come() -> None:
    with tempfile.TemporaryDirectory() as directory:
        spool = spool_of(directory, [b"key " + SECRET[:8].encode()])
        page = read_text(spool, 0, 100, REDACTOR, running=True)
        assert (page.text, page.end, page.more) == ("key ", 4, False)


def test_what_waits_at_a_gap_does_not_stop_the_reader() -> None:
    with tempfile.TemporaryDirectory() as directory:
        spool = spool_of(directory, [b"head " + SECRET[:8].encode() + b"\xc3", *[b"x" * 50] * 60], 9 * 100)
        first = read_text(spool, 0, 1000, REDACTOR, running=True)
        assert first.text.startswith("head ")
        text = followed(spool, [17])
        assert text.startswith(first.text)
        assert text.endswith("x" * 50)


def test_a_page_that_is_all_one_possible_secret_still_ends() -> None:
    with tempfile.TemporaryDirectory() as directory:
        spool = spool_of(directory, [b"-----BEGIN PRIVATE KEY-----\n" + b"A" * 63 + b"\n", b"QUFB" * 16_000])
        assert followed(spool, [1 << 10]).startswith("-----BEGIN PRIVATE KEY-----")


def test_the_tail_begins_with_a_whole_character() -> None:
    with tempfile.TemporaryDirectory() as directory:
        assert tail_text(spool_of(directory, ["€€€€".encode()]), 7, REDACTOR).text == "€€"


def test_the_tail_of_a_secret_is_not_shown() -> None:
    with tempfile.TemporaryDirectory() as directory:
        assert tail_text(spool_of(directory, [b"x " + SECRET.encode()]), 6, REDACTOR).text == MASK


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[1;32mok\x1b[0m", "ok"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;https://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0\x1b\\after", "after"),
        ("10%\r20%\r\n", "10%\r20%\n"),
        ("a\x08b\x00\x7f\x9b", "ab"),
        ("\x1b[", "["),
        ("\x1b(Bx\x1b=y\x1b7", "xy"),
        ("tab\there", "tab\there"),
    ],
)
def test_escape_sequences_are_taken_off(raw: str, shown: str) -> None:
    assert stripped(raw.encode()) == shown


def test_lines_are_redacted_as_one_text() -> None:
    assert line_text([b"a \x1b[1m", SECRET.encode(), b"\xff"], REDACTOR) == f"a \n{MASK}\n\ufffd"


def test_hostile_escapes_take_no_more_than_their_length() -> None:
    for raw in (b"\x1b]" * 100_000, b"\x1b[" + b"0" * 500_000, b"\x1bP" + b"a" * 500_000, b"\x1b" * 300_000):
        with tempfile.TemporaryDirectory() as directory:
            followed(spool_of(directory, [raw]), [1 << 16])
