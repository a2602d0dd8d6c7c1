"""A session lasts as long as it should: over restarts, and not over a new password."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from hermes_cli.dashboard.auth import Credentials
from hermes_cli.dashboard.sessions import MAX_SESSIONS, Sessions

from .clock import Clock

SECRETS = Credentials("password", "token", "read")


def sessions(
    directory: Path, credentials: Credentials = SECRETS, clock: Clock | None = None, lifetime: float = 60
) -> Sessions:
    return Sessions(directory / "dashboard", credentials, clock or Clock(), lifetime)


def test_it_keeps_the_role_that_it_was_opened_for(tmp_path: Path) -> None:
    mine = sessions(tmp_path)
    assert mine.role(mine.open("operator")) == "operator"
    assert mine.role(mine.open("reader")) == "reader"


@pytest.mark.parametrize("made_up", [None, "", "made up", "../key", "\ud800", "x" * 100_000, "\0"])
def test_what_nobody_opened_is_none(tmp_path: Path, made_up: str | None) -> None:
    mine = sessions(tmp_path)
    mine.open("operator")
    assert mine.role(made_up) is None


def test_it_ends_by_time(tmp_path: Path) -> None:
    clock = Clock()
    mine = sessions(tmp_path, clock=clock)
    session = mine.open("operator")
    clock.now += 59
    assert mine.role(session)
    clock.now += 1
    assert mine.role(session) is None
    clock.now -= 30
    assert mine.role(session) is None, "what has ended does not come back"


def test_a_clock_set_back_does_not_prolong_it(tmp_path: Path) -> None:
    clock = Clock()
    mine = sessions(tmp_path, clock=clock)
    session = mine.open("operator")
    clock.now -= 10
    assert mine.role(session) is None


def test_it_survives_a_restart_and_signing_out_ends_it_everywhere(tmp_path: Path) -> None:
    before = sessions(tmp_path)
    session, other = before.open("operator"), before.open("operator")
    after = sessions(tmp_path)
    assert after.role(session) == "operator"
    assert after.key == before.key
    after.close(session)
    assert before.role(session) is None
    assert before.role(other) == "operator"


@pytest.mark.parametrize(
    "changed",
    [
        Credentials("new", "token", "read"),
        Credentials("password", None, "read"),
        Credentials("token", "password", "read"),
    ],
)
def test_a_new_password_or_token_ends_the_sessions_of_its_role(tmp_path: Path, changed: Credentials) -> None:
    before = sessions(tmp_path)
    operator, reader = before.open("operator"), before.open("reader")
    after = sessions(tmp_path, changed)
    assert after.role(operator) is None
    assert after.role(reader) == "reader"


def test_the_files_are_for_their_owner_alone_and_hold_nothing_to_sign_in_with(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        session = sessions(tmp_path).open("operator")
    finally:
        os.umask(old)
    files = [path for path in (tmp_path / "dashboard").rglob("*") if path.is_file()]
    assert len(files) == 2
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert session not in path.name
        assert session.encode() not in path.read_bytes()
        assert b"password" not in path.read_bytes()
    assert stat.S_IMODE((tmp_path / "dashboard").stat().st_mode) == 0o700


def test_they_are_bounded_and_the_oldest_goes_first(tmp_path: Path) -> None:
    clock = Clock()
    mine = sessions(tmp_path, clock=clock, lifetime=10_000)
    opened = []
    for _ in range(MAX_SESSIONS + 1):
        opened.append(mine.open("operator"))
        clock.now += 1
    assert mine.role(opened[0]) is None
    assert mine.role(opened[1])
    assert mine.role(opened[-1])
    clock.now += 20_000
    mine.open("operator")
    assert len(list((tmp_path / "dashboard" / "sessions").iterdir())) == 1


@pytest.mark.parametrize("rubbish", [b"", b"{}", b"\xff", b'{"role":"root"}', b"[]" * 1000])
def test_a_torn_file_is_no_session_and_hurts_nobody(tmp_path: Path, rubbish: bytes) -> None:
    mine = sessions(tmp_path)
    torn, whole = mine.open("operator"), mine.open("operator")
    mine._path(torn).write_bytes(rubbish)
    assert mine.role(torn) is None
    assert mine.role(whole) == "operator"
    assert mine.role(mine.open("reader")) == "reader"


@pytest.mark.parametrize("rubbish", [b"", b"short", b"x" * 64])
def test_a_key_that_is_none_is_made_anew(tmp_path: Path, rubbish: bytes) -> None:
    (tmp_path / "dashboard").mkdir()
    (tmp_path / "dashboard" / "key").write_bytes(rubbish)
    mine = sessions(tmp_path)
    assert len(mine.key) == 32
    assert sessions(tmp_path).key == mine.key


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    mine = sessions(tmp_path)
    session = mine.open("operator")
    path = mine._path(session)
    copy = tmp_path / "elsewhere"
    path.rename(copy)
    path.symlink_to(copy)
    assert mine.role(session) is None


def test_where_nothing_can_be_written_one_can_sign_in_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "dashboard").write_text("in the way")
    mine = sessions(tmp_path)
    session = mine.open("operator")
    assert mine.role(session) == "operator"
    mine.close(session)
    assert mine.role(session) is None
