"""What supervision did is told in order, in words, and without drawing a thing twice."""

from __future__ import annotations

import time

from hermes_cli.faces.timeline import LISTED, STEPS, TROUBLES, Timeline, timeline
from hermes_cli.gateway.supervision_log import SupervisionEvent

NOW = 1_760_000_000.0
HOUR = 3600.0


def at(seconds_ago: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW - seconds_ago))


def event(kind: str, seconds_ago: float, profile: str = "coder", **fields: object) -> SupervisionEvent:
    return SupervisionEvent(ts=at(seconds_ago), profile=profile, event=kind, **fields)  # type: ignore[arg-type]


def told(*events: SupervisionEvent, window: float = HOUR, **profiles: bool) -> Timeline:
    return timeline(events, profiles or {"coder": True}, window, NOW)


def stretches(story: Timeline, lane: int = 0) -> list[tuple[float, float]]:
    return [(NOW - stretch.since, NOW - stretch.until) for stretch in story.lanes[lane].up]


def test_a_gateway_is_up_from_ready_to_its_end() -> None:
    story = told(
        event("ready", 3000), event("crashed", 2000, signal="SIGKILL"), event("ready", 1990), coder=True
    )
    assert stretches(story) == [(3000, 2000), (1990, 0)]
    assert [moment.words for moment in story.moments] == ["ready", "crashed, killed by SIGKILL", "ready"]
    assert story.lanes[0].crashes == 1
    assert [moment.words for moment in story.troubles] == ["crashed, killed by SIGKILL"]


def test_what_was_up_before_the_window_is_up_from_its_beginning() -> None:
    story = told(event("ready", 9000), event("draining", 100), event("exited", 90, code=0))
    assert stretches(story) == [(HOUR, 90)]
    assert [moment.words for moment in story.moments] == ["ended, clean exit", "draining"]


def test_what_ended_before_the_window_is_left_out() -> None:
    assert told(event("ready", 9000), event("exited", 8000, code=0)).lanes == []


def test_an_end_that_nobody_wrote_down_is_not_drawn_as_up() -> None:
    story = told(event("ready", 2000), event("draining", 1000), coder=False)
    assert stretches(story) == [(2000, 1000)]
    assert stretches(told(event("ready", 2000), event("ready", 1000))) == [(2000, 0)]


def test_a_crash_leads_to_its_log_by_the_time_of_the_event() -> None:
    crash, ready = told(event("ready", 60), event("crashed", 50, code=1)).moments
    assert crash.time == at(50)
    assert crash.explained_by_log
    assert not ready.explained_by_log


def test_a_crash_loop_is_counted_and_not_drawn_a_thousand_times() -> None:
    events = [event("crashed", 1000 - n / 10, code=1) for n in range(1000)]
    story = told(*events, event("ready", 899), event("parked", 898, detail="crash loop"))
    lane = story.lanes[0]
    assert (lane.crashes, story.total, story.total_troubles) == (1000, 1002, 1001)
    assert len(story.moments) == LISTED
    assert story.moments[0].words == "parked: crash loop"
    assert len(story.troubles) == TROUBLES
    assert len(lane.places) <= STEPS
    assert sum(place.moments for place in lane.places) == 1002
    assert lane.places[-1].worst.words == "parked: crash loop"


def test_lanes_keep_the_order_given_and_deleted_profiles_are_left_out() -> None:
    story = told(event("ready", 9, "b"), event("ready", 8, "a"), event("ready", 7, "gone"), a=True, b=True)
    assert [lane.profile for lane in story.lanes] == ["a", "b"]
    assert [moment.profile for moment in story.moments] == ["a", "b"]


def test_the_words_of_others_are_made_harmless() -> None:
    story = told(
        event("parked", 9, detail="\x1b[31mbad\nline"),
        event("crashed", 8, signal="\x1b]0;x\x07SIG\nKILL"),
        SupervisionEvent(ts="yesterday", profile="coder", event="ready"),
        event("exploded", 7),
    )
    assert [moment.words for moment in story.moments] == [
        "crashed, killed by SIG\ufffdKILL",
        "parked: bad\ufffdline",
    ]


def test_events_of_the_future_are_not_drawn() -> None:
    assert told(event("ready", -500)).moments == []
    assert stretches(told(event("ready", 10), event("crashed", -500, code=1))) == [(10, 0)]


def test_a_gateway_that_crashes_all_day_is_drawn_with_what_can_be_seen() -> None:
    events = [
        one
        for n in range(20_000)
        for one in (event("ready", 86_400 - 4 * n), event("crashed", 86_400 - 4 * n - 3, code=1))
    ]
    story = told(*events, window=86_400)
    lane = story.lanes[0]
    assert lane.crashes == 20_000
    assert len(lane.up) < 10
    assert len(lane.places) <= STEPS
