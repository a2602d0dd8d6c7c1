"""From a run to a process: arguments, variables, attachments, and what an agent has no use for."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_cli.agents.assignment import Assignment, attached, check_inputs
from hermes_cli.agents.command import CommandAgent
from hermes_cli.agents.shell import ShellAgent
from hermes_cli.config.command_line import FREE, PLAIN, split
from hermes_cli.processes.starting import command_environment, command_line
from hermes_cli.runs.errors import BadRequestError, UnsupportedError
from hermes_cli.runs.types import RunRequest


def assigned(message: str = "hi", **fields: Any) -> Assignment:
    known: dict[str, Any] = {"run_id": "run_1", "session_id": "ses_1", "profile": "coder", "workspace": "/w"}
    return Assignment(message=message, **(known | fields))


# Arguments


def test_the_message_is_one_argument_whatever_is_in_it() -> None:
    message = 'two words; $(rm) "quoted" {model}\nand a line'
    task = assigned(message, model="sonnet")
    assert CommandAgent(("agent", "--ask")).process(task).argv == ("agent", "--ask", message)
    assert CommandAgent(("agent", "{message}", "-v")).process(task).argv == ("agent", message, "-v")
    assert CommandAgent(("agent", "--ask={message}")).process(task).argv == ("agent", f"--ask={message}")
    started = CommandAgent(("agent",), "stdin").process(task)
    assert (started.argv, started.stdin) == (("agent",), "open")


def test_every_placeholder_has_its_value() -> None:
    task = assigned(
        provider="acme",
        model="m-1",
        toolsets=("web", "files"),
        attachments=("/w/a b", "/w/ü"),
        session_log="/h/ses_1.jsonl",
        session_epoch=1700000000,
        session_turn=3,
    )
    line = (
        "a {run_id} {session_id}@{session_epoch}.{session_turn} {profile} --in={workspace} "
        "{provider}/{model} {toolsets} {attachments} {session_log} {message}"
    )
    assert CommandAgent(split(line)).process(task).argv == (
        *("a", "run_1", "ses_1@1700000000.3", "coder", "--in=/w", "acme/m-1"),
        *("web,files", '["/w/a b", "/w/ü"]', "/h/ses_1.jsonl", "hi"),
    )


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_no_value_makes_another_argument_or_is_looked_at_for_placeholders(text: str) -> None:
    argv = split("agent {message} --log {session_log} {attachments} end")
    task = assigned(text, session_log=text, attachments=(text,))
    assert CommandAgent(argv).process(task).argv == (
        *("agent", text, "--log", text, json.dumps([text], ensure_ascii=False), "end"),
    )


def test_a_command_that_wants_a_model_is_given_one_or_refuses() -> None:
    agent = CommandAgent(("agent", "--model", "{model}"))
    assert agent.process(assigned(model="m")).argv == ("agent", "--model", "m", "hi")
    with pytest.raises(BadRequestError, match=r"agent\.model"):
        agent.process(assigned())


@pytest.mark.parametrize("message", ["", "  \n", "echo \0", "echo \ud800", "x" * (128 << 10)])
def test_a_message_that_no_shell_can_be_given_is_refused_at_once(message: str) -> None:
    with pytest.raises(BadRequestError):
        ShellAgent().process(assigned(message))


def test_a_message_that_begins_with_a_dash_is_a_command_and_no_option() -> None:
    argv, _ = command_line(ShellAgent().process(assigned("-c")))
    result = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert result.returncode == 127
    assert "-c" in result.stderr


def test_a_profile_without_a_command_refuses() -> None:
    with pytest.raises(BadRequestError, match="no command"):
        CommandAgent(()).process(assigned("x"))


# Variables


@pytest.mark.parametrize("agent", [ShellAgent(), CommandAgent(("agent",)), CommandAgent(("agent",), "stdin")])
def test_all_variables_are_there_always_and_none_is_inherited(agent: ShellAgent | CommandAgent) -> None:
    request = agent.process(assigned())
    gateways = {"HERMES_RUN_ID": "of another", "HERMES_MODEL": "of another", "HERMES_GATEWAY_TOKEN": "secret"}
    seen = command_environment(request, "proc_1", "/w", gateways, frozenset())
    assert {name: value for name, value in seen.items() if name.startswith("HERMES_")} == {
        "HERMES_RUN_ID": "run_1",
        "HERMES_SESSION_ID": "ses_1",
        "HERMES_PROFILE": "coder",
        "HERMES_WORKSPACE": "/w",
        "HERMES_PROVIDER": "",
        "HERMES_MODEL": "",
        "HERMES_TOOLSETS": "",
        "HERMES_ATTACHMENTS": "[]",
        "HERMES_SESSION_LOG": "",
        "HERMES_SESSION_EPOCH": "0",
        "HERMES_SESSION_TURN": "0",
        "HERMES_PROCESS_ID": "proc_1",
    }


def test_there_is_a_variable_for_each_placeholder_but_the_message() -> None:
    assert set(assigned().values()) == PLAIN | FREE
    assert {name.removeprefix("HERMES_").lower() for name in assigned().variables()} == (PLAIN | FREE) - {
        "message"
    }


# What it has a use for


@pytest.mark.parametrize(
    ("field", "value"),
    [("model", "m"), ("provider", "p"), ("toolsets", ["web"]), ("attachments", ["a"])],
)
def test_a_run_is_refused_that_names_what_the_agent_has_no_use_for(field: str, value: Any) -> None:
    request = RunRequest(message="x", **{field: value})
    with pytest.raises(UnsupportedError, match=rf"takes no {field}.*agent\.inputs"):
        check_inputs(CommandAgent(("agent",)), request)
    check_inputs(CommandAgent(("agent", f"{{{field}}}")), request)
    check_inputs(CommandAgent(("agent",), inputs=[field]), request)  # type: ignore[list-item]
    check_inputs(ShellAgent(), request)
    check_inputs(CommandAgent(("agent",)), RunRequest(message="x"))


@pytest.mark.parametrize("name", ["--yes", " m", "m\n", "a,b", "x" * 257, "\ud800"])
@pytest.mark.parametrize("field", ["model", "provider", "toolsets"])
def test_a_name_is_never_an_option_or_two(field: str, name: str) -> None:
    named: dict[str, Any] = {field: [name] if field == "toolsets" else name}
    request = RunRequest(message="x", **named)
    with pytest.raises(BadRequestError, match="is no name"):
        check_inputs(ShellAgent(), request)


# Attachments


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Files `a` and `in/b`, and one beside it that is nobody's business."""
    made = tmp_path / "workspace"
    (made / "in").mkdir(parents=True)
    for path in (made / "a", made / "in" / "b", tmp_path / "outside", tmp_path / "workspace-not"):
        path.write_text("x")
    return made


