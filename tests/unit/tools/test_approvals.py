"""Dangerous commands are allowed once, for a session, or for good, by the one who was asked."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hermes_cli.config import load_config
from hermes_cli.home import Home
from hermes_cli.tools import Approvals

KEYS = ["recursive_delete", "force_push"]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home("default", tmp_path)
    home.config.write_text("# mine\ngateway:\n  port: 8700 # why\n")
    return home


def allow(approvals: Approvals, choice: str, session: str | None = "s", command: str = "x") -> str:
    asked = approvals.ask(session, command, KEYS)
    return approvals.resolve(asked.approval_id, choice).status  # type: ignore[arg-type]


def test_nothing_dangerous_needs_no_permission(home: Home) -> None:
    assert Approvals(home).missing("s", "x", []) == []


def test_once_holds_for_one_run_of_that_command_in_that_session(home: Home) -> None:
    approvals = Approvals(home)
    assert allow(approvals, "once") == "allowed"
    assert approvals.missing("s", "other", KEYS) == KEYS
    assert approvals.missing("other", "x", KEYS) == KEYS
    assert approvals.missing("s", "x", KEYS) == []
    assert approvals.missing("s", "x", KEYS) == KEYS


def test_once_does_not_wait_for_ever(home: Home) -> None:
    clock = Clock()
    approvals = Approvals(home, clock=clock)
    allow(approvals, "once")
    clock.now += 601
    assert approvals.missing("s", "x", KEYS) == KEYS


def test_once_does_not_cover_what_was_not_asked(home: Home) -> None:
    approvals = Approvals(home)
    allow(approvals, "once")
    assert approvals.missing("s", "x", [*KEYS, "fork_bomb"]) == [*KEYS, "fork_bomb"]


def test_for_the_session_holds_for_every_command_of_that_kind_there(home: Home) -> None:
    approvals = Approvals(home)
    allow(approvals, "session")
    assert approvals.missing("s", "another", KEYS) == []
    assert approvals.missing("other", "x", KEYS) == KEYS
    approvals.end_session("s")
    assert approvals.missing("s", "x", KEYS) == KEYS
    assert "approved" not in home.config.read_text()


def test_always_stands_in_the_configuration_beside_what_was_there(home: Home) -> None:
    assert allow(Approvals(home), "always") == "allowed"
    assert home.config.read_text() == (
        "# mine\ngateway:\n  port: 8700 # why\ntools:\n  approved_commands: force_push, recursive_delete\n"
    )
    assert load_config(home, {}).tools.approved == set(KEYS)
    assert Approvals(home).missing("anybody", "anything", KEYS) == []


def test_a_kind_taken_out_of_the_configuration_is_asked_for_again_at_once(home: Home) -> None:
    approvals = Approvals(home)
    allow(approvals, "always")
    home.config.write_text("tools:\n  approved_commands: force_push\n")
    assert approvals.missing("s", "x", KEYS) == ["recursive_delete"]


def test_a_configuration_that_cannot_be_read_allows_nothing(home: Home) -> None:
    approvals = Approvals(home)
    allow(approvals, "always")
    for text in (
        "tools: [\n",
        "tools:\n  approved_commands: 7\n",
        "tools:\n  approved_commands: [force_push]\n",
    ):
        home.config.write_text(text)
        assert approvals.missing("s", "x", KEYS) == KEYS


def test_always_that_cannot_be_written_holds_for_the_session_and_says_so(home: Home) -> None:
    approvals = Approvals(home)
    real = home.config.rename(home.path / "mounted.yaml")
    home.config.symlink_to(real)
    asked = approvals.ask("s", "x", KEYS)
    resolved = approvals.resolve(asked.approval_id, "always")
    assert "this session only" in resolved.message
    assert "is a link" in resolved.message
    assert approvals.missing("s", "y", KEYS) == []
    assert approvals.missing("other", "y", KEYS) == KEYS


def test_a_denial_leaves_things_as_they_were(home: Home) -> None:
    approvals = Approvals(home)
    assert allow(approvals, "deny") == "denied"
    assert approvals.missing("s", "x", KEYS) == KEYS


def test_a_question_is_answered_once(home: Home) -> None:
    approvals = Approvals(home)
    asked = approvals.ask("s", "x", KEYS)
    assert approvals.ask("s", "x", KEYS) == asked
    assert approvals.pending("s") == [asked]
    approvals.resolve(asked.approval_id, "once")
    assert approvals.resolve(asked.approval_id, "always").status == "expired"
    assert approvals.pending() == []


def test_a_question_nobody_answers_is_forgotten(home: Home) -> None:
    clock = Clock()
    approvals = Approvals(home, clock=clock)
    asked = approvals.ask("s", "x", KEYS)
    clock.now += 25 * 3600
    assert approvals.resolve(asked.approval_id, "once").status == "expired"


def test_questions_do_not_grow_without_bound(home: Home) -> None:
    approvals = Approvals(home)
    for number in range(600):
        approvals.ask("s", f"rm -rf {number}", KEYS)
    assert len(approvals.pending()) <= 256
    assert approvals.pending()[-1].command == "rm -rf 599"


def test_a_word_that_is_no_decision_decides_nothing(home: Home) -> None:
    approvals = Approvals(home)
    asked = approvals.ask("s", "x", KEYS)
    with pytest.raises(ValueError, match="once, session, always, deny"):
        approvals.resolve(asked.approval_id, "yes")  # type: ignore[arg-type]
    assert approvals.pending() == [asked]


def test_without_a_profile_nothing_is_for_good() -> None:
    approvals = Approvals(None)
    assert "always" not in approvals.choices
    asked = approvals.ask("s", "x", KEYS)
    assert "this session only" in approvals.resolve(asked.approval_id, "always").message


def test_decisions_made_at_once_are_all_kept(home: Home) -> None:
    keys = [f"kind_{number}" for number in range(12)]

    def decide(key: str) -> None:
        approvals = Approvals(home)
        approvals.resolve(approvals.ask("s", "x", [key]).approval_id, "always")

    threads = [threading.Thread(target=decide, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert load_config(home, {}).tools.approved == set(keys)
