"""Lines are wrapped without losing a character, kept within bounds, and the same in pieces as whole."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from hermes_cli.tui.widgets.text_log import MAX_LINES, TextLog
from hermes_cli.tui.widgets.wrapping import rows_of

TEXT = st.text(alphabet=st.sampled_from("ab 漢字é\u0301🙂\u200dx-"), max_size=60)


@given(TEXT, st.integers(min_value=2, max_value=20))
def test_rows_are_the_whole_line_in_order_and_fit(text: str, width: int) -> None:
    rows = rows_of(text, width)
    assert "".join(text[start:end] for start, end in rows) == text
    assert all(cell_len(text[start:end].rstrip(" ")) <= width for start, end in rows)
    assert all(end > start for start, end in rows) or text == ""


def test_a_line_breaks_at_a_space_that_is_near() -> None:
    assert [("one two three"[a:b]) for a, b in rows_of("one two three", 9)] == ["one two ", "three"]
    assert [("a" + "b" * 9)[a:b] for a, b in rows_of("a" + "b" * 9, 5)] == ["abbbb", "bbbbb"]


class _Alone(App[None]):
    def compose(self) -> ComposeResult:
        yield TextLog()


def on_a_log(scene: Callable[[Pilot[None], TextLog], Awaitable[None]]) -> None:
    async def main() -> None:
        app = _Alone()
        async with asyncio.timeout(60), app.run_test(size=(40, 10)) as pilot:
            await scene(pilot, app.query_one(TextLog))

    asyncio.run(main())


PIECES = ("a", "b\n", "\r", "\n", "\r\n", "c\r\nd", "\x1b[3", "1mred", "")


@pytest.mark.parametrize("seed", range(3))
def test_pieces_come_to_the_same_lines_as_the_whole(seed: int) -> None:
    chance = random.Random(seed)
    outputs = [[chance.choice(PIECES) for _ in range(chance.randrange(12))] for _ in range(300)]

    async def scene(_pilot: Pilot[None], log: TextLog) -> None:
        for pieces in outputs:
            log.clear()
            for piece in pieces:
                log.feed(piece)
            found = log.lines
            log.clear()
            log.feed("".join(pieces))
            assert found == log.lines, pieces

    on_a_log(scene)


def test_it_keeps_the_latest_lines_and_the_readers_place() -> None:
    async def scene(pilot: Pilot[None], log: TextLog) -> None:
        log.add(f"line {n}" for n in range(MAX_LINES))
        await pilot.pause()
        log.follow(False)
        log.scroll_to(y=MAX_LINES - 20, animate=False, immediate=True)
        before = log.render_line(0).text
        log.add(f"more {n}" for n in range(1000))
        assert len(log.lines) <= MAX_LINES + 500
        assert log.lines[-1] == "more 999"
        assert log.render_line(0).text == before

    on_a_log(scene)


@pytest.mark.parametrize("text", ["ß" * 3 + "needle", "İ needle", "NEEDLE"])
def test_what_is_sought_is_found_where_it_is(text: str) -> None:
    async def scene(_pilot: Pilot[None], log: TextLog) -> None:
        log.add([text])
        assert log.seek("needle")
        start, end = log._matches(text)[0]
        assert text[start:end].casefold() == "needle"
        assert not log.seek("nowhere")

    on_a_log(scene)
