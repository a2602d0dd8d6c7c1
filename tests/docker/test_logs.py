"""`hermes logs` in the container: s6-log's times, all gateways as one, profiles that join as it follows."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.docker.containers import Docker


@pytest.mark.timeout(90)
def test_every_line_has_its_time_and_all_are_in_order(engine: Docker) -> None:
    box = engine.boot("sleep", "infinity")
    for profile in ("default", "coder"):
        box.hermes("-p", profile, "setup", "--yes").ok()
    told = [json.loads(line) for line in box.hermes("logs", "--json").ok().splitlines()]
    assert {one["profile"] for one in told} == {"default", "coder"}
    times = [one["time"] for one in told]
    assert all(times), told
    assert times == sorted(times)
    assert any("ready at http://127.0.0.1:8642" in one["line"] for one in told)


@pytest.mark.timeout(120)
def test_a_profile_made_while_it_follows_joins(engine: Docker) -> None:
    box = engine.boot("sleep", "infinity")
    with subprocess.Popen(
        ["docker", "exec", "-u", "hermes", str(box.raw.id), "hermes", "logs", "-f", "--grep", "ready at"],
        stdout=subprocess.PIPE,
        text=True,
    ) as following:
        try:
            assert following.stdout is not None
            for profile in ("default", "newcomer"):
                box.hermes("-p", profile, "setup", "--yes").ok()
                assert following.stdout.readline().startswith(profile)
            box.hermes("-p", "default", "gateway", "restart").ok()
            assert following.stdout.readline().startswith("default  | ")
        finally:
            following.kill()
