"""The home: who owns it, what is mended in it, what is refused, and what a broken one costs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.docker.containers import Docker, home_script, homes, mounted, wait_for

OWNERS = "find . -not -path ./run/volume.lock -exec stat -c '%u:%g %n' {} +"


def owners(engine: Docker, volume: str) -> dict[str, str]:
    lines = engine.in_volume(volume, OWNERS).splitlines()
    return {name: owner for owner, name in (line.split(" ", 1) for line in lines)}


def test_a_fresh_volume_becomes_a_home_that_belongs_to_hermes(engine: Docker) -> None:
    volume = engine.volume()
    engine.boot(**mounted(volume)).stop()
    found = owners(engine, volume)
    assert {"./config.yaml", "./.env", "./logs/container-boot.log"} <= set(found)
    assert set(found.values()) == {"10000:10000"}
    assert engine.in_volume(volume, "stat -c %a .env").strip() == "600"


def test_a_volume_that_belongs_to_root_is_handed_over(engine: Docker) -> None:
    volume = engine.volume(homes({"default": 8642, "coder": 8643}) + "chown -R 0:0 .")
    box = engine.boot(**mounted(volume))
    box.ready("coder")
    assert "now belong to 10000:10000" in box.logs()
    box.stop()
    assert set(owners(engine, volume).values()) == {"10000:10000"}


def test_what_hermes_did_not_make_keeps_its_owner(engine: Docker) -> None:
    volume = engine.volume("mkdir -p mine/deep logs && touch mine/deep/file mine.txt && chown 0:0 . logs")
    engine.boot(**mounted(volume)).stop()
    found = owners(engine, volume)
    assert {found["./mine"], found["./mine/deep/file"], found["./mine.txt"]} == {"0:0"}
    assert found["./logs"] == "10000:10000"


def test_a_bind_mount_becomes_a_home_of_the_ids_asked_for(engine: Docker, tmp_path: Path) -> None:
    uid, gid = (os.getuid() or 10000), (os.getgid() or 10000)
    box = engine.boot(
        environment={"HERMES_UID": str(uid), "HERMES_GID": str(gid)},
        volumes={str(tmp_path): {"bind": "/opt/data", "mode": "rw"}},
    )
    box.hermes("profile", "create", "coder").ok()
    assert {(path.stat().st_uid, path.stat().st_gid) for path in tmp_path.rglob("*")} == {(uid, gid)}
    assert (tmp_path / "profiles/coder/config.yaml").is_file()


def test_new_ids_take_the_whole_home_along(engine: Docker) -> None:
    volume = engine.volume(homes({"default": 8642, "coder": 8643}))
    engine.boot(**mounted(volume)).stop()
    box = engine.boot(environment={"HERMES_UID": "1234", "HERMES_GID": "1235"}, **mounted(volume))
    box.ready("coder")
    box.stop()
    assert set(owners(engine, volume).values()) == {"1234:1235"}


def test_new_ids_take_nothing_from_a_container_that_runs_on_the_home(engine: Docker) -> None:
    volume = engine.volume(homes({"coder": 8643}))
    first = engine.boot(environment={"HERMES_UID": "1234", "HERMES_GID": "1235"}, **mounted(volume))
    first.ready("coder")
    done = engine.cli("-v", f"{volume}:/opt/data", command=("echo", "ran"))
    assert (done.code, done.out) == (1, "")
    assert f"held by container {first.id[:12]}" in done.err
    assert "HERMES_UID=1234 and HERMES_GID=1235" in done.err
    assert set(owners(engine, volume).values()) == {"1234:1235"}
    first.hermes("-p", "coder", "gateway", "restart").ok()


def test_a_second_boot_finds_nothing_to_mend(engine: Docker) -> None:
    volume = engine.volume(homes({"coder": 8643}, intent=None))
    engine.boot(**mounted(volume)).stop()
    box = engine.boot(**mounted(volume))
    assert "now belong" not in box.logs()


def test_root_follows_no_link_in_a_volume(engine: Docker) -> None:
    """Every place where root looks at boot, as a link to something of root's."""
    script = homes({"coder": 8643}, intent="running")
    script += """
        mkdir -p outside && echo precious >outside/file && chmod 700 outside && chmod 600 outside/file
        rm -f config.yaml .env && ln -s /etc/shadow config.yaml && ln -s /etc/passwd .env
        ln -s /etc/shadow gateway_intent.json && ln -s /etc/group gateway_state.json
        ln -s /etc logs && ln -s /root run && ln -s /etc/hostname SOUL.md
        ln -s /etc profiles/linked && ln -s ../outside profiles/inside
        mkdir profiles/holder && ln outside/file profiles/holder/config.yaml
        ln -s /etc/shadow profiles/holder/.env
        chown -h 10000:10000 profiles/linked profiles/inside config.yaml .env logs run SOUL.md
        chown 0:0 outside outside/file
    """
    volume = engine.volume(script)
    box = engine.create(environment={"HERMES_FIX_OWNERSHIP": "1", "HERMES_UID": "1234"}, **mounted(volume))
    box.start().booted()
    look = box.sh(
        "stat -c '%u:%g %n' /etc/shadow /etc/passwd /etc/group /etc /root /etc/hostname /opt/data/outside"
        " /opt/data/outside/file; grep -c . /etc/shadow"
    ).ok()
    assert {line.split()[0] for line in look.splitlines()[:-1]} <= {"0:0", "0:42"}
    assert box.read("/opt/data/outside/file") == "precious\n"
    assert not box.sh("ls /etc/volume.lock /root/volume.lock /etc/supervision.jsonl 2>/dev/null").out
    box.ready("coder")


