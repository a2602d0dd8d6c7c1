"""The table of `make bench`: what counts as met, and how figures are put."""

from __future__ import annotations

import json

import pytest

from bench import report
from bench.model import BenchError, Budget, Row, Series
from bench.rows import SUBJECTS


def row(median: float, budget: Budget | None = None, *peers: Series, unit: str = "s") -> Row:
    assert unit in ("s", "B")
    return Row("a row", "s" if unit == "s" else "B", Series.of("hermes", [median]), budget, peers)


def test_the_median_decides_and_the_quartiles_are_the_spread() -> None:
    series = Series.of("hermes", [1.0, 2.0, 3.0, 4.0, 100.0])
    assert series.median == 3.0
    assert series.spread == (2.0, 4.0)


def test_a_series_without_samples_is_refused() -> None:
    with pytest.raises(BenchError, match="no samples of hermes"):
        Series.of("hermes", [])


def test_a_budget_is_met_below_it_and_not_at_it() -> None:
    assert row(0.99, Budget(1.0)).met is True
    assert row(1.0, Budget(1.0)).met is False
    assert row(1.0).met is None


def test_a_relative_budget_counts_in_medians_of_the_first_peer() -> None:
    python = Series.of("python", [0.1])
    assert row(0.24, Budget(2.5, relative=True), python).met is True
    assert row(0.26, Budget(2.5, relative=True), python).met is False


def test_what_comes_on_top_of_something_is_measured_against_its_median() -> None:
    over = Series.of("hermes", [0.5, 0.7]).minus(Series.of("no init", [0.1, 0.2, 0.9]))
    assert over.samples == pytest.approx((0.3, 0.5))


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (1.5, "s", "1.50 s"),
        (0.9999, "s", "1.00 s"),
        (0.0123, "s", "12.3 ms"),
        (0.00000231, "s", "2.31 µs"),
        (-0.02, "s", "-20.0 ms"),
        (139_000_000, "B", "139 MB"),
        (892_000, "B", "892 kB"),
    ],
)
def test_three_digits_and_a_unit_that_fits(value: float, unit: str, words: str) -> None:
    assert report.amount(value, "s" if unit == "s" else "B") == words


def test_a_missed_budget_is_named_below_the_table() -> None:
    text = report.text([row(2.0, Budget(1.0))], {"image": "x"}, "closing")
    assert "NO" in text
    assert "Not met: a row." in text


def test_peers_stand_beside_as_ratios() -> None:
    table = report.markdown([row(1.0, None, Series.of("pm2", [4.0]))], {}, "")
    assert "pm2 4.00 s (x 0.25)" in table


def test_json_holds_every_sample() -> None:
    found = json.loads(report.as_json([row(1.0, Budget(2.0), Series.of("pm2", [4.0]))], {"image": "x"}))
    assert found["rows"][0]["met"] is True
    assert [series["samples"] for series in found["rows"][0]["series"]] == [[1.0], [4.0]]
    assert found["rows"][0]["series"][1]["ratio"] == 0.25


def test_every_subject_of_the_design_has_its_rows() -> None:
    assert set(SUBJECTS) == {
        *("image", "start", "stop", "commands", "gateway", "supervisor", "library", "reconcile", "memory"),
        *("processes", "runs", "interface", "dashboard", "status"),
    }
