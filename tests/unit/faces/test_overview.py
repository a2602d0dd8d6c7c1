"""The faces say of a status what it is, and nothing changes that has not changed."""

from __future__ import annotations

import pytest

from hermes_cli.faces.overview import Meter, duration, overview, size, tone_of, unreadable
from hermes_cli.status import ServiceReport, StatusReport


def _report(*services: ServiceReport, **fields: object) -> StatusReport:
    given = {"healthy": True, "problems": [], **fields}
    return StatusReport(services=list(services), **given)  # type: ignore[arg-type]


def _coder(**fields: object) -> ServiceReport:
    return ServiceReport(service="gateway-coder", profile="coder", **fields)  # type: ignore[arg-type]


def test_an_uptime_that_only_grows_is_no_change() -> None:
    before = overview(_report(_coder(pid=7, uptime_seconds=10.0)), now=1000.0)
    later = overview(_report(_coder(pid=7, uptime_seconds=71.4)), before, now=1061.9)
    assert later == before
    assert later.rows[0].uptime(1061.9) == "1m 11s"


def test_a_new_pid_is_a_new_start() -> None:
    before = overview(_report(_coder(pid=7, uptime_seconds=1.0)), now=1000.0)
    later = overview(_report(_coder(pid=8, uptime_seconds=0.0)), before, now=1000.5)
    assert later.rows[0].since == 1000
    assert later.rows[0].pid == "8"


@pytest.mark.parametrize(
    ("actual", "wanted", "tone"),
    [
        ("ready", "up", "good"),
        ("backing off", "up", "busy"),
        ("stopping", "down", "busy"),
        ("parked", "up", "bad"),
        ("down", "up", "bad"),
        ("down", "down", "idle"),
        ("not answering", "down", "bad"),
    ],
)
def test_down_is_bad_only_where_up_is_wanted(actual: str, wanted: str, tone: str) -> None:
    assert tone_of(actual, wanted) == tone


def test_the_words_of_others_are_made_harmless() -> None:
    row = overview(_report(_coder(parked_reason="\x1b[31mbad\x1b[0m", message="a\nb"))).rows[0]
    assert row.note == "bad; a\ufffdb"


def test_the_summary_counts_what_is_wanted() -> None:
    up = _coder(wanted="up", actual="ready", ready=True)
    down = _coder(wanted="up", actual="down")
    assert overview(_report(up)).summary == "The wanted gateway is ready"
    assert overview(_report(up, down, healthy=False)).summary == "1 of 2 wanted gateways ready"
    assert overview(_report(_coder())).summary == "No gateway is wanted up"


def test_a_status_that_cannot_be_read_keeps_the_last_rows() -> None:
    before = overview(_report(_coder()))
    after = unreadable(OSError("disk gone"), before)
    assert after.rows == before.rows
    assert after.problems == ["disk gone"]
    assert after.tone == "bad"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-3, "0s"), (8.9, "8s"), (200, "3m 20s"), (18720, "5h 12m"), (9 * 86400 + 4 * 3600, "9d 4h")],
)
def test_durations_are_short(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("memory", "words"),
    [(0, "0 MB"), (28_400_000, "28 MB"), (999_400_000, "999 MB"), (1_240_000_000, "1.2 GB")],
)
def test_sizes_are_short(memory: int, words: str) -> None:
    assert size(memory) == words


def test_memory_at_the_edge_of_a_megabyte_is_no_change() -> None:
    shown = overview(_report(_coder(memory_bytes=28_400_000)))
    for memory, words in ((28_600_000, "28 MB"), (28_300_000, "28 MB"), (29_600_000, "30 MB")):
        shown = overview(_report(_coder(memory_bytes=memory)), shown)
        assert shown.rows[0].memory == words
    assert overview(_report(_coder()), shown).rows[0].memory == ""


def test_the_processor_is_measured_between_two_looks() -> None:
    meter = Meter()

    def cpu(now: float, spent: float | None, pid: int | None = 7, uptime: float = 100.0) -> str:
        row = _coder(pid=pid, cpu_seconds=spent, uptime_seconds=uptime)
        return overview(_report(row), now=now, meter=meter).rows[0].cpu

    assert cpu(1000.0, 20.0) == "20 %"
    assert cpu(1001.0, 21.0) == "20 %"
    assert cpu(1010.0, 25.0) == "50 %"
    assert cpu(1020.0, 25.0) == "0 %"
    assert cpu(1021.0, 0.5, pid=8, uptime=1.0) == "50 %"
    assert cpu(900.0, 0.5, pid=8, uptime=0.0) == "0 %"
    assert cpu(1022.0, None, pid=None) == ""
