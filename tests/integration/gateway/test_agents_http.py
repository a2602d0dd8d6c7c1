"""A profile's own program over HTTP: what it can be given, what it is told, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from hermes_cli.home import Home
from hermes_cli.processes.profile import registry_of

from .harness import Gateway, Yard, until

TELL = "import json,os,sys; print(json.dumps([sys.argv[1:], dict(os.environ)]))"
CONFIG = f"""\
agent:
  kind: command
  command: {sys.executable} -c '{TELL}' --model={{model}} --
  inputs: toolsets, attachments
  model: large-1
"""


@pytest.fixture(autouse=True)
def no_process_left(yard: Yard) -> Iterator[None]:
    yield
    registry_of(Home.of(root=yard.root)).kill_all(grace=0)


@pytest.fixture
def gateway(yard: Yard) -> Gateway:
    return yard.start(yard.profile(config=CONFIG)).ready()


def post(gateway: Gateway, path: str, **body: Any) -> tuple[int, Any]:
    return gateway.json(path, method="POST", body=json.dumps(body).encode())


def told(gateway: Gateway, run_id: str) -> tuple[list[str], dict[str, str]]:
    """Arguments and environment of a run that has printed both."""
    run = until("its end", lambda: (found := gateway.client.runs.get(run_id)).terminal_state and found)
    assert run.status == "completed", run.reason
    events = gateway.json(f"/v1/runs/{run_id}/events")[1]["events"]
    text = "".join(event["payload"]["text"] for event in events if event["type"] == "delta")
    arguments, environment = json.loads(text)
    return arguments, environment


def test_what_the_program_has_a_use_for_is_known_beforehand_and_given_to_it(gateway: Gateway) -> None:
    status, found = gateway.json("/v1/capabilities")
    assert (status, found["agent"]["inputs"]) == (200, ["attachments", "model", "toolsets"])
    gateway.home.workspace.mkdir(exist_ok=True)
    (gateway.home.workspace / "a b").write_text("x")

    status, started = post(gateway, "/v1/runs", message="--hi", toolsets=["web"], attachments=["a b"])
    assert status == 201, started
    arguments, environment = told(gateway, started["run_id"])
    assert arguments == ["--model=large-1", "--", "--hi"]
    assert environment["HERMES_TOOLSETS"] == "web"
    assert json.loads(environment["HERMES_ATTACHMENTS"]) == [str(gateway.home.workspace / "a b")]
    assert environment["HERMES_RUN_ID"] == started["run_id"]
    assert "HERMES_GATEWAY_TOKEN" not in environment

    status, again = post(gateway, "/v1/runs", message="x", model="small-2", session_id=started["session_id"])
    assert status == 201, again
    arguments, environment = told(gateway, again["run_id"])
    assert (arguments[0], environment["HERMES_SESSION_TURN"]) == ("--model=small-2", "1")


def test_the_command_line_says_the_same(gateway: Gateway) -> None:
    workspace = gateway.home.workspace
    workspace.mkdir(exist_ok=True)
    (workspace / "a b").write_text("x")

    def hermes(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "hermes_cli.cli.main", *words],
            env={"PATH": os.environ["PATH"], "HERMES_HOME": str(gateway.home.root)},
            cwd=workspace,
            capture_output=True,
            text=True,
            timeout=30,
        )

    options = ("--model", "small-2", "--toolset", "web", "--toolset", "files", "--attach", "a b")
    for command in (("run", "start", "-f", "hi"), ("chat", "-q", "hi")):
        done = hermes(*command, *options)
        assert done.returncode == 0, done.stderr
        arguments, environment = json.loads(done.stdout)
        assert arguments == ["--model=small-2", "--", "hi"]
        assert environment["HERMES_TOOLSETS"] == "web,files"
        assert json.loads(environment["HERMES_ATTACHMENTS"]) == [str(workspace / "a b")]
    refused = hermes("run", "start", "hi", "--provider", "acme")
    assert refused.returncode == 1
    assert "takes no provider" in refused.stderr
    refused = hermes("run", "start", "hi", "--attach", "../config.yaml")
    assert "outside the workspace" in refused.stderr


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"provider": "acme"}, 422, "unsupported"),
        ({"model": "--yes"}, 400, "bad_request"),
        ({"toolsets": ["a,b"]}, 400, "bad_request"),
        ({"attachments": ["../config.yaml"]}, 400, "bad_request"),
        ({"attachments": ["missing"]}, 400, "bad_request"),
        ({"attachments": ["\0"]}, 400, "bad_request"),
        ({"attachments": ["\ud800"]}, 400, "bad_request"),
    ],
)
def test_what_it_has_no_use_for_is_refused_and_nothing_is_started(
    gateway: Gateway, body: dict[str, Any], status: int, code: str
) -> None:
    found, problem = post(gateway, "/v1/runs", message="x", **body)
    assert (found, problem["code"]) == (status, code), problem
    assert problem["detail"]
    assert gateway.json("/v1/runs")[1] == {"runs": []}


def test_a_command_with_an_unknown_placeholder_parks_the_gateway(yard: Yard) -> None:
    home = yard.profile(config="agent:\n  kind: command\n  command: agent {mesage}\n")
    gateway = yard.start(home)
    assert gateway.ended() == 78
    assert "{mesage} is not known" in gateway.words()
