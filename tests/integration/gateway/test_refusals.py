"""Starts that cannot be: each ends with its own exit code, and a reason where an operator looks."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hermes_cli.gateway.park import parked
from hermes_cli.gateway.records import IntentRecord
from hermes_cli.gateway.supervision_log import read_events
from hermes_cli.home import save

from .harness import Gateway, Yard, free_port, until


def parked_reason(gateway: Gateway) -> str:
    slip = parked(gateway.home)
    assert slip is not None, gateway.words()
    return slip.reason


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_wrong_type_is_78_with_file_line_and_what_was_expected(yard: Yard) -> None:
    home = yard.profile()
    home.config.write_text("gateway:\n  port: eighty\n")
    gateway = yard.start(home)
    assert gateway.ended() == 78
    reason = parked_reason(gateway)
    assert f"{home.config}:2" in reason
    assert "port" in reason
    assert gateway.state().state == "failed"
    assert reason in gateway.words()
    assert [event.event for event in read_events(yard.root)] == ["parked"]


def test_a_mended_configuration_starts_again(yard: Yard) -> None:
    home = yard.profile()
    good = home.config.read_text()
    home.config.write_text("gateway: [1]\n")
    assert yard.start(home).ended() == 78
    home.config.write_text(good)
    yard.start(home).ready()
    assert parked(home) is None


def test_a_broken_env_is_78(yard: Yard) -> None:
    home = yard.profile()
    home.env.write_text("SECRET_WORD=fine\nthis is no assignment\n")
    gateway = yard.start(home)
    assert gateway.ended() == 78
    assert f"{home.env}:2" in parked_reason(gateway)
    assert "fine" not in parked_reason(gateway)


def test_a_taken_port_is_78_and_names_the_process(yard: Yard) -> None:
    port = free_port()
    program = "import socket,sys; s=socket.create_server(('127.0.0.1', int(sys.argv[1]))); input()"
    holder = subprocess.Popen([sys.executable, "-c", program, str(port)], stdin=subprocess.PIPE)
    try:
        until("the holder listens", lambda: listens(port))
        gateway = yard.start(yard.profile(port=port))
        assert gateway.ended() == 78
        reason = parked_reason(gateway)
        assert f"pid {holder.pid}" in reason
        assert "create_server" in reason
        assert str(port) in reason
    finally:
        holder.communicate(b"\n", timeout=5)


def test_a_port_of_another_profile_is_78_and_names_the_profile(yard: Yard) -> None:
    port = free_port()
    yard.start(yard.profile("coder", port=port)).ready()
    gateway = yard.start(yard.profile("writer", port=port))
    assert gateway.ended() == 78
    assert "profile 'coder'" in parked_reason(gateway)


def test_an_address_of_another_machine_is_78(yard: Yard) -> None:
    gateway = yard.start(yard.profile(config="  host: 192.0.2.1\n"))
    assert gateway.ended() == 78
    assert "192.0.2.1" in parked_reason(gateway)


def test_a_second_one_by_hand_is_1_and_leaves_the_first_alone(yard: Yard) -> None:
    home = yard.profile()
    first = yard.start(home).ready()
    second = yard.start(home, supervised=False)
    assert second.ended() == 1
    assert f"already running as pid {first.process.pid}" in second.words()
    assert first.state().pid == first.process.pid
    assert first.json("/readyz", token=None)[0] == 200


def test_of_many_at_once_one_runs(yard: Yard) -> None:
    home = yard.profile()
    gateways = [yard.start(home, supervised=False) for _ in range(4)]
    until("three have given up", lambda: sum(gateway.process.poll() == 1 for gateway in gateways) == 3)
    (winner,) = [gateway for gateway in gateways if gateway.process.poll() is None]
    assert winner.ready().state().pid == winner.process.pid


@pytest.mark.parametrize("name", ["gateway_state.json", "gateway_intent.json"])
@pytest.mark.parametrize("rubbish", [b"", b"{", b"[]", b'{"state": 7}', b"\xff\xfe"])
def test_a_corrupt_small_file_does_not_keep_it_down(yard: Yard, name: str, rubbish: bytes) -> None:
    home = yard.profile()
    (home.path / name).write_bytes(rubbish)
    gateway = yard.start(home).ready()
    assert name in gateway.words()
    assert gateway.state().state == "running"


def test_a_link_in_place_of_the_state_is_replaced_and_not_followed(yard: Yard, tmp_path: Path) -> None:
    home, victim = yard.profile(), tmp_path / "victim"
    victim.write_text("mine")
    home.state.symlink_to(victim)
    gateway = yard.start(home).ready()
    assert victim.read_text() == "mine"
    assert gateway.state().state == "running"


def test_a_stale_socket_is_replaced(yard: Yard) -> None:
    home = yard.profile()
    home.run_dir.mkdir()
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(os.fspath(home.socket))
    assert yard.start(home).ready().client.healthz() == "ok"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB. Needs root."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(place)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting needs root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def fill(disk: Path) -> None:
    with (disk / "filler").open("wb", buffering=0) as filler:
        try:
            while filler.write(b"x" * 4096):
                pass
        except OSError:
            return


def test_a_full_disk_stops_no_running_gateway(small_disk: Path, tmp_path: Path) -> None:
    yard = Yard(small_disk, tmp_path)
    try:
        gateway = yard.start(yard.profile()).ready()
        fill(small_disk)
        status = gateway.client.status()
        assert status.state == "degraded"
        assert any("free some space" in problem for problem in status.problems)
        assert gateway.json("/readyz", token=None)[0] == 200
        gateway.process.terminate()
        assert gateway.ended() == 0
        assert "disk is full" in gateway.words()
    finally:
        yard.end()


def test_a_gateway_starts_on_a_full_disk_and_says_so(small_disk: Path, tmp_path: Path) -> None:
    yard = Yard(small_disk, tmp_path)
    try:
        home = yard.profile()
        yard.start(home).ready().process.terminate()
        yard.started[-1].ended()
        fill(small_disk)
        gateway = yard.start(home).ready()
        assert gateway.client.status().state == "degraded"
        assert "disk is full" in gateway.words()
    finally:
        yard.end()


def test_a_read_only_home_is_78_with_the_remedy(small_disk: Path, tmp_path: Path) -> None:
    yard = Yard(small_disk, tmp_path)
    try:
        home = yard.profile()
        subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
        gateway = yard.start(home)
        assert gateway.ended() == 78
        assert "read-only" in gateway.words()
        assert "Traceback" not in gateway.words()
    finally:
        yard.end()


def test_an_order_to_start_outlasts_rubbish_in_the_slip(yard: Yard) -> None:
    home = yard.profile()
    save(home.intent, IntentRecord(intent="running", requested_at=1.0))
    home.parked.write_text("not json")
    yard.start(home).ready()
    assert not home.parked.exists()


@pytest.mark.parametrize("kind", ["systemd", "launchd", "windows"])
def test_started_at_boot_by_a_host_although_it_was_stopped_it_stays_down(yard: Yard, kind: str) -> None:
    home = yard.profile("coder")
    save(home.intent, IntentRecord(intent="stopped", requested_at=time.time()))
    gateway = yard.start(home, HERMES_SUPERVISOR=kind, supervised=False)
    assert gateway.ended() == 78
    assert "'hermes -p coder gateway start' starts it" in gateway.words()
    assert gateway.state().state == "stopped"
    assert not home.parked.exists(), "nothing is wrong"
    save(home.intent, IntentRecord(intent="running", requested_at=time.time()))
    yard.start(home, HERMES_SUPERVISOR=kind, supervised=False).ready()
