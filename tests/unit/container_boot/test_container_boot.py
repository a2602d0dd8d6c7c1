"""The plan of a boot: what comes up, what stays down, and that one broken profile costs only itself."""

from __future__ import annotations

import fcntl
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hermes_cli import container_boot
from hermes_cli.container_boot import Decision, decide, main, plan, prepare, tidy, write_log
from hermes_cli.gateway.records import IntentRecord, ParkedRecord, StateRecord
from hermes_cli.home import FALLBACK_SOCKETS, Home, save
from hermes_cli.profiles import create_profile, seed_home


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "data"
    monkeypatch.setenv("HERMES_HOME", str(root))
    monkeypatch.setattr(container_boot, "VOLUME_HELD", tmp_path / "volume-held")
    return root


@pytest.fixture
def home(root: Path) -> Home:
    return create_profile("coder", root=root).home


def intend(home: Home, intent: str) -> None:
    save(home.intent, IntentRecord(intent=intent, requested_at=1.0))  # type: ignore[arg-type]


def was(home: Home, state: str) -> None:
    save(home.state, StateRecord(state=state, pid=1, pid_start=1, boot_id="b", started_at=1.0))  # type: ignore[arg-type]


def planned(root: Path, held: str | None = None) -> dict[str, str]:
    return {one.name: one.word for one in plan(root, held)}


@pytest.mark.parametrize(("intent", "up"), [("running", True), ("stopped", False)])
def test_the_intent_decides(home: Home, intent: str, up: bool) -> None:
    intend(home, intent)
    was(home, "stopped" if up else "running")
    assert decide(home).up is up


@pytest.mark.parametrize(
    ("state", "up"),
    [("running", True), ("draining", True), ("degraded", True), ("stopped", False), ("failed", False),
     ("starting", False), ("backing_off", False)],
)  # fmt: skip
def test_without_an_intent_the_last_state_decides(home: Home, state: str, up: bool) -> None:
    was(home, state)
    assert decide(home).up is up


def test_what_never_started_stays_down(home: Home) -> None:
    assert decide(home) == Decision("coder", False, "never started")


@pytest.mark.parametrize("slip", ["good", "corrupt"])
def test_parked_survives_reboots(home: Home, slip: str) -> None:
    intend(home, "running")
    if slip == "good":
        save(home.parked, ParkedRecord(kind="config", reason="bad port", parked_at=1.0))
    else:
        home.parked.write_text("{")
    decided = decide(home)
    assert decided.up is False
    assert "parked" in decided.reason


@pytest.mark.parametrize("name", ["gateway_intent.json", "gateway_state.json", "config.yaml"])
@pytest.mark.parametrize("content", [b"", b"{", b"\xff\x00", b"[]"])
def test_what_cannot_be_read_keeps_a_gateway_down_and_is_named(home: Home, name: str, content: bytes) -> None:
    if name != "gateway_intent.json":
        was(home, "running")
    (home.path / name).write_bytes(content)
    decided = decide(home)
    assert decided.up is False
    assert name in decided.reason


def test_an_intent_nobody_knows_keeps_a_gateway_down(home: Home) -> None:
    was(home, "running")
    home.intent.write_text('{"version": 2, "intent": "flying", "requested_at": 1.0}')
    decided = decide(home)
    assert decided.up is False
    assert "flying" in decided.reason or "intent" in decided.reason


def test_a_record_that_is_a_link_is_not_followed(home: Home, tmp_path: Path) -> None:
    intend(home, "running")
    home.intent.rename(tmp_path / "elsewhere")
    home.intent.symlink_to(tmp_path / "elsewhere")
    assert decide(home).up is False


def test_one_broken_profile_among_fifty_costs_only_itself(root: Path) -> None:
    for number in range(50):
        intend(create_profile(f"p{number:02}", root=root).home, "running")
    Home("p25", root).config.write_text("gateway: [\n")
    words = planned(root)
    assert words.pop("p25") == "down"
    assert words.pop("default") == "down"
    assert set(words.values()) == {"up"}
    assert len(words) == 49


