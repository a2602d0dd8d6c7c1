"""What holds when a gateway says it is ready, and how it says so."""

from __future__ import annotations

import json
import socket
import stat
import time
from pathlib import Path

import pytest

from hermes_cli.gateway.identity import ProcessIdentity
from hermes_cli.gateway.lock import holder_of
from hermes_cli.gateway.supervision_log import read_events

from .harness import TOKEN, Gateway, Yard


@pytest.fixture
def gateway(yard: Yard) -> Gateway:
    return yard.start(yard.profile()).ready()


def test_a_ready_gateway_answers_on_both_doors(gateway: Gateway) -> None:
    assert gateway.json("/readyz", token=None) == (200, {"status": "ok"})
    assert gateway.client.readyz()
    assert gateway.client.healthz() == "ok"


def test_its_state_names_the_running_process(gateway: Gateway) -> None:
    state = gateway.state()
    assert state.state == "running"
    assert ProcessIdentity(state.pid, state.pid_start, state.boot_id).is_alive()
    assert state.pid == gateway.process.pid
    assert (state.host, state.port) == ("127.0.0.1", gateway.port)
    assert state.ready_at is not None
    assert state.ready_at >= state.started_at
    holder = holder_of(gateway.home)
    assert holder is not None
    assert holder.pid == gateway.process.pid


def test_its_control_socket_is_for_its_owner_only(gateway: Gateway) -> None:
    mode = gateway.home.socket.lstat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_readiness_is_a_supervision_event_with_the_address(gateway: Gateway) -> None:
    events = [(event.event, event.detail) for event in read_events(gateway.home.root)]
    assert events == [("ready", f"http://127.0.0.1:{gateway.port}")]


def test_it_is_ready_within_a_second(gateway: Gateway) -> None:
    assert time.monotonic() - gateway.started < 3.0, "three times the promise, for a loaded machine"


def test_systemd_hears_of_it_too(yard: Yard, tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(10)
        gateway = yard.start(yard.profile(), NOTIFY_SOCKET=address).ready()
        assert b"READY=1" in manager.recv(4096).splitlines()
        gateway.process.terminate()
        assert b"STOPPING=1" in manager.recv(4096).splitlines()


def test_the_profiles_env_goes_over_the_environment(yard: Yard) -> None:
    gateway = yard.start(yard.profile(), HERMES_GATEWAY_TOKEN="from-outside").ready()
    assert gateway.json("/v1/status", token="from-outside")[0] == 401
    assert gateway.json("/v1/status", token=TOKEN)[0] == 200


def test_without_a_token_only_the_socket_answers(yard: Yard) -> None:
    home = yard.profile()
    home.env.unlink()
    gateway = yard.start(home).ready()
    status, problem = gateway.json("/v1/status", token="")
    assert (status, problem["code"]) == (403, "token_not_configured")
    assert any("token" in warning for warning in gateway.client.status().warnings)


def test_a_home_too_deep_for_a_socket_gets_one_elsewhere(tmp_path: Path) -> None:
    root = tmp_path / ("deep" * 25)
    root.mkdir()
    yard = Yard(root, tmp_path)
    try:
        home = yard.profile()
        assert home.socket != home.run_dir / "gateway.sock"
        gateway = yard.start(home).ready()
        if gateway.state().socket is None:
            assert gateway.state().state == "degraded"
            assert "control socket" in gateway.state().message
            return
        assert gateway.client.healthz() == "ok"
        gateway.process.terminate()
        assert gateway.ended() == 0
        assert not home.socket.exists()
    finally:
        yard.end()


def test_unknown_keys_of_a_later_version_survive(yard: Yard) -> None:
    home = yard.profile()
    yard.start(home).ready().process.terminate()
    yard.started[-1].ended()
    old = json.loads(home.state.read_text())
    home.state.write_text(json.dumps(old | {"from_the_future": [1]}))
    yard.start(home).ready()
    assert json.loads(home.state.read_text())["from_the_future"] == [1]


def test_warnings_of_the_configuration_are_told(yard: Yard) -> None:
    gateway = yard.start(yard.profile(config="  prot: 1\n")).ready()
    assert any("prot" in warning for warning in gateway.client.status().warnings)


def test_an_idle_gateway_is_small(gateway: Gateway) -> None:
    sizes = {}
    for line in Path(f"/proc/{gateway.process.pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, kib = line.split()[:2]
        sizes[name] = int(kib)
    assert sizes["Rss:"] < 30 << 10
    # Clean pages are files' and shared with the next gateway; what is dirty is this one's alone.
    assert sizes["Private_Dirty:"] < 20.5 * 1024
