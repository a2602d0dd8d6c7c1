"""Tables fit where they are shown, and hide nothing without saying so."""

from __future__ import annotations

import click
import pytest

from hermes_cli.cli.services import fact_lines, gateway_lines, status_lines
from hermes_cli.cli.table import Cell, Column, Table, duration
from hermes_cli.status import GatewayReport, ServiceReport, StatusReport

HOSTILE = "\x1b[2J\x1b]0;hijacked\x07<script>\u202e\nsecond line"


def report(name: str = "coder", **fields: object) -> ServiceReport:
    given: dict[str, object] = {
        "service": f"gateway-{name}",
        "profile": name,
        "wanted": "up",
        "actual": "ready",
        "ready": True,
        "pid": 4194304,
        "uptime_seconds": 86_399.0,
        "restarts": 3,
        "last_exit": "killed by SIGKILL",
        "port": 8642,
        "url": "http://127.0.0.1:8642",
        "memory_bytes": 28_400_000,
        "cpu_seconds": 75.0,
        "active_runs": 2,
        "processes": 1,
    }
    return ServiceReport(**given | fields)  # type: ignore[arg-type]


def plain(lines: list[str]) -> list[str]:
    return [click.unstyle(line) for line in lines]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 132, 200])
@pytest.mark.parametrize("name", ["coder", "a" * 100])
def test_no_row_is_wider_than_the_terminal(width: int, name: str) -> None:
    for line in plain(gateway_lines([report(name), report("b")], width))[:3]:
        assert len(line) <= max(width, 36), line


@pytest.mark.parametrize("width", [60, 80, 200])
def test_what_matters_most_is_shown_at_every_width(width: int) -> None:
    header, row, *_ = plain(gateway_lines([report()], width))
    assert header.split()[:3] == ["GATEWAY", "WANTED", "ACTUAL"]
    assert row.split()[:4] == ["coder", "up", "●", "ready"]


def test_eighty_columns_hold_the_address_the_uptime_the_runs_and_the_processes() -> None:
    header, row, *_ = plain(gateway_lines([report()], 80))
    assert header.split() == ["GATEWAY", "WANTED", "ACTUAL", "UPTIME", "RUNS", "PROCS", "MEMORY", "URL"]
    assert row.split("  ")[-1] == "http://127.0.0.1:8642"


def test_a_column_that_found_no_room_is_named() -> None:
    assert plain(gateway_lines([report()], 80))[-1] == (
        "Not shown for want of width: CPU, RESTARTS, PID, LAST EXIT."
    )
    assert not any("want of width" in line for line in gateway_lines([report()], 200))
    silent = report(cpu_seconds=None, restarts=0, pid=None, last_exit=None)
    assert not any("want of width" in line for line in gateway_lines([silent], 80)), "they said nothing"


def test_without_a_terminal_everything_is_there() -> None:
    header, row = plain(gateway_lines([report("a" * 200)], None))
    assert "LAST EXIT" in header
    assert "a" * 200 in row
    assert "killed by SIGKILL" in row


def test_numbers_stand_under_the_end_of_their_titles() -> None:
    header, first, second = plain(gateway_lines([report(), report(memory_bytes=1_234_000_000)], None))
    end = header.index("MEMORY") + len("MEMORY")
    assert first[:end].endswith(" 28 MB")
    assert second[:end].endswith("1.2 GB")


def test_the_services_of_the_image_have_the_columns_of_the_gateways() -> None:
    dashboard = report(service="dashboard", profile=None, kind="dashboard", last_exit="exit 1")
    lines = plain(status_lines(StatusReport(healthy=True, problems=[], services=[report(), dashboard]), None))
    gateways, services, row = lines[0], lines[3], lines[4]
    assert services.split()[0] == "SERVICE"
    assert row[gateways.index("LAST EXIT") :].startswith("exit 1")


@pytest.mark.parametrize("width", [80, None])
def test_what_others_wrote_moves_no_cursor_and_begins_no_line(width: int | None) -> None:
    bad = report(
        HOSTILE, last_exit=HOSTILE, message=HOSTILE, parked_reason=HOSTILE, wanted="up", actual="parked"
    )
    held = StatusReport(healthy=False, problems=[], volume_held=HOSTILE, services=[bad])
    shown = [
        *status_lines(held, width),
        *gateway_lines([bad], width),
        *fact_lines(GatewayReport.of(bad), width),
    ]
    text = "\n".join(plain(shown))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert not any(line.startswith("second line") for line in text.splitlines())


def test_no_meaning_is_in_the_colour_alone() -> None:
    shown = [
        " ".join(plain(gateway_lines([report(wanted=wanted, actual=actual)], 80))[1].split()[1:4])
        for wanted, actual in (("up", "down"), ("down", "down"), ("up", "starting"), ("up", "ready"))
    ]
    assert shown == ["up ✕ down", "down ○ down", "up ◐ starting", "up ● ready"]


def test_a_long_note_is_wrapped_and_stays_whole() -> None:
    words = " ".join(f"word{number}" for number in range(60))
    lines = plain(status_lines(StatusReport(healthy=True, problems=[], services=[report(message=words)]), 80))
    assert all(len(line) <= 80 for line in lines)
    assert "coder: " + words in " ".join(" ".join(lines).split())


def test_rows_without_end_and_without_columns_are_fine() -> None:
    table = Table([Column("A"), Column("B", rank=1)], [], 1)
    assert plain([table.header()]) == ["A"]
    assert table.line([Cell("x"), Cell("y")]) == "x"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0.4, "0s"), (59.9, "59s"), (60, "1m 0s"), (3725, "1h 2m"), (200_000, "2d 7h")],
)
def test_durations_are_short(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text
