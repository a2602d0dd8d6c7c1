"""What `doctor` finds in a home, and what `--fix` makes of it."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hermes_cli.config import inspect_config
from hermes_cli.doctor import DoctorReport, Finding, diagnose
from hermes_cli.doctor.diagnosis import examine
from hermes_cli.doctor.model import Check, Result, Scene, problem
from hermes_cli.gateway.identity import ProcessIdentity, boot_id, start_ticks
from hermes_cli.gateway.records import IntentRecord
from hermes_cli.home import Home, save
from hermes_cli.profiles import create_profile, seed_home
from hermes_cli.profiles.half_done import NEW, hidden


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "home"
    monkeypatch.setenv("HERMES_HOME", str(root))
    monkeypatch.delenv("HERMES_GATEWAY_TOKEN", raising=False)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        seed_home(Home.of(root=root), probe.getsockname()[1])
    create_profile("coder", root=root)
    return root


@pytest.fixture
def coder(root: Path) -> Home:
    return Home.of("coder", root)


def wrong(report: DoctorReport) -> list[Finding]:
    return [finding for finding in report.findings if finding.status != "ok"]


def only(report: DoctorReport) -> Finding:
    found = wrong(report)
    assert len(found) == 1, found
    return found[0]


def fixes(root: Path) -> list[Finding]:
    """Everything that one `--fix` mended; nothing may be left, and a second look finds nothing either."""
    report = diagnose(root, fix=True)
    assert wrong(report) == []
    assert wrong(diagnose(root)) == []
    return [finding for finding in report.findings if finding.fixed]


def test_a_fresh_home_has_nothing_wrong(root: Path) -> None:
    report = diagnose(root)
    assert wrong(report) == []
    assert report.ok
    assert any("Python" in finding.message for finding in report.findings)


def test_a_readable_env_file_is_an_error_and_is_closed(root: Path, coder: Home) -> None:
    coder.env.chmod(0o644)
    finding = only(diagnose(root))
    assert (finding.status, finding.fixable) == ("error", True)
    assert str(coder.env) in finding.message
    [fixed] = fixes(root)
    assert (fixed.status, fixed.fixed) == ("ok", True)
    assert stat.S_IMODE(coder.env.stat().st_mode) == 0o600


def test_a_secret_behind_a_link_is_reported_and_left_to_its_owner(
    root: Path, coder: Home, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.write_text("HERMES_GATEWAY_TOKEN=abcdefghijklmnopqrstuvwxyz\n")
    other.chmod(0o644)
    coder.env.unlink()
    coder.env.symlink_to(other)
    finding = only(diagnose(root, fix=True))
    assert (finding.status, finding.fixable) == ("error", False)
    assert stat.S_IMODE(other.stat().st_mode) == 0o644


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_files_of_somebody_else_are_found_and_counted(root: Path, coder: Home) -> None:
    for number in range(5):
        path = coder.run_dir / f"file{number}"
        path.touch()
        os.chown(path, 12345, 12345)
    finding = only(diagnose(root))
    assert finding.status == "error"
    assert "uid 12345" in finding.message
    assert "2 more" in finding.message
    assert not finding.fixable


@pytest.mark.parametrize("name", ["gateway_intent.json", "gateway_state.json", "parked.json"])
def test_a_corrupt_small_file_is_set_aside(root: Path, coder: Home, name: str) -> None:
    path = coder.path / name
    path.write_text("{")
    assert str(path) in only(diagnose(root)).message
    assert len(fixes(root)) == 1
    assert path.with_name(f"{name}.corrupt").read_text() == "{"


def test_a_stale_socket_is_removed_and_a_live_one_is_not(root: Path, coder: Home) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(coder.socket))
        listener.listen()
        assert wrong(diagnose(root)) == []
    assert "belongs to no running gateway" in only(diagnose(root)).message
    fixes(root)
    assert not coder.socket.exists()


def test_what_an_interrupted_write_left_is_removed_once_it_is_old(root: Path, coder: Home) -> None:
    leftover = coder.path / ".gateway_state.json.0123456789ab"
    leftover.touch()
    assert wrong(diagnose(root)) == []
    os.utime(leftover, (time.time() - 3600,) * 2)
    fixes(root)
    assert not leftover.exists()


def test_a_half_made_profile_is_cleared_away(root: Path) -> None:
    half = hidden(root, "half", NEW)
    half.mkdir()
    (half / "config.yaml").touch()
    assert "half" in only(diagnose(root)).message
    fixes(root)
    assert not half.exists()


@pytest.mark.parametrize("kind", ["link", "file", "name"])
def test_what_is_no_profile_is_named_and_left_alone(root: Path, coder: Home, kind: str) -> None:
    path = root / "profiles" / ("UPPER" if kind == "name" else "stray")
    if kind == "link":
        path.symlink_to(coder.path)
    elif kind == "file":
        path.touch()
    else:
        path.mkdir()
    report = diagnose(root, fix=True)
    assert path.name in only(report).message
    assert report.ok
    assert os.path.lexists(path)


def test_a_configuration_problem_is_an_error_with_its_place(root: Path, coder: Home) -> None:
    coder.config.write_text("gateway:\n  port: many\n")
    finding = only(diagnose(root))
    assert "config.yaml:2" in finding.message
    assert finding.status == "error"


def test_a_missing_configuration_is_written_anew(root: Path, coder: Home) -> None:
    coder.config.unlink()
    assert not diagnose(root).ok
    fixes(root)
    assert inspect_config(coder).errors == []


def test_two_profiles_with_one_port_are_an_error_naming_both(root: Path, coder: Home) -> None:
    port = inspect_config(Home.of(root=root)).values["gateway.port"]
    coder.config.write_text(f"gateway:\n  port: {port}\n")
    finding = only(diagnose(root))
    assert "default, coder" in finding.message
    assert finding.status == "error"


@pytest.mark.parametrize("wanted", [True, False], ids=["wanted", "not wanted"])
def test_a_port_that_another_program_has_is_named_with_that_program(
    root: Path, coder: Home, wanted: bool
) -> None:
    save(coder.intent, IntentRecord(intent="running" if wanted else "stopped", requested_at=1.0))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        coder.config.write_text(f"gateway:\n  port: {taken.getsockname()[1]}\n")
        found = [finding for finding in wrong(diagnose(root)) if finding.id.startswith("ports")]
    [finding] = found
    assert f"pid {os.getpid()}" in finding.message
    assert finding.status == ("error" if wanted else "warning")


def test_a_missing_token_is_made_and_the_rest_of_the_file_kept(root: Path, coder: Home) -> None:
    coder.env.write_text("# mine\nOTHER=1")
    assert "HERMES_GATEWAY_TOKEN" in only(diagnose(root)).message
    fixes(root)
    assert coder.env.read_text().startswith("# mine\nOTHER=1\nHERMES_GATEWAY_TOKEN=")
    assert len(inspect_config(coder).token or "") >= 32


def test_a_short_and_a_shared_token_are_warnings_that_do_not_repeat_it(root: Path, coder: Home) -> None:
    for home in (coder, Home.of(root=root)):
        home.env.write_text("HERMES_GATEWAY_TOKEN=hunter2\n")
    found = wrong(diagnose(root))
    assert [finding.status for finding in found] == ["warning"] * 3
    assert not any("hunter2" in finding.message + finding.remedy for finding in found)


def test_a_wanted_gateway_that_is_down_is_an_error(root: Path, coder: Home) -> None:
    save(coder.intent, IntentRecord(intent="running", requested_at=1.0))
    finding = only(diagnose(root))
    assert "meant to run" in finding.message
    assert not finding.fixable


class S6WithoutSlots:
    """Stands for an s6 that has lost the slot of `coder`."""

    kind = "s6"

    def __init__(self) -> None:
        self.slots = ["default"]

    def status_all(self, names: list[str]) -> dict[str, object]:
        from hermes_cli.service_manager import ServiceStatus

        return {name: ServiceStatus(name, registered=name.split("-")[-1] in self.slots) for name in names}

    def supports_runtime_registration(self) -> bool:
        return True

    def list_profile_gateways(self) -> list[str]:
        return sorted(self.slots)

    def register_profile_gateway(self, profile: str) -> None:
        self.slots.append(profile)

    def unregister_profile_gateway(self, profile: str) -> None:
        self.slots.remove(profile)


def test_missing_slots_are_registered_and_those_of_gone_profiles_removed(root: Path) -> None:
    manager = S6WithoutSlots()
    manager.slots.append("ghost")
    found = wrong(diagnose(root, manager))  # type: ignore[arg-type]
    assert [(finding.id, finding.status) for finding in found] == [
        ("slots coder", "error"),
        ("slots ghost", "warning"),
    ]
    assert wrong(diagnose(root, manager, fix=True)) == []  # type: ignore[arg-type]
    assert sorted(manager.slots) == ["coder", "default"]


def test_a_slot_is_kept_while_something_lies_where_its_profile_was(root: Path) -> None:
    manager = S6WithoutSlots()
    manager.slots += ["coder", "ghost"]
    (root / "profiles/ghost").mkdir()
    diagnose(root, manager, fix=True)  # type: ignore[arg-type]
    assert "ghost" in manager.slots


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.wait()
    assert process.stdin is not None
    process.stdin.close()


def test_an_orphan_that_holds_a_home_is_ended(
    root: Path, coder: Home, sleeper: subprocess.Popen[bytes]
) -> None:
    identity = ProcessIdentity(sleeper.pid, start_ticks(sleeper.pid) or 0, boot_id())
    coder.lock.write_text(f"{identity.pid}\n{identity.start}\n{identity.boot_id}\n")
    manager = S6WithoutSlots()
    manager.slots.append("coder")
    report = diagnose(root, manager)  # type: ignore[arg-type]
    [finding] = [finding for finding in wrong(report) if finding.id == "orphans coder"]
    assert str(sleeper.pid) in finding.message
    assert sleeper.poll() is None
    diagnose(root, manager, fix=True)  # type: ignore[arg-type]
    assert sleeper.wait(timeout=10) < 0


def scene(root: Path) -> Callable[[], Scene]:
    return lambda: Scene(root=root, manager=None)


def test_a_check_that_fails_itself_is_an_error_and_the_others_go_on(tmp_path: Path) -> None:
    def broken(_scene: Scene) -> Iterator[Result]:
        raise PermissionError(13, "Permission denied")
        yield

    checks = (Check("broken", "fine", broken), Check("other", "fine", lambda _scene: iter(())))
    report = examine(checks, scene(tmp_path), fix=False)
    assert [(finding.id, finding.status) for finding in report.findings] == [
        ("broken", "error"),
        ("other", "ok"),
    ]


def test_a_mend_that_fails_says_so_and_the_finding_stays(tmp_path: Path) -> None:
    def refuse() -> None:
        raise OSError(30, "Read-only file system")

    def bad(_scene: Scene) -> Iterator[Result]:
        yield problem("bad", "it is bad", "mend it", mend=refuse)

    report = examine((Check("bad", "fine", bad),), scene(tmp_path), fix=True)
    [finding] = report.findings
    assert not report.ok
    assert not finding.fixed
    assert "Read-only file system" in finding.remedy


def test_nothing_is_touched_without_fix(root: Path, coder: Home) -> None:
    coder.env.chmod(0o644)
    coder.state.write_text("{")
    (root / "profiles/.half.new").mkdir()
    before = sorted((str(path), path.lstat().st_mode) for path in root.rglob("*"))
    diagnose(root)
    assert sorted((str(path), path.lstat().st_mode) for path in root.rglob("*")) == before
