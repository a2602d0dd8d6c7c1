"""What is made of the words of s6-svstat and s6-svdt, as s6 2.11 and 2.13 print them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_cli.service_manager import RestartPolicy
from hermes_cli.service_manager.s6_status import parse_svdt, parse_svstat, tai64n_to_epoch, to_status

# Labels of 2026-11-21 07:16:44 UTC and after, as printed at that time.
BEGAN = "@400000006b01458119b13a67"
READY = "@400000006b0145812bb92ce9"
DIED = "@400000006b01458219f9f9d8"
OVER = "@400000006b0145821a01a018"
EPOCH = 1795245404


def words(line: str) -> str:
    return to_status("gateway-coder", parse_svstat(line), None).in_words()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"true true true true 10386 -1 NA {BEGAN} {READY}", "ready"),
        (f"true true true false 10386 -1 NA {BEGAN} {BEGAN}", "starting"),
        (f"true false false true 10386 -1 NA {BEGAN} {READY}", "stopping"),
        (f"false true true false -1 -1 SIGKILL {DIED} {OVER}", "starting"),
        (f"false false false false -1 0 NA {DIED} {OVER}", "down"),
        (f"false false true false -1 78 NA {DIED} {OVER}", "parked"),
        (f"throttled true true true 10386 -1 NA {BEGAN} {READY}", "ready"),
    ],
)
def test_every_state_has_its_word(line: str, expected: str) -> None:
    assert words(line) == expected


def test_the_end_is_over_when_finish_is_through() -> None:
    during = parse_svstat(f"false false false false -1 0 NA {DIED} {READY}")
    after = parse_svstat(f"false false false false -1 0 NA {DIED} {OVER}")
    assert (during.finishing, during.stopped) == (True, False)
    assert (after.finishing, after.stopped) == (False, True)


def test_a_label_is_turned_into_seconds_since_the_epoch() -> None:
    assert tai64n_to_epoch(BEGAN) == pytest.approx(EPOCH + 0x19B13A67 / 1e9, abs=1e-6)


@given(st.integers(1483228800, 4102444800), st.integers(0, 999_999_999))
def test_every_label_since_the_last_leap_second_goes_there_and_back(seconds: int, nanoseconds: int) -> None:
    label = f"@{(1 << 62) + 37 + seconds:016x}{nanoseconds:08x}"
    assert tai64n_to_epoch(label) == pytest.approx(seconds + nanoseconds / 1e9, abs=1e-6)


@pytest.mark.parametrize("label", ["", "@", "@40", "@" + "g" * 24, "@" + "4" * 25])
def test_what_is_no_label_is_refused(label: str) -> None:
    with pytest.raises(ValueError, match=r"TAI64N|invalid literal"):
        tai64n_to_epoch(label)


@given(st.text(max_size=80))
def test_what_is_not_the_fields_asked_for_is_a_value_error(line: str) -> None:
    with pytest.raises(ValueError, match="fields"):
        parse_svstat(line)


def test_only_unclean_deaths_count() -> None:
    tally = "\n".join(
        f"{DIED} {end}"
        for end in (
            "exitcode 0",
            "exitcode 1",
            "signal SIGTERM",
            "exitcode 78",
            "signal SIGSEGV",
            "exitcode 137",
        )
    )
    deaths = parse_svdt(tally + "\n")
    assert (deaths.unclean, deaths.exit_code, deaths.exit_signal) == (3, 137, None)
    assert parse_svdt(tally, RestartPolicy(permanent_exit_codes=(1, 137))).unclean == 2
    assert parse_svdt("") == (0, None, None)
    assert parse_svdt(f"{DIED} signal SIGKILL\n") == (1, None, "SIGKILL")


def test_while_it_runs_the_last_end_comes_from_the_tally() -> None:
    stat = parse_svstat(f"true true true true 10386 -1 NA {BEGAN} {READY}")
    status = to_status("gateway-coder", stat, parse_svdt(f"{DIED} exitcode 3\n"))
    assert (status.exit_code, status.exit_signal, status.restarts) == (3, None, 1)


def test_what_never_ran_has_no_exit_code_and_what_is_not_known_is_none() -> None:
    stat = parse_svstat(f"false false false false -1 0 NA {BEGAN} {BEGAN}")
    assert to_status("gateway-coder", stat, parse_svdt("")).exit_code is None
    assert to_status("gateway-coder", stat, None).restarts is None
