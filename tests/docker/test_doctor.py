"""`hermes status`, `doctor` and `main` in the image, with real slots: what they say, and what --fix mends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.docker.containers import Box, Docker, homes, mounted, wait_for

pytestmark = pytest.mark.timeout(120)

HIGHEST_RSS = 20 << 10
"""KiB that the process of an idle container may have resident, the supervisors aside."""

CODER = homes({"coder": 8643}) + "echo HERMES_GATEWAY_TOKEN=long-enough-for-a-token >profiles/coder/.env\n"


def findings(box: Box, *options: str, expect: int) -> dict[str, dict[str, Any]]:
    """The doctor's findings that are not ok or were mended, by id."""
    done = box.hermes("doctor", "--json", *options)
    assert done.code == expect, done
    report = json.loads(done.out)
    assert report["ok"] is (expect == 0)
    return {one["id"]: one for one in report["findings"] if one["status"] != "ok" or one["fixed"]}


def healthy(box: Box) -> bool:
    return box.hermes("status", "--healthy").code == 0


@pytest.fixture
def box(engine: Docker) -> Box:
    """One profile, `coder`, that runs."""
    box = engine.boot(**mounted(engine.volume(CODER)))
    box.ready("coder")
    return box


@pytest.mark.parametrize("user", ["root", "10000:10000"])
def test_a_sound_container_has_nothing_wrong(engine: Docker, user: str) -> None:
    box = engine.boot(user=user, **mounted(engine.volume(CODER)))
    box.ready("coder")
    assert findings(box, expect=0) == {}
    assert healthy(box)
    report = box.json("status")
    kinds = {row["kind"] for row in report["services"]}
    assert {"gateway", "dashboard", "main", "lease"} <= kinds
    assert "unknown" not in {row["actual"] for row in report["services"]}
    assert report["flavour"] in ("overlay", "debian")


def test_a_gateway_stopped_behind_the_operators_back_is_started_again(box: Box) -> None:
    box.run("s6-svc", "-wD", "-D", "/run/service/gateway-coder").ok()
    assert not healthy(box)
    assert box.hermes("status", "--healthy").out == "gateway-coder: wanted up, but down\n"
    assert findings(box, expect=1)["gateways coder"]["fixable"]
    assert findings(box, "--fix", expect=0)["gateways coder"]["fixed"]
    assert healthy(box)


def test_a_gateway_started_behind_the_operators_back_is_stopped(box: Box) -> None:
    box.hermes("-p", "coder", "gateway", "stop").ok()
    box.run("s6-svc", "-wU", "-U", "/run/service/gateway-coder").ok()
    assert findings(box, "--fix", expect=0)["gateways coder"]["fixed"]
    slot = box.gateway("coder")
    assert slot is not None
    assert not slot.up


def test_a_gateway_that_nothing_supervises_is_ended(box: Box) -> None:
    box.hermes("-p", "coder", "gateway", "stop").ok()
    box.sh(
        "HERMES_GATEWAY_NO_SUPERVISE=1 setsid hermes -p coder gateway run >/dev/null 2>&1 &", user=10000
    ).ok()
    wait_for(lambda: "orphans coder" in findings_any(box), 20, "orphan that the doctor sees")
    assert findings(box, "--fix", expect=0)["orphans coder"]["fixed"]
    assert box.gateways("coder") == []


def findings_any(box: Box) -> set[str]:
    report = json.loads(box.hermes("doctor", "--json").out)
    return {one["id"] for one in report["findings"] if one["status"] != "ok"}


def test_a_missing_slot_is_registered_and_a_slot_without_profile_removed(box: Box) -> None:
    slotctl = "/opt/hermes/docker/slotctl"
    box.run(slotctl, "unregister", "coder", user="root").ok()
    box.run(slotctl, "register", "ghost", "down", user="root").ok()
    assert {"slots coder", "slots ghost"} <= findings(box, expect=1).keys()
    mended = findings(box, "--fix", expect=0)
    assert mended["slots coder"]["fixed"]
    assert mended["slots ghost"]["fixed"]
    assert box.gateway("ghost") is None
    box.ready("coder")