def test_a_broken_profile_is_named_on_the_container_s_own_log(
    root: Path, home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    home.config.write_text("gateway:\n  port: eight\n")
    main()
    out, err = capsys.readouterr()
    assert out == "default down\ncoder down\n"
    assert f"the gateway of coder stays down: {home.config}:2:9: gateway.port: expected" in err


def test_what_is_no_profile_gets_no_slot_and_is_reported(
    root: Path, home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "profiles" / "empty").mkdir()
    (root / "profiles" / "link").symlink_to(tmp_path)
    (root / "profiles" / "-rf").mkdir()
    (root / "profiles" / "a\nb up").mkdir()
    main()
    out, err = capsys.readouterr()
    assert out == "default down\ncoder down\n"
    for what in ("empty directory", "symbolic link", "no profile can have"):
        assert what in err
    log = Home("default", root).boot_log.read_text().splitlines()
    assert len(log) == 6
    assert sum(" skipped: " in line for line in log) == 4


def test_default_is_planned_whatever_is_broken(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root.mkdir()
    (root / "profiles").write_text("not a directory")
    (root / "logs").write_text("not a directory")
    Home("default", root).intent.write_text("rubbish")
    assert main() == 0
    out, err = capsys.readouterr()
    assert out == "default down\n"
    assert "warning" in err


def test_a_home_that_cannot_even_be_made_still_gives_a_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HERMES_HOME", str(tmp_path / "file" / "data"))
    assert main() == 0
    assert capsys.readouterr().out == "default down\n"


def test_an_empty_volume_gets_a_complete_root_home(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main() == 0
    home = Home("default", root)
    for path in (home.config, home.env, home.soul, home.gateway_log.parent, root / "profiles"):
        assert path.exists()
    assert capsys.readouterr().out == "default down\n"


def test_the_second_boot_changes_no_file_but_the_log(root: Path, home: Home) -> None:
    main()
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.name != "container-boot.log"}
    main()
    assert before == {
        path: path.stat().st_mtime_ns for path in root.rglob("*") if path.name != "container-boot.log"
    }


def test_a_half_made_and_a_half_deleted_profile_are_settled(root: Path, home: Home) -> None:
    profiles = root / "profiles"
    (profiles / ".new-one.new").mkdir()
    (profiles / "coder").rename(profiles / ".coder.deleted")
    said = list(prepare(root))
    assert list(profiles.iterdir()) == []
    assert len(said) == 2


def test_another_container_on_the_volume_keeps_everything_down_and_untouched(
    root: Path, home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    intend(home, "running")
    (home.run_dir / "gateway.pid").write_text("1")
    seed_home(Home("default", root), environ={})
    (root / "profiles" / ".writer.new").mkdir()
    container_boot.VOLUME_HELD.write_text("container 0123abcd since noon\n")
    main()
    assert (root / "profiles" / ".writer.new").is_dir()
    assert capsys.readouterr().out == "default down\ncoder down\n"
    assert (home.run_dir / "gateway.pid").exists()
    assert "coder down: the volume is held by container 0123abcd since noon" in (
        Home("default", root).boot_log.read_text()
    )


def test_what_a_dead_gateway_left_is_removed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home.run_dir)
    (home.run_dir / "gateway.pid").write_text("1")
    home.lock.write_text("1\n")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("gateway.sock")
    names = (".gateway_state.json.0123456789ab", ".state.db.0123456789ab", ".state.db.0123456789ab-wal")
    leftovers = [home.path / name for name in names]
    for leftover in leftovers:
        leftover.write_text("torn")
    home.gateway_log.mkdir(parents=True)
    (home.gateway_log / "lock").touch()
    tidy(home)
    assert list(home.run_dir.iterdir()) == []
    assert not any(leftover.exists() for leftover in leftovers)
    assert not (home.gateway_log / "lock").exists()


def test_what_a_living_gateway_holds_stays(home: Home) -> None:
    (home.run_dir / "gateway.pid").write_text("1")
    with home.lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        tidy(home)
        assert home.lock.exists()
        assert (home.run_dir / "gateway.pid").exists()


def test_nothing_of_the_operator_is_tidied_away(home: Home) -> None:
    for name in (".bashrc", ".env.local", ".config.yaml.bak", "notes.json", ".notes.0123456789ab"):
        (home.path / name).write_text("mine")
    before = sorted(path.name for path in home.path.iterdir())
    tidy(home)
    assert sorted(path.name for path in home.path.iterdir()) == before


def test_each_boot_logs_one_line_for_each_profile_with_the_reason(root: Path, home: Home) -> None:
    intend(home, "running")
    main()
    main()
    lines = Home("default", root).boot_log.read_text().splitlines()
    assert len(lines) == 4
    assert lines[1].endswith("Z coder up: intent is running")
    time.strptime(lines[1].split()[0], "%Y-%m-%dT%H:%M:%SZ")


def test_the_log_is_rotated_once_it_has_passed_256_kib(tmp_path: Path) -> None:
    path = tmp_path / "container-boot.log"
    path.write_text("x" * (256 * 1024 + 1))
    write_log(path, [Decision("default", False, "never\nstarted")])
    assert path.read_text().endswith(" default down: never started\n")
    assert (tmp_path / "container-boot.log.1").stat().st_size == 256 * 1024 + 1


def test_the_log_is_written_through_no_link(root: Path, home: Home, tmp_path: Path) -> None:
    seed_home(Home("default", root), environ={})
    Home("default", root).boot_log.symlink_to(tmp_path / "elsewhere")
    assert main() == 0
    assert not (tmp_path / "elsewhere").exists()


def run_as_the_container_does(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *options, "-m", "hermes_cli.container_boot"],
        env={"HERMES_HOME": str(root), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )


def test_an_ordinary_boot_imports_nothing_heavy(root: Path, home: Home) -> None:
    intend(home, "running")
    run_as_the_container_does(root)
    done = run_as_the_container_does(root, "-X", "importtime")
    assert done.stdout == "default down\ncoder up\n"
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "msgspec" in imported
    heavy = {"yaml", "ruamel", "click", "secrets", "hashlib", "subprocess", "shutil", "logging"}
    if FALLBACK_SOCKETS.is_dir() and any(FALLBACK_SOCKETS.iterdir()):
        heavy.remove("hashlib")  # a gateway with a long path runs beside this: its socket's name is a hash
    assert not imported & heavy


def test_a_further_profile_costs_less_than_five_milliseconds(root: Path) -> None:
    """The design's figure. It takes about 0.15 ms; the rest is room for a loaded machine."""
    for number in range(40):
        intend(create_profile(f"p{number}", root=root).home, "running")
    began = time.perf_counter()
    assert len(plan(root)) == 41
    assert time.perf_counter() - began < 40 * 0.005


def test_the_plan_is_words_a_shell_can_split(root: Path, home: Home) -> None:
    done = run_as_the_container_does(root)
    assert [line.split(" ") for line in done.stdout.splitlines()] == [["default", "down"], ["coder", "down"]]
    assert json.loads((home.path / "profile.json").read_text())["version"] == 1
