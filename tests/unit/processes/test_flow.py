"""How much word of matches one owner gets of all processes together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hermes_cli.processes.flow import MOST, SILENCE, SPAN, Flow
from hermes_cli.processes.types import Event, EventType


def event(at: float, kind: EventType = "watch_match") -> Event:
    return Event(0, kind, at, "proc_1", "owner", platform="telegram", chat_id="42", thread_id="7")


def kinds(events: list[Event]) -> list[str]:
    return [item.type.removeprefix("watch_") for item in events]


def test_fifteen_matches_in_ten_seconds_are_told_and_the_next_begins_a_silence() -> None:
    flow = Flow()
    for number in range(MOST):
        assert kinds(flow.admit(event(100 + number / 10), 200)) == ["match"]
    (tripped,) = flow.admit(event(109.9), 200)
    assert (tripped.type, tripped.created_at) == ("watch_overflow_tripped", 109.9)
    assert (tripped.session_key, tripped.platform, tripped.chat_id, tripped.thread_id) == (
        *("owner", "telegram", "42", "7"),
    )
    assert tripped.session_id is None
    assert flow.admit(event(110), 200) == []


def test_fifteen_in_ten_seconds_again_and_again_is_no_flood() -> None:
    flow = Flow()
    for number in range(MOST * 10):
        assert kinds(flow.admit(event(number * (SPAN + 0.01) / MOST), 1000)) == ["match"]


def test_the_ten_seconds_are_any_ten_seconds() -> None:
    flow = Flow()
    for number in range(10):
        flow.admit(event(9 + number / 10), 100)
    told = [kind for number in range(10) for kind in kinds(flow.admit(event(11 + number / 10), 100))]
    assert told == ["match"] * 5 + ["overflow_tripped"]


def flooded() -> Flow:
    flow = Flow()
    for _ in range(MOST + 1):
        flow.admit(event(100), 100)
    return flow


def test_the_silence_ends_after_thirty_seconds_and_says_how_many_were_suppressed() -> None:
    flow = flooded()
    assert flow.admit(event(129.9), 129.9) == []
    assert flow.release(129.99) == []
    (released,) = flow.release(130)
    assert (released.type, released.created_at) == ("watch_overflow_released", 130)
    assert released.suppressed == 2
    assert released.chat_id == "42"
    assert flow.release(131) == []
    assert kinds(flow.admit(event(131), 131)) == ["match"]


def test_a_match_after_the_silence_comes_after_the_word_of_its_end() -> None:
    assert kinds(flooded().admit(event(130), 500)) == ["overflow_released", "match"]


def test_completions_and_the_end_of_a_watching_are_never_suppressed_and_count_for_nothing() -> None:
    flow = flooded()
    assert kinds(flow.admit(event(101, "completion"), 101)) == ["completion"]
    assert kinds(flow.admit(event(101, "watch_disabled"), 101)) == ["disabled"]
    fresh = Flow()
    for _ in range(100):
        fresh.admit(event(1, "completion"), 1)
    assert kinds(fresh.admit(event(1), 1)) == ["match"]


def test_what_waited_while_nobody_collected_is_judged_as_it_happened() -> None:
    flow = Flow()
    told = [kind for minute in range(100) for kind in kinds(flow.admit(event(minute * 60.0), 1e6))]
    assert told == ["match"] * 100


def test_a_clock_that_jumps_does_not_silence_an_owner_for_long() -> None:
    flow = Flow()
    for _ in range(MOST + 1):
        flow.admit(event(9e9), 9e9)
    assert flow.release(100) == []
    assert kinds(flow.release(100 + SILENCE)) == ["overflow_released"]
    ahead = Flow()
    for _ in range(MOST):
        ahead.admit(event(9e9), 100)
    assert kinds(ahead.admit(event(111), 111)) == ["match"]
    back = Flow()
    for _ in range(MOST):
        back.admit(event(9e9), 9e9)
    assert kinds(back.admit(event(100), 100)) == ["match"]


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(-100, 100), st.booleans()), max_size=200))
def test_never_more_than_fifteen_matches_in_any_ten_seconds_and_every_one_is_told_or_counted(
    script: list[tuple[float, float, bool]],
) -> None:
    flow, now, told, sent = Flow(), 1000.0, [], 0
    suppressed = 0
    for step, off, stored in script:
        now += step / 20
        if stored:
            flow = Flow.from_json(flow.to_json())
        sent += 1
        for item in flow.admit(event(now + off), now):
            if item.type == "watch_match":
                told.append(flow.last)
            suppressed += item.suppressed or 0
    for item in flow.release(now + SILENCE + 1):
        suppressed += item.suppressed or 0
    assert len(told) + suppressed == sent
    assert all(later - first > SPAN - 1e-6 for first, later in zip(told, told[MOST:], strict=False))