def test_a_home_that_cannot_be_written_is_refused_with_a_sentence(engine: Docker) -> None:
    volume = engine.volume()
    done = engine.cli("-v", f"{volume}:/opt/data:ro", command=("hermes", "profile", "create", "coder"))
    assert done.code == 1
    assert "Traceback" not in done.err
    assert "/opt/data" in done.err


def test_another_users_home_is_refused_to_an_unprivileged_container(engine: Docker) -> None:
    volume = engine.volume("touch file && chown 4321:4321 . && chmod 700 .")
    done = engine.cli("--user", "10000", "-v", f"{volume}:/opt/data", command=("echo", "ran"))
    assert (done.code, done.out) == (100, "")
    assert "/opt/data" in done.err


@pytest.mark.parametrize("file", ["config.yaml", "gateway_intent.json", "gateway_state.json"])
def test_a_corrupt_file_costs_only_its_own_profile(engine: Docker, file: str) -> None:
    script = homes({"good": 8643, "bad": 8644}) + f"printf '{{[torn\\0: ' >profiles/bad/{file}"
    volume = engine.volume(script)
    box = engine.boot(**mounted(volume))
    box.ready("good")
    report = {row["profile"]: row for row in box.json("status")["services"] if row["profile"]}
    if file != "gateway_state.json":  # the state is only a memory: what the operator asked for counts
        assert report["bad"]["actual"] in ("down", "parked")
        assert file in report["bad"]["message"] + str(report["bad"]["parked_reason"])
    done = box.hermes("-p", "bad", "gateway", "start")
    assert "Traceback" not in done.err
    if file == "config.yaml":
        assert done.code in (1, 78)
        assert file in done.err
    else:
        assert done.code == 0, "what was asked for now replaces what cannot be read"
        box.ready("bad")


