"""What `doctor` says of gateways that are installed into an init of the host."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from hermes_cli import service_manager
from hermes_cli.cli.main import run
from hermes_cli.doctor import Finding, diagnose
from hermes_cli.gateway import levels
from hermes_cli.gateway.levels import EitherLevel, Level
from hermes_cli.gateway.records import IntentRecord
from hermes_cli.gateway.service import gateway_spec
from hermes_cli.home import Home, save
from hermes_cli.profiles import create_profile, seed_home
from hermes_cli.service_manager import ServiceManager, linger
from tests.fakes.supervisor import FileHost


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "home"
    monkeypatch.setenv("HERMES_HOME", str(root))
    seed_home(Home.of(root=root))
    create_profile("coder", root=root)
    return root


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[Level, FileHost]:
    made: dict[Level, FileHost] = {level: FileHost(tmp_path / level) for level in levels.LEVELS}

    def get(kind: str | None = None, *, level: Level = "user") -> ServiceManager:
        return made[level]

    monkeypatch.setattr(service_manager, "get_service_manager", get)
    monkeypatch.setattr(service_manager, "detect_service_manager", lambda: "systemd")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(linger, "linger_enabled", lambda user: True)
    return made


@pytest.fixture
def unit(root: Path, hosts: dict[Level, FileHost]) -> Path:
    """The file of coder's gateway, which is installed for this user as it should be."""
    hosts["user"].install(gateway_spec(Home.of("coder", root), "systemd"))
    return hosts["user"].units / "gateway-coder.unit"


def found(root: Path, word: str, *, fix: bool = False) -> list[Finding]:
    report = diagnose(root, EitherLevel("systemd"), fix=fix)
    return [finding for finding in report.findings if finding.id.startswith(word) and finding.status != "ok"]


def test_what_is_installed_as_it_should_be_is_fine(root: Path, unit: Path) -> None:
    report = diagnose(root, EitherLevel("systemd"))
    assert {"drift", "linger", "installed-twice"} <= {finding.id for finding in report.findings}
    assert report.ok


def test_a_file_changed_by_hand_is_shown_as_a_difference_and_left_alone(
    root: Path, unit: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unit.write_text("my own line\n" + unit.read_text())
    (finding,) = found(root, "drift", fix=True)
    assert "was changed by hand" in finding.message
    assert "gateway install --force" in finding.remedy
    assert "-my own line" in finding.detail
    assert unit.read_text().startswith("my own line")
    run(["doctor"])
    assert " -my own line\n" in capsys.readouterr().out


def test_a_file_of_another_version_is_mended(root: Path, unit: Path, hosts: dict[Level, FileHost]) -> None:
    older = gateway_spec(Home.of("writer", root), "systemd")
    unit.write_text(hosts["user"].render(older)[0].content)
    (finding,) = found(root, "drift")
    assert finding.fixable
    assert "-" in finding.detail
    assert "+" in finding.detail
    assert found(root, "drift", fix=True) == []
    assert found(root, "drift") == []


def test_installed_at_both_levels_is_an_error(root: Path, unit: Path, hosts: dict[Level, FileHost]) -> None:
    hosts["system"].install(gateway_spec(Home.of("coder", root), "systemd"))
    (finding,) = found(root, "installed-twice")
    assert finding.status == "error"
    assert "hermes -p coder gateway uninstall" in finding.remedy


def test_a_user_who_does_not_linger_is_told_of_the_command(
    root: Path, unit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linger, "linger_enabled", lambda user: False)
    (finding,) = found(root, "linger")
    assert "coder" in finding.message
    assert "loginctl enable-linger" in finding.remedy


def test_nothing_installed_needs_no_linger(
    root: Path, hosts: dict[Level, FileHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linger, "linger_enabled", lambda user: False)
    assert found(root, "linger") == []


def test_a_wanted_gateway_that_is_not_installed_is_said(root: Path, hosts: dict[Level, FileHost]) -> None:
    home = Home.of("coder", root)
    save(home.intent, IntentRecord(intent="running", requested_at=time.time()))
    (finding,) = found(root, "gateways")
    assert "is not installed" in finding.message
    assert "hermes -p coder gateway install" in finding.remedy
