"""Detection answers for any uid on any machine, and never raises."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from hermes_cli.service_manager import (
    NoServiceManagerError,
    detect,
    detect_service_manager,
    get_service_manager,
)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Linux machine with nothing on it. Paths are relative: a socket's has 107 bytes at most."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(detect, "_PROC_1_COMM", Path("comm"))
    monkeypatch.setattr(detect, "_S6_BASEDIR", Path("basedir"))
    monkeypatch.setattr(detect, "_SYSTEMD_RUNNING", Path("systemd"))
    monkeypatch.setattr(detect, "_SYSTEM_BUSES", (Path("bus"),))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    return tmp_path


def test_nothing_there_is_none(machine: Path) -> None:
    assert detect_service_manager() == "none"
    with pytest.raises(NoServiceManagerError, match="hermes gateway run") as caught:
        get_service_manager()
    assert caught.value.kind == "none"


def test_s6_needs_both_the_name_of_pid_1_and_the_base_directory(machine: Path) -> None:
    Path("comm").write_text("s6-svscan\n")
    assert detect_service_manager() == "none"
    Path("basedir").mkdir()
    assert detect_service_manager() == "s6"
    assert get_service_manager().kind == "s6"
    Path("comm").write_text("s6-svscan-like\n")
    assert detect_service_manager() == "none"


def test_s6_comes_before_a_systemd_that_shows_through_a_mount(machine: Path) -> None:
    Path("comm").write_text("s6-svscan\n")
    Path("basedir").mkdir()
    Path("systemd").mkdir()
    with socket.socket(socket.AF_UNIX) as bus:
        bus.bind("bus")
        bus.listen()
        assert detect_service_manager() == "s6"


@pytest.mark.parametrize("comm", [b"\xff\xfe\x00", b"", b"systemd\n" * 9999])
def test_an_odd_name_of_pid_1_is_not_s6(machine: Path, comm: bytes) -> None:
    Path("comm").write_bytes(comm)
    Path("basedir").mkdir()
    assert detect_service_manager() == "none"


def test_an_unreadable_proc_is_not_s6(machine: Path) -> None:
    Path("comm").mkdir()
    Path("basedir").symlink_to("basedir")
    assert detect_service_manager() == "none"


def test_systemd_needs_a_bus_that_takes_the_call(machine: Path) -> None:
    Path("systemd").mkdir()
    assert detect_service_manager() == "none"
    Path("bus").write_text("not a socket")
    assert detect_service_manager() == "none"
    Path("bus").unlink()
    with socket.socket(socket.AF_UNIX) as bus:
        bus.bind("bus")
        assert detect_service_manager() == "none", "bound, but nobody listens"
        bus.listen()
        assert detect_service_manager() == "systemd"
    assert detect_service_manager() == "none", "left behind by a systemd that is gone"


def test_a_user_bus_counts_too(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("systemd").mkdir()
    Path("user").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", "user")
    with socket.socket(socket.AF_UNIX) as bus:
        bus.bind("user/bus")
        bus.listen()
        assert detect_service_manager() == "systemd"


@pytest.mark.parametrize("runtime", ["x" * 5000, "", "/proc/self/mem", "/dev/null"])
def test_an_odd_runtime_directory_does_not_raise(
    machine: Path, monkeypatch: pytest.MonkeyPatch, runtime: str
) -> None:
    Path("systemd").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    assert detect_service_manager() == "none"


@pytest.mark.parametrize(
    ("platform", "kind"), [("darwin", "launchd"), ("win32", "windows"), ("freebsd14", "none")]
)
def test_other_systems_go_by_their_name(
    machine: Path, monkeypatch: pytest.MonkeyPatch, platform: str, kind: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert detect_service_manager() == kind
    if kind == "none":
        with pytest.raises(NoServiceManagerError, match=kind):
            get_service_manager()
    else:
        assert get_service_manager().kind == kind


def test_detection_here_is_one_of_the_kinds() -> None:
    assert (
        detect_service_manager() in ("s6", "systemd", "none") or os.name == "nt" or sys.platform == "darwin"
    )