def test_attachments_are_files_of_the_workspace_by_any_path(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(workspace)
    (workspace / "alias").symlink_to("in/b")
    names = ["a", "./in/../in/b", str(workspace / "a"), str(tmp_path / "link" / "a"), "alias"]
    wanted = tuple(str(workspace / name) for name in ("a", "in/b", "a", "a", "in/b"))
    assert attached(names, str(workspace)) == wanted
    assert attached(names, str(tmp_path / "link")) == wanted
    assert attached([], "/nowhere") == ()


@pytest.mark.parametrize(
    "name",
    [
        *(
            "../outside",
            "in/../../outside",
            "/etc/passwd",
            "../workspace-not",
            "out",
            "out-directory/outside",
        ),
        *("in", ".", "", "fifo", "none", "broken", "a\0", "a\ud800", "a/b", "x" * 5000, "loop"),
    ],
)
def test_what_is_no_file_of_the_workspace_is_refused(workspace: Path, name: str) -> None:
    (workspace / "out").symlink_to("../outside")
    (workspace / "out-directory").symlink_to("..")
    (workspace / "broken").symlink_to("gone")
    (workspace / "loop").symlink_to("loop")
    os.mkfifo(workspace / "fifo")
    with pytest.raises(BadRequestError):
        attached([name], str(workspace))
