"""`hermes gateway install` and `uninstall`, and the other verbs on a host that has installed nothing."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click
import pytest

from hermes_cli import service_manager
from hermes_cli.cli.main import run
from hermes_cli.gateway import levels
from hermes_cli.gateway.levels import Level
from hermes_cli.gateway.service import gateway_spec
from hermes_cli.home import Home
from hermes_cli.profiles import create_profile, seed_home
from hermes_cli.service_manager import ServiceManager, linger
from tests.fakes.supervisor import FileHost


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "root"
    monkeypatch.setenv("HERMES_HOME", str(root))
    for name in ("HERMES_SUPERVISOR", "SUDO_USER"):
        monkeypatch.delenv(name, raising=False)
    seed_home(Home.of(root=root))
    create_profile("coder", root=root)
    return root


@pytest.fixture
def hosts(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[Level, FileHost]:
    """A systemd with both its levels, as an ordinary user sees it; the user lingers."""
    made: dict[Level, FileHost] = {level: FileHost(tmp_path / level) for level in levels.LEVELS}

    def get(kind: str | None = None, *, level: Level = "user") -> ServiceManager:
        return made[level]

    monkeypatch.setattr(service_manager, "get_service_manager", get)
    monkeypatch.setattr(service_manager, "detect_service_manager", lambda: "systemd")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(linger, "linger_enabled", lambda user: True)
    return made


@pytest.fixture
def host(hosts: dict[Level, FileHost]) -> FileHost:
    return hosts["user"]


def said(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    out, err = capsys.readouterr()
    return out, err


def test_install_does_not_start_and_says_what_does(
    host: FileHost, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["-p", "coder", "gateway", "install"]) == 0
    assert host.slots() == {"coder": "down"}
    out, _ = said(capsys)
    assert "has not been started: 'hermes -p coder gateway start' does that" in out
    assert str(host.units / "gateway-coder.unit") in out
    assert run(["-p", "coder", "gateway", "start"]) == 0
    assert host.slots() == {"coder": "up"}


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "logs"])
def test_verbs_on_what_is_not_installed_name_the_command_that_installs_it(
    host: FileHost, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    assert run(["-p", "coder", "gateway", verb]) == 1
    assert "gateway-coder is not installed: 'hermes -p coder gateway install' does that" in said(capsys)[1]


def test_a_dry_run_shows_the_difference_and_writes_nothing(
    host: FileHost, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["-p", "coder", "gateway", "install", "--dry-run"]) == 0
    out, _ = said(capsys)
    assert "+++ " in out
    assert "hermes_cli.gateway coder" in out
    assert host.slots() == {}
    assert not host.units.exists()
    run(["-p", "coder", "gateway", "install"])
    said(capsys)
    assert run(["-p", "coder", "gateway", "install", "--dry-run"]) == 0
    assert "Nothing would change" in said(capsys)[0]


def test_a_file_changed_by_hand_is_replaced_only_by_force(
    host: FileHost, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["-p", "coder", "gateway", "install"])
    unit = host.units / "gateway-coder.unit"
    unit.write_text("my own\n" + unit.read_text())
    said(capsys)
    assert run(["-p", "coder", "gateway", "install", "--dry-run"]) == 0
    assert "changed by hand; only --force replaces it" in said(capsys)[0]
    assert run(["-p", "coder", "gateway", "install"]) == 1
    assert "--force" in said(capsys)[1]
    assert unit.read_text().startswith("my own")
    assert run(["-p", "coder", "gateway", "install", "--force"]) == 0
    assert not unit.read_text().startswith("my own")


def test_install_as_json_has_everything_a_script_needs(
    host: FileHost, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["-p", "coder", "gateway", "install", "--json"]) == 0
    told = json.loads(said(capsys)[0])
    assert told["service"] == "gateway-coder"
    assert told["level"] == "user"
    assert told["files"] == told["changed"] == [str(host.units / "gateway-coder.unit")]
    assert (told["started"], told["start"], told["lingers"]) == (False, "hermes -p coder gateway start", True)


def test_uninstall_stops_and_removes_and_a_missing_one_is_fine(
    host: FileHost, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["-p", "coder", "gateway", "install"])
    run(["-p", "coder", "gateway", "start"])
    said(capsys)
    assert run(["-p", "coder", "gateway", "uninstall", "--dry-run"]) == 0
    assert "would remove" in said(capsys)[0]
    assert host.slots() == {"coder": "up"}
    assert run(["-p", "coder", "gateway", "uninstall"]) == 0
    assert host.slots() == {}
    assert json.loads(Home.of("coder", root).intent.read_text())["intent"] == "stopped"
    said(capsys)
    assert run(["-p", "coder", "gateway", "uninstall"]) == 0
    assert "was not installed" in said(capsys)[0]


def test_a_service_whose_profile_is_gone_can_be_uninstalled(host: FileHost, root: Path) -> None:
    run(["-p", "coder", "gateway", "install"])
    Home.of("coder", root).path.rename(root / "elsewhere")
    assert run(["-p", "coder", "gateway", "uninstall"]) == 0
    assert host.slots() == {}
    assert not Home.of("coder", root).path.exists()


def test_verbs_find_a_service_of_the_whole_system(
    hosts: dict[Level, FileHost], root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Home.of("coder", root)
    hosts["system"].install(gateway_spec(home, "systemd", user="alice"))
    assert run(["-p", "coder", "gateway", "start"]) == 0
    assert hosts["system"].slots() == {"coder": "up"}
    said(capsys)
    assert run(["gateway", "list", "--json"]) == 0
    rows = {row["profile"]: row["actual"] for row in json.loads(said(capsys)[0])["gateways"]}
    assert rows == {"default": "not registered", "coder": "ready"}
    assert run(["-p", "coder", "gateway", "uninstall"]) == 0
    assert hosts["system"].slots() == {}


def test_whom_it_runs_as_is_asked_for_and_only_with_system(
    hosts: dict[Level, FileHost], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["-p", "coder", "gateway", "install", "--run-as", "alice"]) == 2
    assert "add --system" in said(capsys)[1]
    monkeypatch.setenv("SUDO_USER", "alice")
    assert run(["-p", "coder", "gateway", "install", "--system"]) == 2
    assert "--run-as alice" in said(capsys)[1]
    assert hosts["system"].slots() == {}
    assert run(["-p", "coder", "gateway", "install", "--system", "--run-as", "alice"]) == 0
    assert hosts["system"].specs["gateway-coder"].user == "alice"
    assert "sudo env HERMES_HOME=" in said(capsys)[0]


def test_a_script_is_told_of_linger_and_a_terminal_asked(
    host: FileHost, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    enabled: list[str] = []
    monkeypatch.setattr(linger, "linger_enabled", lambda user: False)
    monkeypatch.setattr(linger, "enable_linger", enabled.append)
    assert run(["-p", "coder", "gateway", "install"]) == 0
    assert "'loginctl enable-linger" in said(capsys)[1]
    assert enabled == []
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(click, "confirm", lambda *_words, **_options: True)
    assert run(["-p", "coder", "gateway", "install"]) == 0
    assert len(enabled) == 1


def test_the_specification_holds_nothing_secret_and_outlives_the_drain(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERMES_GATEWAY_TOKEN", "hunter2")
    home = Home.of("coder", root)
    for kind in ("systemd", "launchd", "windows"):
        spec = gateway_spec(home, kind)
        assert spec.environment == {"HERMES_HOME": str(root), "HERMES_SUPERVISOR": kind}
        assert spec.command == (sys.executable, "-P", "-m", "hermes_cli.gateway", "coder")
        assert spec.keeps_own_ledger
        assert spec.stop_timeout >= 25 + 30
    assert gateway_spec(home, "s6").command[1:] == ("-p", "coder", "gateway", "run")
