"""Reading `systemctl show`: blocks in order, time spans, and what is parked, down, or on its way."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_cli.service_manager.systemd_status import PROPERTIES, parse_show, parse_span, to_status

RUNNING = {
    "Id": "web.service",
    "LoadState": "loaded",
    "ActiveState": "active",
    "SubState": "running",
    "Result": "success",
    "FragmentPath": "/u/web.service",
    "NeedDaemonReload": "no",
    "MainPID": "42",
    "ExecMainStartTimestampMonotonic": "1000000",
    "ExecMainExitTimestampMonotonic": "0",
    "ExecMainCode": "0",
    "ExecMainStatus": "0",
    "ActiveEnterTimestampMonotonic": "2000000",
    "InactiveEnterTimestampMonotonic": "0",
    "NRestarts": "0",
    "TimeoutStartUSec": "30s",
    "TimeoutStopUSec": "1min 30s",
    "RestartPreventExitStatus": "78",
    "StartLimitBurst": "5",
    "StartLimitIntervalUSec": "2min",
}
EXITED = {"MainPID": "0", "ExecMainCode": "1", "ExecMainExitTimestampMonotonic": "3000000"}

FAILED = {**EXITED, "ActiveState": "failed", "SubState": "failed", "Result": "exit-code"}


def block(**changed: str) -> str:
    return "".join(f"{name}={value}\n" for name, value in (RUNNING | changed).items())


def words(note: str | None = None, **changed: str) -> str:
    (state,) = parse_show(block(**changed))
    return to_status("web", state, note).in_words()


def test_every_property_asked_for_is_one_of_these() -> None:
    assert sorted(PROPERTIES.split(",")) == sorted(RUNNING)


def test_blocks_come_in_the_order_asked_for() -> None:
    states = parse_show(
        block() + "\n" + block(MainPID="43") + "\n" + "LoadState=not-found\nActiveState=inactive\n"
    )
    assert [state.pid for state in states] == [42, 43, None]
    assert not to_status("web", states[2], None).registered


@pytest.mark.parametrize(
    ("expected", "changed"),
    [
        ("ready", {}),
        ("starting", {"ActiveState": "activating", "SubState": "start"}),
        ("starting", {**FAILED, "ActiveState": "activating", "SubState": "auto-restart"}),
        ("stopping", {"ActiveState": "deactivating", "SubState": "stop-sigterm"}),
        ("down", {"ActiveState": "inactive", "SubState": "dead", **EXITED}),
        ("down", {**FAILED, "Result": "timeout", "ExecMainCode": "2", "ExecMainStatus": "9"}),
        ("down", {**FAILED, "ExecMainStatus": "143", "NRestarts": "4"}),
        ("parked", {**FAILED, "ExecMainStatus": "78"}),
        ("parked", {**FAILED, "Result": "start-limit-hit"}),
        ("parked", {**FAILED, "ExecMainStatus": "1", "NRestarts": "5"}),
        (
            "down",
            {**FAILED, "SubState": "failed-before-auto-restart", "ExecMainStatus": "1", "NRestarts": "5"},
        ),
        ("not registered", {"LoadState": "not-found"}),
    ],
)
def test_a_state_of_systemd_has_its_word(expected: str, changed: dict[str, str]) -> None:
    assert words(**changed) == expected


def test_a_note_parks_what_is_at_rest_and_nothing_else() -> None:
    inactive = {"ActiveState": "inactive", "SubState": "dead", "MainPID": "0"}
    assert words("exit-code 78", **inactive) == "parked"
    assert words("", **inactive) == "parked"
    assert words("exit-code 78") == "ready"
    (state,) = parse_show(block(**inactive))
    assert "exit code 78" in to_status("web", state, "exit-code 78").detail
    assert "crash loop" in to_status("web", state, "crash-loop 1").detail
    assert "reason was lost" in to_status("web", state, "").detail


def test_ends_and_times_are_told() -> None:
    began = time.time() - time.monotonic()
    (state,) = parse_show(block())
    status = to_status("web", state, None)
    assert status.since == pytest.approx(began + 1, abs=0.2)
    assert status.ready_since == pytest.approx(began + 2, abs=0.2)
    assert (status.exit_code, status.exit_signal, status.restarts) == (None, None, 0)
    (state,) = parse_show(block(**EXITED, ActiveState="inactive", ExecMainStatus="3"))
    assert to_status("web", state, None).exit_code == 3
    (state,) = parse_show(block(**{**EXITED, "ExecMainCode": "2", "ExecMainStatus": "9"}))
    assert state.exit_signal == "SIGKILL"
    assert parse_show(block()) == parse_show(block()), "one moment is told as one time"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("1min 30s", 90), ("500ms", 0.5), ("2h 5min", 7500), ("1.5s", 1.5), ("1d", 86400), ("0", 0),
     ("infinity", float("inf"))],
)  # fmt: skip
def test_a_time_span_is_read_as_systemd_prints_it(text: str, seconds: float) -> None:
    assert parse_span(text) == pytest.approx(seconds)


@given(st.text())
def test_rubbish_is_a_value_error(text: str) -> None:
    for parse in (parse_show, parse_span):
        try:
            parse(text)
        except ValueError:
            continue
    for name in ("MainPID", "NRestarts", "TimeoutStopUSec", "ExecMainStatus"):
        with pytest.raises(ValueError, match="systemctl show"):
            parse_show(block(**{name: "rubbish"}))
