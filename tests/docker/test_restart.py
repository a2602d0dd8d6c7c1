"""A restart of the container is invisible: whatever was wanted is back, and nothing else."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.docker.containers import Box, Docker, home_script, homes, mounted, wait_for

PARKED = {"version": 1, "kind": "config", "reason": "a test says so", "parked_at": 1.0, "exit_code": 78}


def mixed() -> str:
    """Three that run, one stopped, one parked, one never started."""
    script = homes({"default": 8642, "one": 8643, "two": 8644})
    script += home_script("stopped", 8645, intent="stopped") + home_script("fresh", 8646, intent=None)
    script += home_script("parked", 8647)
    return script + f"echo '{json.dumps(PARKED)}' >profiles/parked/parked.json; chown -R 10000:10000 ."


def check_mixed(box: Box) -> None:
    for profile in ("default", "one", "two"):
        box.ready(profile)
        assert len(box.gateways(profile)) == 1
    for profile in ("stopped", "fresh", "parked"):
        slot = box.gateway(profile)
        assert slot is not None
        assert not slot.up
        assert box.gateways(profile) == []
    rows = {row["profile"]: row for row in box.json("status")["services"] if row["profile"]}
    assert rows["parked"]["actual"] == "parked"
    assert rows["parked"]["parked_reason"] == "a test says so"
    assert {rows[name]["actual"] for name in ("stopped", "fresh")} == {"down"}
    assert {rows[name]["restarts"] for name in ("default", "one", "two")} <= {0, None}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", ["stop and start", "kill and start", "restart", "a new container"])
def test_every_wanted_gateway_is_back_and_no_other(engine: Docker, how: str) -> None:
    volume = engine.volume(mixed())
    box = engine.boot(**mounted(volume))
    check_mixed(box)
    if how == "restart":
        box.raw.restart(timeout=10)
    elif how == "a new container":
        box.stop()
        box = engine.start(**mounted(volume))
    else:
        box.stop() if how.startswith("stop") else box.kill()
        box.start()
    check_mixed(box.booted())


def test_what_was_created_and_started_by_hand_survives_a_kill(engine: Docker) -> None:
    box = engine.boot(**mounted(engine.volume()))
    box.hermes("profile", "create", "coder").ok()
    box.hermes("profile", "create", "idle").ok()
    box.hermes("-p", "coder", "gateway", "start").ok()
    box.kill()
    box.start().booted().ready("coder")
    slot = box.gateway("idle")
    assert slot is not None
    assert not slot.up
    assert box.run("coder", "gateway", "status").code == 0


def test_a_gateway_stopped_by_hand_stays_stopped(engine: Docker) -> None:
    box = engine.boot(**mounted(engine.volume(homes({"coder": 8643}))))
    box.ready("coder")
    box.hermes("-p", "coder", "gateway", "stop").ok()
    box.raw.restart(timeout=10)
    box.booted()
    slot = box.gateway("coder")
    assert slot is not None
    assert not slot.up


def test_restarting_the_container_often_is_no_crash_loop(engine: Docker) -> None:
    box = engine.boot(**mounted(engine.volume(homes({"coder": 8643}))))
    for _ in range(5):
        box.ready("coder")
        box.kill()
        box.start().booted()
    box.ready("coder")


@pytest.mark.timeout(120)
def test_fifty_profiles_with_a_broken_one_are_reconciled(engine: Docker) -> None:
    wanted = {f"run{n}": 8700 + n for n in range(4)}
    idle = {f"idle{n}": 8800 + n for n in range(45)}
    script = homes(wanted) + homes(idle, intent="stopped") + home_script("broken", 8900)
    script += "printf 'gateway: [oh' >profiles/broken/config.yaml; chown -R 10000:10000 ."
    box = engine.boot(**mounted(engine.volume(script)))
    for profile in wanted:
        box.ready(profile)
    listed = box.sh("cd /run/service && ls -d gateway-*").ok().split()
    assert len(listed) == 51
    log = box.read("/opt/data/logs/container-boot.log").splitlines()
    assert len(log) == 51
    assert sum(" up: " in line for line in log) == 4
    (broken,) = (line for line in log if " broken " in line)
    assert "config.yaml" in broken
    assert sum(name.startswith("gateway-") and "/log" not in name for name in box.supervisors()) == 51


@pytest.mark.timeout(180)
def test_twenty_profiles_are_created_and_deleted_at_the_same_time(engine: Docker) -> None:
    box = engine.boot(**mounted(engine.volume()))
    before = box.supervisors()
    names = [f"p{n}" for n in range(20)]
    with ThreadPoolExecutor(20) as pool:
        for done in pool.map(lambda name: box.hermes("profile", "create", name), names):
            done.ok()
    profiles = {one["name"]: one["port"] for one in box.json("profile", "list")["profiles"]}
    assert set(profiles) == {"default", *names}
    assert len(set(profiles.values())) == 21
    for name in names:
        slot = box.gateway(name)
        assert slot is not None
        assert not slot.up
    with ThreadPoolExecutor(20) as pool:
        for done in pool.map(lambda name: box.hermes("profile", "delete", "--yes", name), names):
            done.ok()
    assert [one["name"] for one in box.json("profile", "list")["profiles"]] == ["default"]
    left = box.sh("find /run/service /run/hermes/bin -maxdepth 3 -name 'gateway-p*' -o -name 'p[0-9]*'")
    assert left.ok() == ""
    wait_for(lambda: box.supervisors() == before, 10, "only the supervisors from before")
    assert box.sh("cd /opt/data && ls -A profiles logs/gateways | grep ^p[0-9]").out == ""
