"""The start-up ledger as a specification: when a gateway waits, and when it is not started at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_cli.gateway.ledger import CLEAN_ENDS, Moment, Verdict, judge
from hermes_cli.gateway.records import IntentRecord, State, StateRecord
from hermes_cli.service_manager import RestartPolicy

POLICY = RestartPolicy()
NOW = 1_800_000_000.0
HERE = Moment(NOW, "boot", 7)

STATES: list[State] = ["starting", "backing_off", "running", "degraded", "draining", "stopped", "failed"]
UNCLEAN = [state for state in STATES if state not in CLEAN_ENDS]

times = st.floats(NOW - 1000, NOW + 1000)
states = st.builds(
    StateRecord,
    state=st.sampled_from(STATES),
    pid=st.just(1),
    pid_start=st.just(1),
    boot_id=st.sampled_from(["boot", "another"]),
    init_start=st.sampled_from([0, 7, 8]),
    started_at=times,
    unclean_starts=st.lists(times, max_size=12),
    restarts=st.integers(0, 50),
)
intents = st.none() | st.builds(
    IntentRecord, intent=st.sampled_from(["running", "stopped"]), requested_at=times
)


def left_behind(state: State = "running", *, crashes: int = 0, **changes: object) -> StateRecord:
    fields: dict[str, object] = {
        "state": state,
        "pid": 1,
        "pid_start": 1,
        "boot_id": "boot",
        "init_start": 7,
        "started_at": NOW - 10,
        "unclean_starts": [NOW - 50 + index for index in range(crashes)],
        "restarts": crashes,
    }
    return StateRecord(**(fields | changes))  # type: ignore[arg-type]


def verdict(previous: StateRecord | None, intent: IntentRecord | None = None) -> Verdict:
    return judge(previous, intent, HERE, POLICY)


def test_the_first_start_ever_is_at_once() -> None:
    assert verdict(None) == Verdict(0.0, [], 0)


@pytest.mark.parametrize("state", sorted(CLEAN_ENDS))
def test_a_clean_end_costs_nothing(state: State) -> None:
    assert verdict(left_behind(state, crashes=4)).delay == 0.0
    assert verdict(left_behind(state, crashes=4)).crash_loop is None


@pytest.mark.parametrize(("crashes", "delay"), [(0, 0.0), (1, 1.0), (2, 2.0), (3, 4.0)])
def test_each_crash_makes_it_wait_longer(crashes: int, delay: float) -> None:
    assert verdict(left_behind(crashes=crashes)).delay == delay


def test_the_fifth_in_the_window_is_a_crash_loop() -> None:
    found = verdict(left_behind(crashes=4))
    assert found.crash_loop is not None
    assert len(found.unclean_starts) == 5


def test_crashes_outside_the_window_are_forgotten() -> None:
    old = left_behind(unclean_starts=[NOW - 121] * 4)
    assert verdict(old).unclean_starts == [NOW]


def test_entries_of_a_clock_that_was_ahead_are_forgotten() -> None:
    assert verdict(left_behind(unclean_starts=[NOW + 5] * 4)).unclean_starts == [NOW]


def test_an_order_to_start_clears_the_count() -> None:
    found = verdict(left_behind(crashes=4), IntentRecord(intent="running", requested_at=NOW - 1))
    assert (found.delay, found.crash_loop, found.unclean_starts, found.restarts) == (0.0, None, [], 0)


def test_an_order_from_the_future_clears_nothing() -> None:
    """Else a clock that was set back would let a crash loop go on for ever."""
    found = verdict(left_behind(crashes=4), IntentRecord(intent="running", requested_at=NOW + 60))
    assert found.crash_loop is not None


def test_an_end_together_with_the_container_does_not_count() -> None:
    assert verdict(left_behind(init_start=6, crashes=4)).crash_loop is None
    assert verdict(left_behind(boot_id="another", crashes=4)).crash_loop is None


@given(states, intents)
def test_whatever_is_in_the_files_the_verdict_is_sound(
    previous: StateRecord, intent: IntentRecord | None
) -> None:
    found = judge(previous, intent, HERE, POLICY)
    assert 0.0 <= found.delay <= max(POLICY.backoff)
    assert found.unclean_starts == sorted(found.unclean_starts)
    assert all(NOW - POLICY.window <= at <= NOW for at in found.unclean_starts)
    assert len(found.unclean_starts) <= POLICY.max_unclean_starts
    assert 0 <= found.restarts <= previous.restarts + 1
    if previous.state in CLEAN_ENDS:
        assert found.crash_loop is None
        assert found.delay == 0.0
    if found.crash_loop:
        assert len(found.unclean_starts) == POLICY.max_unclean_starts


@given(st.lists(st.floats(0.0, 20.0), min_size=5, max_size=30))
def test_however_crashes_are_spaced_five_in_the_window_park_and_fewer_never_do(gaps: list[float]) -> None:
    now, starts = NOW, []
    previous = left_behind("stopped", started_at=NOW - 1000)
    for gap in gaps:
        now += gap
        found = judge(previous, None, Moment(now, "boot", 7), POLICY)
        if previous.state == "running":
            starts.append(now)
        recent = [at for at in starts if at >= now - POLICY.window]
        assert bool(found.crash_loop) == (len(recent) >= 5 and previous.state == "running")
        if found.crash_loop:
            return
        now += found.delay
        previous = left_behind(started_at=now, unclean_starts=found.unclean_starts, restarts=found.restarts)


@given(states, st.floats(-1e9, 1e9))
def test_a_clock_that_jumps_parks_nothing_by_itself(previous: StateRecord, jump: float) -> None:
    found = judge(previous, None, Moment(NOW + jump, "boot", 7), POLICY)
    genuine = [at for at in previous.unclean_starts if NOW + jump - POLICY.window <= at <= NOW + jump]
    assert bool(found.crash_loop) <= (len(genuine) >= POLICY.max_unclean_starts - 1)
