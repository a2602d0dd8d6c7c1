"""The `terminal` tool: what it asks of the process layer, and what it says when that goes wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hermes_cli.home import Home
from hermes_cli.processes.errors import (
    BadPatternError,
    KeeperUnreachableError,
    ProcessError,
    StartError,
    TooManyProcessesError,
)
from hermes_cli.processes.types import Killed, Owner
from hermes_cli.tools import Approvals, Progress, Toolbox, ToolContext
from tests.fakes.registry import FakeRegistry, Scripted

Run = Callable[..., dict[str, Any]]


def writes(output: str, exit_code: int = 0) -> Callable[[Scripted], None]:
    def begin(process: Scripted) -> None:
        process.output = output
        process.end(exit_code)

    return begin


def box(registry: FakeRegistry, limit: str = "180", home: Home | None = None) -> Toolbox:
    return Toolbox(registry, Approvals(home), environ={"TERMINAL_TIMEOUT": limit})


def run(registry: FakeRegistry, arguments: object, limit: str = "180", **context: Any) -> dict[str, Any]:
    result = box(registry, limit).call("terminal", arguments, ToolContext(**context))
    json.dumps(result)
    return result


def only(registry: FakeRegistry) -> Scripted:
    (process,) = registry.processes.values()
    return process


def test_a_command_answers_with_output_and_exit_code() -> None:
    result = run(FakeRegistry(writes("hello\n", 3)), {"command": "x"})
    assert (result["status"], result["exit_code"], result["output"]) == ("exited", 3, "hello\n")
    assert "warnings" not in result


def test_a_foreground_command_reads_from_nowhere_and_meets_no_pager() -> None:
    registry = FakeRegistry(writes(""))
    run(registry, {"command": "git log", "pty": True})
    request = only(registry).request
    assert (request.stdin, request.pty, request.environment["GIT_PAGER"]) == ("null", True, "cat")
    assert request.environment["GIT_TERMINAL_PROMPT"] == "0"


def test_long_output_keeps_its_head_and_tail_and_says_what_is_left_out() -> None:
    text = "".join(f"line {number}\n" for number in range(100_000))
    result = run(FakeRegistry(writes(text)), {"command": "x"})
    assert len(result["output"]) < 51_000
    assert result["output"].startswith("line 0\nline 1\n")
    assert result["output"].endswith("line 99998\nline 99999\n")
    head, _, rest = result["output"].partition("\n[… ")
    note, _, tail = rest.partition(" …]\n")
    assert result["output_left_out_bytes"] == len(text) - len(head) - len(tail)
    next_line = head.count("\n")
    assert f"offset={next_line}," in note
    assert tail.startswith("line ")


@pytest.mark.parametrize("size", [49_999, 50_000, 50_001, 65_535, 65_536, 65_537, 80_000, 131_073])
def test_what_fits_is_whole_and_what_does_not_is_counted(size: int) -> None:
    text = "".join(chr(97 + number % 26) for number in range(size))
    result = run(FakeRegistry(writes(text)), {"command": "x"})
    if size <= 50_000:
        assert result["output"] == text
        return
    head, _, rest = result["output"].partition("\n[… ")
    tail = rest.partition(" …]\n")[2]
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(head) + len(tail) + result["output_left_out_bytes"] == size


def test_a_command_of_which_all_was_told_is_forgotten() -> None:
    registry = FakeRegistry(writes("hello\n"))
    result = run(registry, {"command": "x"})
    assert registry.forgotten == list(registry.processes)
    assert "session_id" not in result, "there is nothing under it any more"


def test_a_command_of_which_something_is_left_to_ask_for_is_kept() -> None:
    def leaves(process: Scripted) -> None:
        process.descendants = 1
        process.end(0)

    shortened, left, late = FakeRegistry(writes("x" * 60_000)), FakeRegistry(leaves), FakeRegistry()
    unread = FakeRegistry(writes("x"))
    unread.fails["poll"] = ProcessError("the disk")
    for registry in (shortened, unread, left, late):
        result = run(registry, {"command": "x", "timeout": 0.05})
        assert registry.forgotten == []
        assert result["session_id"] in registry.processes


def test_a_command_that_cannot_be_forgotten_is_told_all_the_same() -> None:
    registry = FakeRegistry(writes("hello\n"))
    registry.fails["forget"] = ProcessError("the disk")
    assert run(registry, {"command": "x"})["output"] == "hello\n"


def test_characters_of_several_bytes_are_not_lost_at_the_cut() -> None:
    text = "äöü€😀\n" * 20_000
    result = run(FakeRegistry(writes(text)), {"command": "x"})
    assert result["output"].endswith("äöü€😀\n" * 100)
    assert "\ufffd" not in result["output"]


def test_at_the_timeout_it_is_killed_and_the_result_says_so() -> None:
    registry = FakeRegistry()
    result = run(registry, {"command": "x", "timeout": 0.05})
    assert (result["status"], result["exit_code"], result["killed_processes"]) == ("timeout", 143, 1)
    assert "nothing of it runs any more" in result["message"]
    assert "background=true" in result["message"]
    assert len(registry.killed) == 1


def test_a_timeout_beyond_the_limit_is_cut_and_says_so() -> None:
    result = run(FakeRegistry(), {"command": "x", "timeout": "600"}, limit="0.05")
    assert result["status"] == "timeout"
    assert "600 s was cut to 0.05 s" in result["timeout_note"]


def test_a_timeout_of_nothing_means_the_usual_one() -> None:
    result = run(FakeRegistry(writes("")), {"command": "x", "timeout": 0})
    assert result["status"] == "exited"
    assert "180 s" in result["timeout_note"]


def test_a_process_that_cannot_be_killed_is_not_called_dead() -> None:
    registry = FakeRegistry()
    registry.kill_answer = Killed("x", "error", message="the kernel holds 1")
    result = run(registry, {"command": "x", "timeout": 0.05})
    assert "could not be killed whole: the kernel holds 1" in result["message"]


def test_a_process_that_ended_while_it_was_to_be_killed_has_its_own_exit_code() -> None:
    registry = FakeRegistry()
    registry.kill_answer = Killed("x", "already_exited", exit_code=0)
    result = run(registry, {"command": "x", "timeout": 0.05})
    assert (result["status"], result["exit_code"]) == ("exited", 0)


def test_an_interrupt_ends_the_command() -> None:
    registry = FakeRegistry()
    result = run(registry, {"command": "x"}, interrupted=lambda: True)
    assert result["status"] == "interrupted"
    assert len(registry.killed) == 1


@pytest.mark.parametrize("error", [KeeperUnreachableError("gone"), OSError(28, "No space left on device")])
def test_when_waiting_fails_nothing_is_left_running(error: Exception) -> None:
    registry = FakeRegistry()
    registry.fails["wait"] = error
    result = run(registry, {"command": "x"})
    assert (result["status"], len(registry.killed)) == ("error", 1)
    assert result["message"]


def test_ctrl_c_ends_the_command_and_goes_on_to_the_caller() -> None:
    registry = FakeRegistry()

    def press() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(registry, {"command": "x"}, interrupted=press)
    assert len(registry.killed) == 1


def test_output_that_cannot_be_read_does_not_hide_the_exit_code() -> None:
    registry = FakeRegistry(writes("x", 4))
    registry.fails["poll"] = ProcessError("the disk is gone")
    result = run(registry, {"command": "x"})
    assert (result["status"], result["exit_code"]) == ("exited", 4)
    assert "the disk is gone" in result["warnings"][0]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StartError("there is no directory /x"), "cannot_start"),
        (TooManyProcessesError("64 processes run already"), "limit"),
        (BadPatternError("re:(", "unbalanced"), "bad_pattern"),
        (OSError(28, "No space left on device"), "system"),
        (RuntimeError("a fault of our own"), "internal"),
    ],
)
@pytest.mark.parametrize("background", [True, False])
def test_what_cannot_start_is_an_answer_with_a_sentence(
    error: Exception, code: str, background: bool
) -> None:
    registry = FakeRegistry()
    registry.fails["start"] = error
    result = run(registry, {"command": "x", "background": background})
    assert (result["status"], result["code"]) == ("error", code)
    assert result["message"]
    assert "Traceback" not in result["message"]


def test_a_background_command_answers_at_once_with_its_id() -> None:
    registry = FakeRegistry()
    owner = Owner(session_key="s", task_id="t", platform="telegram", chat_id="1")
    result = run(registry, {"command": "x", "background": "true", "notify_on_complete": 1}, owner=owner)
    request = only(registry).request
    assert (result["session_id"], result["pid"], result["status"]) == (
        next(iter(registry.processes)),
        4242,
        "running",
    )
    assert (request.owner, request.stdin, request.notify_on_complete) == (owner, "open", True)


def test_patterns_reach_the_process_layer_however_they_are_written() -> None:
    registry = FakeRegistry()
    run(registry, {"command": "x", "background": True, "watch_patterns": "ready"})
    assert only(registry).request.watch_patterns == ("ready",)


def test_notices_make_no_sense_in_the_foreground() -> None:
    result = run(
        FakeRegistry(writes("")), {"command": "x", "notify_on_complete": True, "watch_patterns": ["a"]}
    )
    assert [warning.partition(" ")[0] for warning in result["warnings"]] == [
        "notify_on_complete",
        "watch_patterns",
    ]


@pytest.mark.parametrize(
    ("workdir", "cwd"),
    [(None, "/w"), ("", "/w"), ("/x", "/x"), ("src", "/w/src"), ("../y", "/w/../y"), ("~", "/home/me"),
     ("~/a", "/home/me/a")],
)  # fmt: skip
def test_a_directory_is_understood(workdir: str | None, cwd: str) -> None:
    registry = FakeRegistry(writes(""))
    run(registry, {"command": "x", "workdir": workdir}, workspace="/w", home_directory="/home/me")
    assert only(registry).request.cwd == cwd


@pytest.mark.parametrize(
    "workdir", ["src", "~", "~bob", "$HOME/x", "file:///x", "/a\x00b", "/a\nb", "/" + "x" * 5000]
)
def test_a_directory_that_means_nothing_is_refused_before_anything_runs(workdir: str) -> None:
    registry = FakeRegistry(writes(""))
    result = run(registry, {"command": "x", "workdir": workdir})
    assert (result["status"], result["code"], registry.processes) == ("error", "invalid_arguments", {})
    assert "workdir" in result["message"]


def test_processes_left_behind_are_told() -> None:
    def begin(process: Scripted) -> None:
        process.descendants = 2
        process.end(0)

    result = run(FakeRegistry(begin), {"command": "server &"})
    assert result["descendants"] == 2
    assert "left 2 processes running" in result["message"]
    assert "background=true" in result["warnings"][0]


@pytest.mark.parametrize(
    "said",
    [
        "sudo: a password is required\n",
        "sudo: a terminal is required to read the password; either use the -S option to …\n",
        "sudo: no tty present and no askpass program specified\n",
        "su: must be run from a terminal\n",
        "doas: a tty is required\n",
    ],
)
def test_a_command_that_wants_a_password_is_explained(said: str) -> None:
    result = run(FakeRegistry(writes(said, 1)), {"command": "sudo ls"})
    assert (result["code"], result["exit_code"]) == ("needs_password", 1)
    assert "Ask the user" in result["message"]


def test_sudo_in_the_foreground_gets_no_terminal_to_ask_in() -> None:
    registry = FakeRegistry(writes(""))
    result = run(registry, {"command": "cd x && sudo ls", "pty": True})
    assert only(registry).request.pty is False
    assert "password" in result["warnings"][0]


def test_waiting_by_sleep_is_talked_out_of() -> None:
    result = run(FakeRegistry(writes("")), {"command": "sleep 60 && curl localhost"})
    assert "process(action='wait')" in result["warnings"][0]


def test_progress_is_told_between_and_never_twice() -> None:
    told: list[Progress] = []

    def tell(progress: Progress) -> None:
        told.append(progress)
        if len(told) == 1:
            only(registry).output += "two\n"
        else:
            only(registry).end(0)

    def begin(process: Scripted) -> None:
        process.output = "one\n"

    registry = FakeRegistry(begin)
    tools = box(registry)
    from hermes_cli.tools import terminal

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(terminal, "MIN_CHECK_INTERVAL", 0.01)
        result = tools.call("terminal", {"command": "x", "check_interval": 0.01}, ToolContext(progress=tell))
    assert [progress.output for progress in told] == ["one\n", "two\n"]
    assert result["output"] == "one\ntwo\n"


def test_progress_of_a_background_process_goes_on_until_it_ends() -> None:
    done = threading.Event()
    told: list[Progress] = []

    def tell(progress: Progress) -> None:
        told.append(progress)
        if progress.status != "running":
            done.set()

    registry = FakeRegistry(lambda process: setattr(process, "output", "x"))
    tools = box(registry)
    tools.call(
        "terminal", {"command": "x", "background": True, "check_interval": 5}, ToolContext(progress=tell)
    )
    only(registry).end(0)
    assert done.wait(10)
    assert [(progress.status, progress.output) for progress in told] == [("exited", "x")]
    tools.close()


def test_a_receiver_that_fails_does_not_end_the_command(caplog: pytest.LogCaptureFixture) -> None:
    def tell(_progress: Progress) -> None:
        raise ValueError("mine")

    registry = FakeRegistry(lambda process: setattr(process, "output", "x"))
    from hermes_cli.tools import terminal

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(terminal, "MIN_CHECK_INTERVAL", 0.01)
        arguments = {"command": "x", "check_interval": 0.01, "timeout": 0.1}
        result = box(registry).call("terminal", arguments, ToolContext(progress=tell))
    assert result["status"] == "timeout"
    assert "the receiver of progress failed" in caplog.text


def test_an_interval_nobody_listens_to_is_said_to_have_no_effect() -> None:
    result = run(FakeRegistry(), {"command": "x", "background": True, "check_interval": 30})
    assert "check_interval has no effect" in result["warnings"][0]


def test_a_dangerous_command_asks_first_and_runs_once_allowed(tmp_path: Path) -> None:
    registry = FakeRegistry(writes("done"))
    tools = box(registry, home=Home("default", tmp_path))
    context = ToolContext(owner=Owner(session_key="s"))
    arguments = {"command": "rm -rf build && git push -f"}
    asked = tools.call("terminal", arguments, context)
    assert (asked["status"], asked["pattern_key"]) == ("approval_required", "recursive_delete")
    assert [one["pattern_key"] for one in asked["patterns"]] == ["recursive_delete", "force_push"]
    assert asked["choices"] == ["once", "session", "always", "deny"]
    assert "deletes directories" in asked["description"]
    assert registry.processes == {}
    tools.approvals.resolve(asked["approval_id"], "once")
    assert tools.call("terminal", arguments, context)["status"] == "exited"
    assert tools.call("terminal", arguments, context)["status"] == "approval_required"


def test_a_model_cannot_allow_anything_itself() -> None:
    registry = FakeRegistry(writes(""))
    for extra in ({"approved": True}, {"approval": "always"}, {"force": True}, {"choice": "once"}):
        result = run(registry, {"command": "rm -rf x", **extra})
        assert result["status"] == "approval_required"
    assert registry.processes == {}


@pytest.mark.parametrize(
    "raw", [None, "", "{", [], 7, {"command": None}, {"command": " "}, {"comand": "ls"}, object()]
)
def test_rubbish_is_an_answer_with_a_sentence(raw: object) -> None:
    result = run(FakeRegistry(), raw)
    assert (result["status"], result["code"]) == ("error", "invalid_arguments")
    assert len(result["message"]) > 10


@pytest.mark.parametrize("limit", ["", "abc", "-1", "0", "nan", "inf", "1e30"])
def test_a_limit_that_is_no_time_is_the_usual_one(limit: str) -> None:
    description = str(box(FakeRegistry(), limit).schemas())
    assert "Default and maximum 180" in description


def test_a_tool_that_does_not_exist_is_an_answer() -> None:
    result = box(FakeRegistry()).call("shell", {})
    assert result["code"] == "unknown_tool"
    assert "terminal and process" in result["message"]
