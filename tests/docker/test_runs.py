"""Runs in the container: started from the command line, and what its end, hard or soft, makes of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.docker.containers import Box, Docker, wait_for

COUNTS = "echo once >>began; for n in $(seq 1 1000); do echo $n; sleep 0.1; done"


def shown(box: Box, run_id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(box.hermes("run", "show", run_id, "--json").ok())
    return found


def counted(box: Box, run_id: str) -> int:
    return int(shown(box, run_id)["last_event_id"].rpartition(":")[2])


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_a_run_that_went_with_its_container_is_interrupted_once_and_never_run_again(
    engine: Docker, how: str
) -> None:
    box = engine.boot("sleep", "infinity")
    box.hermes("gateway", "start").ok()
    run_id = json.loads(box.hermes("run", "start", "--json", COUNTS).ok())["run_id"]
    wait_for(lambda: counted(box, run_id) > 3, 20, "some events")
    before = counted(box, run_id)
    if how == "restart":
        box.raw.restart(timeout=10)
    else:
        box.kill()
        box.start()
    box.booted()
    box.ready("default")
    wait_for(lambda: shown(box, run_id)["terminal_state"], 20, "its end")
    run = shown(box, run_id)
    assert (run["status"], run["terminal_state"]) == ("interrupted", "interrupted")
    assert "container" in run["reason"]
    lines = box.hermes("run", "events", run_id, "--json").ok().splitlines()
    events = [json.loads(line) for line in lines]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert len(events) > before
    assert [event["type"] for event in events if event["terminal"]] == ["interrupted"]
    assert box.read("/opt/data/workspace/began") == "once\n"


def test_the_answer_of_a_chat_is_its_output_and_exit_code(engine: Docker) -> None:
    box = engine.boot("sleep", "infinity")
    box.hermes("gateway", "start").ok()
    done = box.hermes("chat", "-q", "echo hello; exit 3")
    assert "hello" in done.out
    assert done.code != 0
