"""The `process` tool: names callers rely on, only one's own processes, a sentence for every refusal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hermes_cli.processes.errors import (
    BadCursorError,
    KeeperUnreachableError,
    NotRunningError,
    ProcessError,
    StdinClosedError,
)
from hermes_cli.processes.types import Owner, StartRequest
from hermes_cli.tools import Approvals, Toolbox, ToolContext
from hermes_cli.tools.schemas import schemas
from tests.fakes.registry import FakeRegistry, Scripted


class Case:
    """A registry with one process of session `s`, and the tool called from there."""

    def __init__(self, command: str = "make", output: str = "") -> None:
        self.registry = FakeRegistry()
        self.tools = Toolbox(self.registry, Approvals(None), environ={})
        self.id = self.add("s", command)
        self.process.output = output

    def add(self, session: str | None, command: str = "make") -> str:
        owner = Owner(session_key=session)
        return self.registry.start(StartRequest(command=command, owner=owner)).session_id

    @property
    def process(self) -> Scripted:
        return self.registry.processes[self.id]

    def __call__(self, action: str, session: str | None = "s", **arguments: Any) -> dict[str, Any]:
        if action != "list":
            arguments = {"session_id": self.id, **arguments}
        context = ToolContext(owner=Owner(session_key=session))
        result = self.tools.call("process", {"action": action, **arguments}, context)
        json.dumps(result)
        return result


NAMES = {
    "poll": {
        "session_id",
        "command",
        "status",
        "pid",
        "uptime_seconds",
        "output_preview",
        "cursor",
        "output",
    },
    "log": {"session_id", "status", "output", "total_lines", "showing"},
    "kill": {"session_id", "status"},
    "write": {"status", "bytes_written"},
    "submit": {"status", "bytes_written"},
    "close": {"status"},
}


@pytest.mark.parametrize("action", NAMES)
def test_answers_have_the_names_that_callers_rely_on(action: str) -> None:
    assert NAMES[action] <= set(Case()(action, data="x"))


def test_a_list_has_the_names_that_callers_rely_on() -> None:
    case = Case(output="hello")
    case.process.end(2)
    (row,) = case("list")["processes"]
    names = "session_id command cwd pid started_at uptime_seconds status output_preview exit_code"
    assert set(names.split()) <= set(row)
    assert (row["status"], row["exit_code"], row["output_preview"]) == ("exited", 2, "hello")


def test_a_list_does_not_mind_an_empty_id() -> None:
    assert len(Case()("list", session_id="")["processes"]) == 1


def test_wait_answers_with_exit_code_and_output() -> None:
    case = Case(output="hello")
    assert case("wait", timeout="0.01")["status"] == "timeout"
    case.process.end(3)
    result = case("wait")
    assert (result["status"], result["exit_code"], result["output"]) == ("exited", 3, "hello")


def test_a_wait_can_be_interrupted() -> None:
    case = Case()
    context = ToolContext(interrupted=lambda: True)
    result = case.tools.call("process", {"action": "wait", "session_id": case.id}, context)
    assert result["status"] == "interrupted"
    assert case.process.status == "running"


@pytest.mark.parametrize("action", ["poll", "log", "wait", "kill", "write", "submit", "close"])
def test_an_id_nobody_has_is_not_found(action: str) -> None:
    result = Case()(action, session_id="proc_000000000000", data="x")
    assert result["status"] == "not_found"
    assert "list" in result["message"]


@pytest.mark.parametrize("action", ["poll", "log", "wait", "kill", "write", "submit", "close"])
def test_the_process_of_another_session_is_neither_seen_nor_touched(action: str) -> None:
    case = Case()
    assert case(action, session="other", data="x")["status"] == "not_found"
    assert (case.process.status, case.process.typed) == ("running", b"")
    assert case("list", session="other") == {"processes": []}
    assert len(case("list", session=None)["processes"]) == 1


def test_a_beginning_that_several_share_is_ambiguous_and_names_them() -> None:
    case = Case()
    twins = [f"proc_abcd{number}0000000" for number in range(2)]
    for twin in twins:
        case.registry.processes[twin] = case.process
    result = case("kill", session_id="abcd")
    assert (result["status"], result["code"], result["matches"]) == ("error", "ambiguous", twins)
    assert case.process.status == "running"


def test_a_beginning_shared_with_somebody_elses_is_not_ambiguous() -> None:
    case = Case()
    foreign = Scripted(StartRequest(command="x", owner=Owner(session_key="other")))
    case.registry.processes["proc_abcd00000000"] = foreign
    case.registry.processes["proc_abcd10000000"] = case.process
    assert case("poll", session_id="abcd")["session_id"] == "proc_abcd10000000"


def test_a_number_for_an_id_is_an_id() -> None:
    case = Case()
    case.registry.processes["proc_123456789012"] = case.process
    assert case("poll", session_id=123456789012)["session_id"] == "proc_123456789012"
    assert case("poll", session_id=1234)["session_id"] == "proc_123456789012"


@pytest.mark.parametrize(
    ("verb", "action", "error", "code"),
    [
        ("write", "write", NotRunningError("proc_x", "exited"), "not_running"),
        ("write", "submit", StdinClosedError("its stdin is closed"), "stdin_closed"),
        ("poll", "poll", BadCursorError("the cursor 9 is beyond the 3 bytes of output so far"), "bad_cursor"),
        ("log", "log", BadCursorError("line 9 is beyond the 3 lines so far"), "bad_cursor"),
        ("kill", "kill", KeeperUnreachableError("the keeper does not answer"), "unreachable"),
        ("list", "list", ProcessError("the directory cannot be read"), "process_error"),
        ("list", "poll", OSError(5, "Input/output error"), "system"),
        ("close", "close", RuntimeError("a fault of our own"), "internal"),
    ],
)
def test_what_the_process_layer_refuses_is_a_sentence(
    verb: str, action: str, error: Exception, code: str
) -> None:
    case = Case()
    case.registry.fails[verb] = error
    result = case(action, data="x")
    assert (result["status"], result["code"]) == ("error", code)
    assert result["message"]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({}, "action is missing; it is one of list, poll"),
        ({"action": "dance"}, "no action 'dance'"),
        ({"action": "start", "command": "ls"}, "terminal"),
        ({"action": "poll"}, "session_id is missing"),
        ({"action": "poll", "session_id": " "}, "session_id is missing"),
        ({"action": "log", "session_id": "proc_1", "limit": "many"}, "limit must be a whole number"),
        ({"action": "wait", "session_id": "proc_1", "timeout": -1}, "0 or more"),
    ],
)
def test_arguments_that_mean_nothing_are_a_sentence(arguments: dict[str, Any], part: str) -> None:
    result = Case().tools.call("process", arguments)
    assert (result["status"], result["code"]) == ("error", "invalid_arguments")
    assert part in result["message"]


def test_write_needs_something_to_write() -> None:
    assert Case()("write")["code"] == "invalid_arguments"


def test_submit_presses_enter_once() -> None:
    case = Case("python3 -i")
    case("submit", data="1 + 1\n")
    case("submit")
    assert case.process.typed == b"1 + 1\n\n"


def test_write_sends_what_it_is_given() -> None:
    case = Case("cat")
    assert case("write", data="é\x03")["bytes_written"] == 3
    assert case.process.typed == "é\x03".encode()


@pytest.mark.parametrize(
    ("word", "answer"), [("status", "poll"), ("logs", "log"), ("stop", "kill"), ("Terminate", "kill")]
)
def test_other_words_for_an_action_are_understood(word: str, answer: str) -> None:
    assert set(Case()(word)) == set(Case()(answer))


@pytest.mark.parametrize("action", ["write", "submit"])
def test_a_dangerous_line_for_a_shell_asks_first(action: str) -> None:
    case = Case("docker exec -it db bash")
    asked = case(action, data="rm -rf /\n")
    assert (asked["status"], asked["pattern_key"]) == ("approval_required", "delete_system")
    assert case.process.typed == b""
    case.tools.approvals.resolve(asked["approval_id"], "once")
    assert case(action, data="rm -rf /\n")["status"] == "ok"


def test_a_line_for_a_process_that_was_allowed_is_looked_at_for_itself() -> None:
    case = Case("rm -rf build; bash")
    assert case("submit", data="ls")["status"] == "ok"
    assert case("submit", data="git push -f")["pattern_key"] == "force_push"


def test_a_page_of_enormous_lines_is_cut_and_says_so() -> None:
    result = Case(output=("x" * 60_000 + "\n") * 3)("log")
    assert len(result["output"]) < 51_000
    assert result["output_left_out_bytes"] > 100_000
    assert "limit" in result["message"]


def test_every_argument_in_the_schemas_is_one_the_tools_know() -> None:
    from hermes_cli.tools import process, terminal

    for schema, known in zip(schemas(180), (terminal._ARGUMENTS, process._ARGUMENTS), strict=True):
        assert set(schema["parameters"]["properties"]) == set(known)
        assert set(schema) == {"name", "description", "parameters"}
        assert all(one["description"] for one in schema["parameters"]["properties"].values())
        json.dumps(schema)


def test_every_action_in_the_schema_exists() -> None:
    case = Case()
    for action in schemas(180)[1]["parameters"]["properties"]["action"]["enum"]:
        assert case(action, data="x", timeout=0).get("code") != "invalid_arguments"
