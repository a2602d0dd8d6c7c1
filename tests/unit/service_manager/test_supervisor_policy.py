"""What the supervisor does after each end: counted on a clock nobody sets, kept over its own death."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_cli.service_manager.supervisor_ledger import Ledger
from hermes_cli.service_manager.types import RestartPolicy


def ledger(**changes: object) -> Ledger:
    return Ledger.for_policy(RestartPolicy(**changes), keeps_own_ledger=False)  # type: ignore[arg-type]


def test_a_crash_restarts_at_once_then_after_1_2_4_seconds_and_the_fifth_parks() -> None:
    ours = ledger()
    verdicts = [ours.ended(1, now=100.0 + number) for number in range(5)]
    assert [verdict.delay for verdict in verdicts[:4]] == [0.0, 1.0, 2.0, 4.0]
    assert not any(verdict.parked for verdict in verdicts[:4])
    assert "5 times within 120 s" in verdicts[4].parked


def test_ends_outside_the_window_no_longer_count() -> None:
    ours = ledger()
    for number in range(50):
        assert ours.ended(1, now=1000.0 + 31 * number).parked == ""
    assert ours.restarts == 50


@pytest.mark.parametrize("code", [0, 1, 75, None])
def test_whatever_the_exit_code_an_end_nobody_asked_for_is_followed_by_a_restart(code: int | None) -> None:
    assert ledger().ended(code, now=1.0).parked == ""


def test_a_permanent_exit_code_parks_at_once_and_counts_nothing() -> None:
    ours = ledger()
    assert "exit code 78" in ours.ended(78, now=1.0).parked
    assert (ours.unclean, ours.restarts) == ([], 0)


def test_a_program_with_a_ledger_of_its_own_is_restarted_at_once_up_to_ten_times() -> None:
    ours = Ledger.for_policy(RestartPolicy(), keeps_own_ledger=True)
    verdicts = [ours.ended(1, now=1.0 + number) for number in range(10)]
    assert [verdict.delay for verdict in verdicts[:9]] == [0.0] * 9
    assert [bool(verdict.parked) for verdict in verdicts] == [False] * 9 + [True]
    assert Ledger.for_policy(RestartPolicy(), keeps_own_ledger=True).ended(78, now=1.0).parked


def test_entries_from_the_future_are_of_another_clock_and_do_not_count() -> None:
    ours = ledger()
    ours.remember([9e9, 9e9 + 1, 9e9 + 2, 9e9 + 3], restarts=4)
    assert ours.ended(1, now=50.0) == ledger().ended(1, now=50.0)


@given(st.lists(st.floats(0, 1e6), max_size=60), st.integers(1, 9), st.floats(1, 500))
def test_it_parks_exactly_when_the_window_holds_the_limit(
    gaps: list[float], limit: int, window: float
) -> None:
    ours = ledger(max_unclean_starts=limit, window=window)
    now, times = 0.0, []
    for gap in gaps:
        now += gap
        times.append(now)
        parked = bool(ours.ended(1, now=now).parked)
        assert parked == (sum(now - window <= at for at in times) >= limit)
        assert len(ours.unclean) <= limit
