"""Profiles whose gateways are installed into an init of the host, one by one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from hermes_cli.gateway.records import IntentRecord
from hermes_cli.gateway.service import gateway_spec
from hermes_cli.home import Home, save
from hermes_cli.profiles import create_profile, delete_profile, recover_half_done, rename_profile
from hermes_cli.service_manager import PermissionDeniedError
from tests.fakes.supervisor import FileHost


@pytest.fixture
def host(tmp_path: Path) -> FileHost:
    return FileHost(tmp_path / "services")


@pytest.fixture
def coder(tmp_path: Path, host: FileHost) -> Home:
    """A profile whose gateway is installed, and runs because it was asked to."""
    home = create_profile("coder", manager=host, root=tmp_path / "root").home
    host.install(gateway_spec(home, host.kind))
    host.start("gateway-coder")
    save(home.intent, IntentRecord(intent="running", requested_at=time.time()))
    return home


def test_a_new_profile_is_not_installed_by_itself(tmp_path: Path, host: FileHost) -> None:
    create_profile("coder", manager=host, root=tmp_path / "root")
    assert host.slots() == {}


def test_deleting_uninstalls(coder: Home, host: FileHost) -> None:
    delete_profile("coder", manager=host, root=coder.root)
    assert host.slots() == {}
    assert list(host.units.iterdir()) == []
    assert not coder.path.exists()


def test_what_may_not_be_uninstalled_is_not_deleted(
    coder: Home, host: FileHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str) -> None:
        raise PermissionDeniedError(name, "uninstall", "be root")

    monkeypatch.setattr(host, "uninstall", refuse)
    with pytest.raises(PermissionDeniedError):
        delete_profile("coder", manager=host, root=coder.root)
    assert coder.config.exists()
    assert host.slots() == {"coder": "down"}


def test_renaming_moves_the_installation_and_starts_what_ran(coder: Home, host: FileHost) -> None:
    rename_profile("coder", "writer", manager=host, root=coder.root)
    assert host.slots() == {"writer": "up"}
    assert host.specs["gateway-writer"].command[-1] == "writer"


def test_renaming_what_is_not_installed_installs_nothing(tmp_path: Path, host: FileHost) -> None:
    home = create_profile("coder", manager=host, root=tmp_path / "root").home
    save(home.intent, IntentRecord(intent="running", requested_at=time.time()))
    rename_profile("coder", "writer", manager=host, root=home.root)
    assert host.slots() == {}


def test_a_rename_that_fails_leaves_the_old_installation(
    coder: Home, host: FileHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = host.install

    def install(spec: object, *, force: bool = False) -> None:
        raise PermissionDeniedError("gateway-writer", "install", "be root")

    monkeypatch.setattr(host, "install", install)
    with pytest.raises(PermissionDeniedError):
        rename_profile("coder", "writer", manager=host, root=coder.root)
    monkeypatch.setattr(host, "install", whole)
    assert host.slots() == {"coder": "up"}
    assert coder.config.exists()


@pytest.mark.parametrize("installed", [["coder"], ["coder", "writer"], ["writer"]])
def test_a_rename_that_was_cut_off_is_finished(coder: Home, host: FileHost, installed: list[str]) -> None:
    """Killed between any two steps: before the new one is installed, before the old one is gone, after."""
    writer = Home.of("writer", coder.root)
    (coder.root / "profiles/.coder.renaming").write_text("writer")
    coder.path.rename(writer.path)
    if "writer" in installed:
        host.install(gateway_spec(writer, host.kind))
    if "coder" not in installed:
        host.uninstall("gateway-coder")
    assert recover_half_done(host, coder.root)
    assert host.slots() == {"writer": "up"}
