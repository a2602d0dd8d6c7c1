"""For a minute random supervised processes die. Afterwards everything wanted is up, once."""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest

from tests.docker.containers import Box, Docker, home_script, homes, mounted, wait_for

SECONDS = 60
KILLS_PER_GATEWAY = 4
"""The fifth unclean start within 120 s parks a gateway, and rightly so."""
GROWN_UP = 2.0
"""Seconds a supervisor is left alone: s6-svscan 2.13 loses those that die in their first (SECURITY.md)."""

RUNNING = {f"p{n}": 8700 + n for n in range(7)} | {"default": 8642}


def victims(box: Box, spent: Counter[str]) -> dict[str, list[int]]:
    """What may be killed now: kind to pids. A gateway only as often as it can bear."""
    found: dict[str, list[int]] = {"gateway": [], "supervisor": [], "logger": [], "static": []}
    for pid, line in box.processes():
        words = line.split()
        program = words[0].rpartition("/")[2]
        if " -m hermes_cli.gateway " in line:
            if spent[words[-1]] < KILLS_PER_GATEWAY:
                found["gateway"].append(pid)
        elif program == "s6-supervise":
            # A supervisor that is killed makes the next one replace its gateway: that counts as a kill.
            profile = words[1].removeprefix("gateway-")
            if words[1] == f"gateway-{profile}/log" or spent[profile] < KILLS_PER_GATEWAY:
                found["supervisor"].append(pid)
        elif program == "s6-log":
            found["logger"].append(pid)
        elif program == "s6-ipcserverd" or line == "sleep infinity":
            found["static"].append(pid)
    return {kind: pids for kind, pids in found.items() if pids}


def profile_of(box: Box, pid: int) -> str:
    line = dict(box.processes()).get(pid, "")
    words = line.split()
    if not words:
        return ""
    return words[-1].removeprefix("gateway-") if "gateway" in line else ""


@pytest.mark.timeout(200)
def test_after_a_minute_of_random_kills_every_wanted_gateway_is_ready_once(engine: Docker) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    volume = engine.volume(homes(RUNNING) + home_script("idle", 8800, intent="stopped"))
    box = engine.boot(**mounted(volume))
    for profile in RUNNING:
        box.ready(profile, 60)
    before = box.supervisors()

    spent: Counter[str] = Counter()
    killed: Counter[str] = Counter()
    first_seen: dict[int, float] = {}
    end = time.monotonic() + SECONDS
    while (now := time.monotonic()) < end:
        found = victims(box, spent)
        young = {
            pid for pid in found.get("supervisor", []) if now - first_seen.setdefault(pid, now) < GROWN_UP
        }
        found["supervisor"] = [pid for pid in found.get("supervisor", []) if pid not in young]
        kind = chance.choice(sorted(kind for kind, pids in found.items() if pids))
        pid = chance.choice(found[kind])
        if kind in ("gateway", "supervisor"):
            spent[profile_of(box, pid)] += 1
        box.signal(pid)
        killed[kind] += 1
    print(f"killed {dict(killed)}, gateways {dict(spent)}")
    assert sum(killed.values()) > 30

    for profile in RUNNING:
        box.ready(profile, 60)
    wait_for(lambda: box.supervisors() == before, 20, f"the supervisors from before: {before}")

    def once() -> bool:
        slots = {profile: box.gateway(profile) for profile in RUNNING}
        return all(
            slot and slot.ready and box.gateways(profile) == [slot.pid] for profile, slot in slots.items()
        )

    wait_for(once, 30, "one gateway for each profile")
    assert box.gateways("idle") == []
    idle = box.gateway("idle")
    assert idle is not None
    assert not idle.up
    wait_for(lambda: box.hermes("status", "--healthy").code == 0, 20, "healthy status")
    # The registrar and the loggers do their work again.
    box.hermes("profile", "create", "after", "--start").ok()
    box.hermes("profile", "delete", "--yes", "after").ok()
    box.stop()
    assert box.exit_code() == 0