def test_a_supervisor_that_lost_its_slot_is_found(box: Box) -> None:
    box.sh("rm -rf /run/service/gateway-coder", user="root").ok()
    found = findings(box, expect=1)
    leaked = [one for name, one in found.items() if name.startswith("supervisors")]
    assert {one["message"].split()[2] for one in leaked} == {"gateway-coder", "gateway-coder/log"}
    assert all("restart the container" in one["remedy"] for one in leaked)


@pytest.mark.parametrize(
    ("damage", "path"),
    [
        ("chown 10000 /run/service/gateway-coder/run", "gateway-coder/run"),
        ("chmod 666 /run/service/gateway-coder/finish", "gateway-coder/finish"),
        ("chgrp 10000 /run/service/gateway-coder/event", "gateway-coder/event"),
        ("chown 10000 /run/service/gateway-coder/log/supervise", "log/supervise"),
        ("chmod 0622 /run/service/gateway-coder/supervise/control", "supervise/control"),
        ("chgrp 0 /run/service/gateway-coder/supervise/control", "supervise/control"),
        ("chown 10000 /run/service", "/run/service"),
    ],
)
def test_a_way_to_become_root_through_a_slot_is_an_error(box: Box, damage: str, path: str) -> None:
    box.sh(damage, user="root").ok()
    done = box.hermes("doctor")
    assert done.code == 1
    assert path in "".join(line for line in done.out.splitlines() if line.startswith("ERROR"))


def test_files_of_root_in_the_volume_are_found_and_what_to_do_works(engine: Docker) -> None:
    volume = engine.volume(CODER)
    box = engine.boot(**mounted(volume))
    box.sh("mkdir -p /opt/data/profiles/coder/processes/x", user="root").ok()
    found = findings(box, expect=1)["ownership"]
    assert "HERMES_FIX_OWNERSHIP=1" in found["remedy"]
    box.stop()
    again = engine.boot(environment={"HERMES_FIX_OWNERSHIP": "1"}, **mounted(volume))
    assert "ownership" not in findings(again, expect=0)


def test_a_second_container_on_the_volume_says_who_holds_it(engine: Docker) -> None:
    volume = engine.volume(CODER)
    engine.boot(**mounted(volume)).ready("coder")
    second = engine.boot(**mounted(volume))
    assert not healthy(second)
    held = findings(second, expect=1)["volume-held"]
    assert "held by container" in held["message"]
    assert "The volume is held by container" in second.said("The volume is held")


def test_main_tells_what_happens_and_stays_small(box: Box) -> None:
    box.said("coder  ")
    box.hermes("-p", "coder", "gateway", "stop").ok()
    box.said("coder: the gateway ended, exit code 0")
    box.hermes("-p", "coder", "gateway", "start").ok()
    slot = box.ready("coder")
    box.sh(f"kill -9 {slot.pid}", user="root").ok()
    box.said("coder: the gateway crashed, killed by SIGKILL; it is started again")
    [pid] = [pid for pid, line in box.processes() if "event_printer" in line]
    status = box.read(f"/proc/{pid}/status").splitlines()
    resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    assert resident < HIGHEST_RSS


def test_main_survives_a_torn_line(box: Box) -> None:
    box.sh('printf \'{"ts":"2026-\\n\' >>/opt/data/logs/supervision.jsonl', user=10000).ok()
    box.hermes("profile", "create", "after").ok()
    box.said("after: the gateway is registered")
    slot = box.slot("main-hermes")
    assert slot is not None
    assert slot.ready


def test_completion_knows_the_profiles(box: Box) -> None:
    script = "COMP_WORDS='hermes -p co' COMP_CWORD=2 _HERMES_COMPLETE=bash_complete hermes"
    assert box.sh(script).out == "plain,coder\n"
    for shell in ("bash", "zsh", "fish"):
        assert "_HERMES_COMPLETE" in box.hermes("completion", shell).ok()


def test_chat_says_how_to_start_the_gateway_that_it_needs(box: Box) -> None:
    done = box.hermes("chat", "-q", "hello")
    assert done.code == 1
    assert len(done.err.splitlines()) == 1
    assert "'hermes gateway start' starts it" in done.err
