"""The `terminal` and `process` tools on each environment of a profile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hermes_cli.home import Home
from hermes_cli.processes.environments import open_environment
from hermes_cli.processes.types import Owner
from hermes_cli.tools import Toolbox, ToolContext, open_toolbox
from tests.integration.processes.sandboxes import Sandbox

MINE = ToolContext(owner=Owner(session_key="mine"))


@pytest.fixture
def toolbox(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Toolbox]:
    home = Home.of(root=tmp_path)
    home.config.write_text(sandbox.configuration())
    monkeypatch.setenv("PATH", sandbox.path())
    made = open_toolbox(home)
    yield made
    made.close()
    environment = open_environment(home)
    environment.kill_all(grace=0.0)
    environment.disconnect()


def test_commands_run_in_front_and_in_the_background(toolbox: Toolbox) -> None:
    found = toolbox.call("terminal", {"command": "echo out; exit 3", "workdir": "/usr"}, MINE)
    assert (found["status"], found["exit_code"], found["output"]) == ("exited", 3, "out\n")
    begun = toolbox.call("terminal", {"command": "cat", "background": True}, MINE)
    one = begun["session_id"]
    listed = toolbox.call("process", {"action": "list"}, MINE)
    assert one in [row["session_id"] for row in listed["processes"]]
    assert (
        toolbox.call("process", {"action": "submit", "session_id": one, "data": "hi"}, MINE)["status"] == "ok"
    )
    assert toolbox.call("process", {"action": "close", "session_id": one}, MINE)["status"] == "closed"
    waited = toolbox.call("process", {"action": "wait", "session_id": one, "timeout": 10}, MINE)
    assert (waited["status"], waited["output"]) == ("exited", "hi\n")


def test_the_schema_says_where_commands_run(toolbox: Toolbox, sandbox: Sandbox) -> None:
    names = {"local": "this machine", "docker": "the container hermes-test-", "ssh": "the host 127.0.0.1"}
    terminal, process = toolbox.schemas()
    assert names[sandbox.name] in terminal["description"]
    assert names[sandbox.name] not in process["description"]


def test_the_home_directory_is_the_one_there(toolbox: Toolbox, sandbox: Sandbox) -> None:
    found = toolbox.call("terminal", {"command": "pwd -P", "workdir": "~"}, MINE)
    assert found["output"] == sandbox.sh("cd && pwd -P")


@pytest.mark.only("docker")
def test_a_workspace_of_this_machine_is_replaced_with_a_warning(toolbox: Toolbox, tmp_path: Path) -> None:
    context = ToolContext(owner=MINE.owner, workspace=str(tmp_path))
    found = toolbox.call("terminal", {"command": "pwd"}, context)
    assert found["output"] == "/work\n"
    assert any(str(tmp_path) in warning for warning in found["warnings"])
    refused = toolbox.call("terminal", {"command": "pwd", "workdir": "/no/such/place"}, context)
    assert refused["status"] == "error"


def test_what_may_destroy_something_waits_for_an_approval(toolbox: Toolbox) -> None:
    found = toolbox.call("terminal", {"command": "rm -rf /var/lib/something"}, MINE)
    assert found["status"] == "approval_required"


@pytest.mark.only("docker")
def test_a_sandbox_that_cannot_be_used_is_a_result(tmp_path: Path, sandbox: Sandbox) -> None:
    home = Home.of(root=tmp_path)
    home.config.write_text(
        "terminal:\n  environment: docker\n  docker:\n    container: hermes-test-no-such-container\n"
    )
    made = open_toolbox(home)
    found = made.call("terminal", {"command": "true"}, MINE)
    assert (found["status"], found["code"]) == ("error", "environment")
    made.close()