def test_what_is_no_profile_is_reported_and_skipped(engine: Docker) -> None:
    script = (
        homes({"good": 8643})
        + """
        mkdir profiles/empty profiles/Bad.Name && ln -s good profiles/linked && touch profiles/file
        chown -hR 10000:10000 profiles
    """
    )
    box = engine.boot(**mounted(engine.volume(script)))
    box.ready("good")
    log = box.read("/opt/data/logs/container-boot.log")
    for name in ("empty", "linked", "file"):
        assert f" '{name}' skipped" in log, log
        assert box.gateway(name) is None
    assert box.gateway("Bad.Name") is None
    done = box.hermes("-p", "linked", "gateway", "start")
    assert done.code == 1
    assert "Traceback" not in done.err


def test_a_second_container_on_a_volume_says_who_holds_it_and_starts_nothing(engine: Docker) -> None:
    volume = engine.volume(homes({"default": 8642, "coder": 8643}))
    first = engine.boot(**mounted(volume))
    pid = first.ready("coder").pid
    second = engine.boot(**mounted(volume))
    held = second.said("held by")
    assert first.id[:12] in held
    for profile in ("default", "coder"):
        slot = second.gateway(profile)
        assert slot is not None
        assert not slot.up
    refused = second.hermes("-p", "coder", "gateway", "start")
    assert refused.code == 1
    assert first.id[:12] in refused.err
    report = second.hermes("status", "--healthy")
    assert report.code == 1
    assert first.id[:12] in report.out
    slot = first.gateway("coder")
    assert slot is not None
    assert (slot.ready, slot.pid) == (True, pid)
    first.stop()
    second.raw.restart(timeout=10)
    second.booted().ready("coder")


def test_a_killed_container_holds_its_volume_no_longer(engine: Docker) -> None:
    volume = engine.volume(homes({"coder": 8643}))
    engine.boot(**mounted(volume)).kill()
    second = engine.boot(**mounted(volume))
    second.ready("coder")
    assert "held by" not in second.logs()


def test_a_full_disk_is_said_and_leaves_nothing_half_done(engine: Docker) -> None:
    box = engine.boot(tmpfs={"/opt/data": "size=2m,uid=10000,gid=10000,mode=0700"})
    box.hermes("profile", "create", "before").ok()
    box.hermes("-p", "before", "gateway", "start").ok()
    box.sh(
        "cd /opt/data; dd if=/dev/zero of=filler bs=4k 2>/dev/null; dd if=/dev/zero of=rest bs=1 2>/dev/null",
        user=10000,
    )
    done = box.hermes("profile", "create", "after")
    assert done.code == 1
    assert "disk is full" in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert box.gateway("after") is None
    pid = box.ready("before").pid
    box.signal(pid)
    box.sh("rm /opt/data/filler /opt/data/rest")
    box.ready("before", not_pid=pid)
    box.hermes("profile", "create", "after").ok()
    assert [one["name"] for one in box.json("profile", "list")["profiles"]] == ["default", "after", "before"]


def test_a_full_disk_at_boot_still_gives_a_container_that_says_so(engine: Docker) -> None:
    volume = engine.client.volumes.create(
        driver="local",
        driver_opts={"type": "tmpfs", "device": "tmpfs", "o": "size=64k"},
        labels={"hermes-test": "1"},
    )
    try:
        box = engine.create(**mounted(str(volume.name)))
        box.raw.start()
        wait_for(lambda: box.sh("s6-svok /run/service/gateway-default").code == 0, 30, "slot of default")
        assert "Traceback" not in box.logs()
        box.stop()
    finally:
        for made in engine.boxes:
            made.remove()
        volume.remove(force=True)


def test_a_half_made_profile_is_settled_at_boot(engine: Docker) -> None:
    volume = engine.volume(home_script("coder", 8643, intent=None))
    box = engine.boot(**mounted(volume))
    box.hermes("profile", "create", "other").ok()
    names = {one["name"] for one in box.json("profile", "list")["profiles"]}
    assert names == {"default", "coder", "other"}
    ports = [one["port"] for one in box.json("profile", "list")["profiles"]]
    assert len(set(ports)) == len(ports)
    assert json.loads(box.hermes("profile", "show", "other", "--json").ok())["token"] == "set"
