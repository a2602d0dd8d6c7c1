"""How a container ends: the exit code, in order, and without waiting for anything that is over."""

from __future__ import annotations

import json
import time

import pytest

from tests.docker.containers import Docker, homes, mounted, wait_for

AT_ONCE = 3.0
"""Seconds that count as "at once" on a machine that does other things too; 0.2 is what is measured."""

IGNORES_TERM = ("sh", "-c", "trap : TERM; while :; do sleep 0.1; done")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ((), 0),
        (("sleep", "infinity"), 143),
        (("sh", "-c", "trap 'exit 9' TERM; while :; do sleep 0.1; done"), 9),
        (("sh", "-c", "trap 'sleep 0.5; echo cleaned up; exit 0' TERM; while :; do sleep 0.1; done"), 0),
    ],
    ids=["nothing", "sleep infinity", "a trap with a code", "a trap that takes its time"],
)
def test_docker_stop_yields_the_commands_own_exit_code(
    engine: Docker, command: tuple[str, ...], code: int
) -> None:
    box = engine.boot(*command)
    took = box.stop()
    assert box.exit_code() == code
    assert took < AT_ONCE
    assert ("cleaned up" in box.logs()) == ("cleaned up" in " ".join(command))


def test_a_command_that_ignores_term_is_ended_and_the_gateways_still_drain(engine: Docker) -> None:
    volume = engine.volume(homes({"default": 8642, "coder": 8643}))
    box = engine.boot(*IGNORES_TERM, environment={"HERMES_STOP_TIMEOUT": "2"}, **mounted(volume))
    box.ready("default")
    box.ready("coder")
    took = box.stop(timeout=20)
    assert 2 <= took < 9
    assert box.exit_code() == 137
    for home in (".", "profiles/coder"):
        assert json.loads(engine.in_volume(volume, f"cat {home}/gateway_state.json"))["state"] == "stopped"


def test_ten_gateways_drain_at_the_same_time(engine: Docker) -> None:
    profiles = {f"p{n}": 8700 + n for n in range(10)}
    volume = engine.volume(homes(profiles))
    box = engine.boot(**mounted(volume))
    for profile in profiles:
        box.ready(profile, 50)
    took = box.stop(timeout=30)
    print(f"docker stop with ten gateways: {took:.2f} s")
    assert box.exit_code() == 0
    assert took < AT_ONCE
    states = engine.in_volume(volume, "cat profiles/*/gateway_state.json").replace("}\n{", "},{")
    assert [state["state"] for state in json.loads(f"[{states}]")] == ["stopped"] * 10


def test_a_gateway_that_was_stopped_with_its_container_keeps_its_intent(engine: Docker) -> None:
    volume = engine.volume(homes({"coder": 8643}))
    box = engine.boot(**mounted(volume))
    box.ready("coder")
    box.stop()
    assert (
        json.loads(engine.in_volume(volume, "cat profiles/coder/gateway_intent.json"))["intent"] == "running"
    )


def test_a_stop_during_the_boot_is_heard(engine: Docker) -> None:
    volume = engine.volume(homes({f"p{n}": 8700 + n for n in range(30)}, intent=None))
    box = engine.start("sleep", "infinity", **mounted(volume))
    wait_for(lambda: box.run("cat", "/proc/1/comm").out == "s6-svscan\n", 10, "s6-svscan as PID 1")
    assert box.stop() < AT_ONCE
    assert box.exit_code() in (0, 143)


def test_an_interrupt_from_the_terminal_that_docker_runs_in_ends_the_container(engine: Docker) -> None:
    box = engine.boot()
    before = time.monotonic()
    box.kill("SIGINT")
    assert box.exit_code() == 0
    assert time.monotonic() - before < AT_ONCE


def test_a_signal_reaches_the_command(engine: Docker) -> None:
    script = "trap 'echo usr1' USR1; trap 'echo hup' HUP; while :; do sleep 0.1; done"
    box = engine.boot("sh", "-c", script)
    box.kill("SIGUSR1")
    box.said("usr1")
    box.kill("SIGHUP")
    box.said("hup")
    box.kill("SIGINT")
    assert box.exit_code() == 130


def test_what_a_command_leaves_behind_ends_with_the_container(engine: Docker) -> None:
    script = "setsid sh -c 'trap \"\" HUP; echo $$ >/opt/data/left; exec sleep 1000' & sleep 0.3; exit 4"
    before = time.monotonic()
    done = engine.cli(command=("sh", "-c", script))
    assert done.code == 4
    assert time.monotonic() - before < AT_ONCE + 2


def test_a_crash_of_the_main_process_is_mended(engine: Docker) -> None:
    box = engine.boot()
    first = wait_for(
        lambda: (slot := box.slot("main-hermes")) and slot.ready and slot, 20, "ready main-hermes"
    )
    box.signal(first.pid)
    wait_for(
        lambda: (slot := box.slot("main-hermes")) and slot.ready and slot.pid != first.pid,
        10,
        "new main-hermes",
    )
    box.stop()
    assert box.exit_code() == 0


def test_a_main_process_that_does_not_stay_up_ends_the_container_with_its_code(engine: Docker) -> None:
    box = engine.boot()

    def over() -> bool:
        box.raw.reload()
        if box.raw.status != "running":
            return True
        slot = box.slot("main-hermes")
        if slot and slot.pid > 0:
            box.signal(slot.pid)
        return False

    wait_for(over, 30, "end of the container")
    assert box.exit_code() == 137


def test_the_container_ends_when_its_main_process_ends(engine: Docker) -> None:
    box = engine.boot()
    slot = wait_for(
        lambda: (slot := box.slot("main-hermes")) and slot.ready and slot, 20, "ready main-hermes"
    )
    box.signal(slot.pid, "TERM")
    assert box.exit_code() in (0, 143)
