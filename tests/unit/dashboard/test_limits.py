"""Guessing is slowed, and so is whoever sends too much."""

from __future__ import annotations

from hermes_cli.dashboard.limits import FAILURES, FAILURES_OF_ALL, WINDOW, Attempts, Window

from .clock import Clock


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


def test_a_window_slides() -> None:
    clock = Clock()
    window = Window(2, 10.0, clock)
    window.count("a")
    clock.now += 6
    window.count("a")
    assert window.wait("a") == 4
    clock.now += 4
    assert window.wait("a") == 0
    window.count("a")
    assert window.wait("a") == 6


def test_a_million_keys_are_not_all_remembered() -> None:
    window = Window(1, 10.0, Clock())
    for number in range(5000):
        window.count(str(number))
    assert len(window._times) == 1024
    assert window.wait("4999") > 0
    assert window.wait("0") == 0
