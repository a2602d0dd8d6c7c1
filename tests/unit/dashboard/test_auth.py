"""The door opens for the password and the token, for as long as it should, and not for guessing."""

from __future__ import annotations

import pytest

from hermes_cli.dashboard.auth import (
    FAILURES,
    FAILURES_OF_ALL,
    WINDOW,
    Attempts,
    Credentials,
    Forms,
    Sessions,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("guess", ["", "passwor", "password ", "tok", "PASSWORD", "\ud800"])
def test_only_the_exact_secret_opens(guess: str) -> None:
    credentials = Credentials("password", "token")
    assert credentials.match("password")
    assert credentials.match("token")
    assert not credentials.match(guess)


def test_a_missing_secret_matches_nothing() -> None:
    assert not Credentials(None, "token").match("")
    assert not Credentials("password", None).match_token("")
    assert not Credentials("password", "token").match_token("password")


def test_a_session_ends_by_time_and_by_signing_out() -> None:
    clock = Clock()
    sessions = Sessions(clock, lifetime=60)
    first, second = sessions.open(), sessions.open()
    assert sessions.valid(first)
    sessions.close(second)
    assert not sessions.valid(second)
    clock.now += 60
    assert not sessions.valid(first)
    assert not sessions.valid("made up")
    assert not sessions.valid(None)


def test_sessions_are_bounded_and_the_oldest_goes_first() -> None:
    sessions = Sessions()
    opened = [sessions.open() for _ in range(257)]
    assert not sessions.valid(opened[0])
    assert sessions.valid(opened[1])
    assert sessions.valid(opened[-1])


def test_a_form_is_valid_for_its_own_cookie_and_process_only() -> None:
    forms = Forms()
    assert forms.valid("cookie", forms.token("cookie"))
    assert not forms.valid("other", forms.token("cookie"))
    assert not forms.valid("cookie", Forms().token("cookie"))
    assert not forms.valid(None, forms.token(""))
    assert not forms.valid("cookie", "")


def test_guessing_is_stopped_for_a_while_and_for_that_address() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for _ in range(FAILURES):
        assert attempts.wait("a") == 0
        attempts.failed("a")
    assert attempts.wait("a") == WINDOW
    assert attempts.wait("b") == 0
    clock.now += WINDOW
    assert attempts.wait("a") == 0


def test_guessing_from_many_addresses_is_stopped_too() -> None:
    attempts = Attempts(Clock())
    for number in range(FAILURES_OF_ALL):
        assert attempts.wait(str(number)) == 0
        attempts.failed(str(number))
    assert attempts.wait("new") > 0


def test_signing_in_forgets_the_mistakes_before() -> None:
    attempts = Attempts(Clock())
    for _ in range(FAILURES - 1):
        attempts.failed("a")
    attempts.succeeded("a")
    attempts.failed("a")
    assert attempts.wait("a") == 0
