"""Background processes in the container: what its end, hard or soft, does to them, and what is said of it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from textwrap import dedent
from typing import Any

import pexpect
import pytest

from tests.docker.containers import Box, Docker, homes, mounted, wait_for

ROWS, COLUMNS = 29, 91


def start(box: Box, *words: str, profile: str = "default") -> str:
    done = box.hermes("-p", profile, "process", "start", "--json", *words)
    return str(json.loads(done.ok())["session_id"])


def shown(box: Box, process_id: str, profile: str = "default") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        box.hermes("-p", profile, "process", "poll", process_id, "--json").ok()
    )
    return found


def say(box: Box, process_id: str, text: str, profile: str = "default") -> None:
    """Wait until the process has said `text` and nothing else."""
    wait_for(lambda: shown(box, process_id, profile)["output_preview"] == text, 10, f"output {text!r}")


def keepers(box: Box) -> list[int]:
    return [pid for pid, line in box.processes() if "hermes_cli.processes.keeper" in line]


@contextlib.contextmanager
def attached(box: Box, process_id: str) -> Iterator[pexpect.spawn[str]]:
    child = pexpect.spawn(
        "docker",
        ["exec", "-it", box.id, "hermes", "process", "attach", process_id],
        dimensions=(ROWS, COLUMNS),
        timeout=20,
        encoding="utf-8",
        codec_errors="replace",
    )
    try:
        child.expect_exact("attached to")
        yield child
    finally:
        child.close(force=True)


def test_a_process_runs_as_hermes_and_outlives_what_started_it(engine: Docker) -> None:
    box = engine.boot("sleep", "infinity")
    one = start(box, "--", "sh", "-c", "id -u; exec sleep 1000")
    say(box, one, "10000\n")
    assert box.json("status")["services"][0]["processes"] == 1


@pytest.mark.timeout(90)
def test_a_gateways_crash_and_stop_leave_its_processes(engine: Docker) -> None:
    box = engine.boot(**mounted(engine.volume(homes({"default": 8642}))))
    slot = box.ready("default")
    one = start(box, "cat")
    box.signal(slot.pid)
    box.ready("default", not_pid=slot.pid)
    said = box.hermes("gateway", "stop").ok()
    assert "1 background process of it goes on" in said
    assert box.hermes("process", "submit", one, "still here").code == 0
    say(box, one, "still here\n")
    assert box.hermes("gateway", "stop", "--processes").ok() == "The gateway of default is down.\n"
    assert shown(box, one)["status"] == "killed"


@pytest.mark.parametrize("how", ["stop", "restart"])
def test_docker_stop_ends_processes_after_the_gateways(engine: Docker, how: str) -> None:
    volume = engine.volume(homes({"default": 8642, "coder": 8643}))
    box = engine.boot(**mounted(volume))
    box.ready("default")
    box.ready("coder")
    script = (
        "trap 'date +%s.%N >>/opt/data/ended; echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done"
    )
    one = start(box, script)
    other = start(box, script, profile="coder")
    for process_id, profile in ((one, "default"), (other, "coder")):
        say(box, process_id, "up\n", profile)
    if how == "stop":
        took = box.stop()
        assert took < 5
        box.start()
    else:
        box.raw.restart(timeout=10)
    box.booted()
    for process_id, profile in ((one, "default"), (other, "coder")):
        found = shown(box, process_id, profile)
        assert (found["status"], found["exit_code"]) == ("killed", 3)
        assert "bye\n" in found["output_preview"]  # the shell may say more of what it was waiting for
    drained = [event["ts"] for event in box.events() if event["event"] == "draining"]
    assert len(drained) == 2
    ended = [float(line) for line in box.read("/opt/data/ended").split()]
    when = box.run("date", "-d", max(drained), "+%s.%N").ok()
    assert min(ended) > float(when) - 0.01
    assert "lost" not in box.read("/opt/data/logs/container-boot.log")


def test_what_ignores_term_is_killed_in_time(engine: Docker) -> None:
    box = engine.boot("sleep", "infinity")
    one = start(box, "trap '' TERM; echo up; while :; do sleep 0.1; done")
    say(box, one, "up\n")
    took = box.stop()
    assert 2.5 < took < 6
    box.start().booted()
    found = shown(box, one)
    assert (found["status"], found["exit_code"]) == ("killed", 137)


def test_a_container_without_processes_stops_as_quickly_as_ever(engine: Docker) -> None:
    box = engine.boot("sleep", "infinity")
    assert keepers(box) == []
    assert box.stop() < 2


def test_what_a_killed_container_took_is_lost_with_its_reason(engine: Docker) -> None:
    volume = engine.volume(homes({"coder": 8643}, intent="stopped"))
    box = engine.boot("sleep", "infinity", **mounted(volume))
    one = start(box, "--notify", "--session", "me", "echo written; exec sleep 1000", profile="coder")
    say(box, one, "written\n", "coder")
    box.kill()
    box.exit_code()
    box.start().booted()
    status = json.loads(box.read(f"/opt/data/profiles/coder/processes/{one}/status.json"))
    assert (status["state"], status["reason"]) == ("lost", "the container restarted")
    log = box.read("/opt/data/logs/container-boot.log")
    assert f"coder lost 1 background processes: {one} (the container restarted)" in log
    found = shown(box, one, "coder")
    assert (found["status"], found["output_preview"]) == ("lost", "written\n")
    box.hermes("-p", "coder", "gateway", "start").ok()
    asked = """
        import sys
        from hermes_cli.gateway.client import GatewayClient
        from hermes_cli.home import Home

        path = "/v1/processes/events?session_key=me&wait=5"
        sys.stdout.buffer.write(GatewayClient(Home.of("coder")).get(path)[1])
    """
    told = json.loads(box.run("/opt/hermes/venv/bin/python", "-c", dedent(asked), user="hermes").ok())
    assert [(event["type"], event["status"]) for event in told["events"]] == [("completion", "lost")]


def test_deleting_a_profile_ends_its_processes_and_renaming_does_not(engine: Docker) -> None:
    box = engine.boot("sleep", "infinity")
    box.hermes("profile", "create", "coder").ok()
    one = start(box, "cat", profile="coder")
    box.hermes("profile", "rename", "coder", "writer").ok()
    assert box.hermes("-p", "writer", "process", "submit", one, "renamed").code == 0
    say(box, one, "renamed\n", "writer")
    assert len(keepers(box)) == 1
    box.hermes("profile", "delete", "-y", "writer").ok()
    assert keepers(box) == []
    assert [line for _, line in box.processes() if line == "cat"] == []


def test_a_terminal_is_attached_through_docker_exec(engine: Docker) -> None:
    box = engine.boot("sleep", "infinity")
    one = start(box, "--pty", "--", "bash", "--norc")
    with attached(box, one) as child:
        child.expect(r"\$ ")
        child.sendline("stty size")
        child.expect_exact(f"{ROWS} {COLUMNS}")
        child.setwinsize(40, 70)
        wait_for(lambda: _size(child) == "40 70", 10, "new size")
        child.sendline("sh -c \"trap 'echo caught; exit' INT; echo u''p; while :; do sleep 0.05; done\"")
        child.expect_exact("up\r\n")
        child.sendcontrol("c")
        child.expect_exact("caught")
        child.send("\x1d")
        child.expect_exact("it goes on")
        child.expect(pexpect.EOF)
    with attached(box, one) as child:
        child.expect_exact("caught")
        child.sendline("exit 6")
        child.expect_exact("exited 6")
        child.expect(pexpect.EOF)
        child.wait()
        assert child.exitstatus == 6


def test_a_terminal_is_attached_in_a_container_of_its_own(engine: Docker) -> None:
    program, *words = engine.argv("-it")
    child = pexpect.spawn(
        program,
        [*words, "process", "start", "--wait", "--pty", "--", "sh", "-c", "stty size; exit 4"],
        dimensions=(ROWS, COLUMNS),
        timeout=30,
        encoding="utf-8",
    )
    try:
        child.expect_exact(f"{ROWS} {COLUMNS}")
        child.expect(pexpect.EOF)
        child.wait()
        assert child.exitstatus == 4
    finally:
        child.close(force=True)


def test_doctor_mends_what_is_broken_and_names_what_runs(engine: Docker) -> None:
    box = engine.boot("sleep", "infinity")
    one = start(box, "sleep 1000")
    broken = "/opt/data/processes/proc_00000000beef"
    box.sh(f"mkdir -p {broken}/output; echo '{{' >{broken}/spec.json; touch -d -1hour {broken}", user=10000)
    found = json.loads(box.hermes("doctor", "--json").out)["findings"]
    assert any(item["id"] == "processes proc_00000000beef" and item["fixable"] for item in found)
    box.hermes("doctor", "--fix").ok()
    assert box.run("test", "-d", f"{broken}.broken").code == 0
    assert shown(box, one)["status"] == "running"
    assert [row["session_id"] for row in box.json("process", "list")["processes"]] == [one]


def _size(child: pexpect.spawn[str]) -> str:
    child.sendline("stty size")
    child.expect(r"\d+ \d+\r\n")
    return str(child.after).strip()
