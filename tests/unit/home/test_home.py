"""Homes: where things are, and small files that are read whole or not at all."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_cli.gateway.records import IntentRecord
from hermes_cli.home import (
    CorruptFileError,
    Home,
    load,
    not_a_profile,
    profile_entries,
    profile_names,
    root_home,
    save,
    write_atomic,
)
from hermes_cli.service_manager import InvalidNameError


def intent(word: str = "running") -> IntentRecord:
    return IntentRecord(intent=word, requested_at=2.0)  # type: ignore[arg-type]


def test_the_root_home_is_what_hermes_home_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERMES_HOME", "/somewhere")
    assert root_home() == Path("/somewhere")
    monkeypatch.setenv("HERMES_HOME", "")
    monkeypatch.setenv("HOME", "/home/alice")
    assert root_home() == Path("/home/alice/.hermes")


def test_default_lives_in_the_root_home_and_others_below_it() -> None:
    root = Path("/data")
    assert Home.of("default", root).config == Path("/data/config.yaml")
    assert Home.of("coder", root).config == Path("/data/profiles/coder/config.yaml")
    assert Home.of("coder", root).gateway_log == Path("/data/logs/gateways/coder")


@pytest.mark.parametrize("name", ["..", "a/b", "", "A"])
def test_no_home_lies_outside_profiles(name: str) -> None:
    with pytest.raises(InvalidNameError):
        Home.of(name, Path("/data"))


def test_a_socket_path_never_passes_what_the_kernel_takes() -> None:
    for length in range(1, 244):
        path = Home.of("x" * length, Path("/opt/data")).socket
        assert len(os.fsencode(path)) <= 107


def test_a_record_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "intent.json"
    save(path, intent())
    assert load(path, IntentRecord) == intent()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_keys_of_a_later_version_survive_a_rewrite(tmp_path: Path) -> None:
    path = tmp_path / "intent.json"
    path.write_text('{"version": 1, "intent": "running", "requested_at": 1.0, "reason": "because"}')
    save(path, intent("stopped"))
    assert json.loads(path.read_text())["reason"] == "because"
    assert json.loads(path.read_text())["intent"] == "stopped"


def test_a_missing_record_is_none(tmp_path: Path) -> None:
    assert load(tmp_path / "nothing.json", IntentRecord) is None


@given(st.binary(max_size=100))
def test_rubbish_is_a_corrupt_file_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("rubbish") / "intent.json"
    path.write_bytes(data)
    with pytest.raises(CorruptFileError, match=r"intent\.json"):
        load(path, IntentRecord)


def test_a_record_that_is_a_link_or_a_directory_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "real.json", intent())
    (tmp_path / "link.json").symlink_to("real.json")
    (tmp_path / "directory.json").mkdir()
    os.mkfifo(tmp_path / "fifo.json")
    for name in ("link.json", "directory.json", "fifo.json"):
        with pytest.raises(CorruptFileError):
            load(tmp_path / name, IntentRecord)


def test_a_write_replaces_a_link_instead_of_following_it(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "file").symlink_to("victim")
    write_atomic(tmp_path / "file", b"new", mode=0o600)
    assert (tmp_path / "victim").read_text() == "precious"
    assert not (tmp_path / "file").is_symlink()


def test_a_failed_write_leaves_the_old_content_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(path, b"new", mode=0o600)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_mode_is_what_was_asked_for_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        write_atomic(tmp_path / "script", b"", mode=0o755)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "script").stat().st_mode) == 0o755


def test_only_homes_are_profiles(tmp_path: Path) -> None:
    profiles = tmp_path / "profiles"
    (profiles / "empty").mkdir(parents=True)
    (profiles / "coder").mkdir()
    (profiles / "coder" / "config.yaml").write_text("")
    (profiles / "torn").mkdir()
    (profiles / "torn" / ".env").write_text("")
    (profiles / ".half.new").mkdir()
    (profiles / "link").symlink_to("coder")
    assert list(profile_names(tmp_path)) == ["default", "coder", "torn"]
    assert {name for name, objection in profile_entries(tmp_path) if objection} == {"empty", "link"}
    assert not_a_profile(profiles / "coder") is None


def test_there_is_always_default(tmp_path: Path) -> None:
    assert list(profile_names(tmp_path / "nowhere")) == ["default"]
    (tmp_path / "profiles").write_text("")
    assert list(profile_names(tmp_path)) == ["default"]
