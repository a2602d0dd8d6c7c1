"""The text format, as prometheus' own parser reads it."""

from __future__ import annotations

import math

from prometheus_client.parser import text_string_to_metric_families

from hermes_cli.serving.exposition import Histogram, Metric, by_label, counter, gauge, render


def test_a_histogram_counts_what_is_at_most_its_bound_and_everything_in_inf() -> None:
    histogram = Histogram((0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 2.0, 3.0):
        histogram.observe(value)
    [family] = text_string_to_metric_families(render([histogram.metric("a_seconds", "A.")]))
    assert family.type == "histogram"
    buckets = [(one.labels["le"], one.value) for one in family.samples if one.name == "a_seconds_bucket"]
    assert buckets == [("0.1", 2), ("1.0", 3), ("+Inf", 5)]
    rest = {one.name: one.value for one in family.samples if not one.name.endswith("_bucket")}
    assert rest == {"a_seconds_sum": 5.65, "a_seconds_count": 5}


def test_an_empty_histogram_is_one_too() -> None:
    [family] = text_string_to_metric_families(render([Histogram((1.0,)).metric("a_seconds", "A.")]))
    assert [one.value for one in family.samples] == [0, 0, 0, 0]


def test_text_labels_and_odd_numbers_come_back_as_they_were() -> None:
    hostile = 'a"b\\c\nd # HELP x {} \x7f ü'
    metrics = [
        gauge("a", "Back\\slash\nand line.", math.inf, label=hostile),
        Metric("b", "gauge", "B.", {(): math.nan}),
        counter("c_total", "C.", by_label("state", {"up": 1, "down": -math.inf})),
    ]
    a, b, c = text_string_to_metric_families(render(metrics))
    assert a.documentation == "Back\\slash\nand line."
    assert (a.samples[0].labels, a.samples[0].value) == ({"label": hostile}, math.inf)
    assert math.isnan(b.samples[0].value)
    assert {one.labels["state"]: one.value for one in c.samples} == {"up": 1, "down": -math.inf}
