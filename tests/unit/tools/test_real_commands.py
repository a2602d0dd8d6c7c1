"""The tools over real processes: nothing is left running, nothing hangs, nothing untrue is told."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hermes_cli.processes.registry import Registry
from hermes_cli.processes.types import Owner
from hermes_cli.tools import Approvals, Toolbox, ToolContext

SUDO = """#!/bin/sh
# Asks on the terminal, as sudo(8) does; without one it says so and fails.
if ! (: </dev/tty) 2>/dev/null; then
  echo 'sudo: a terminal is required to read the password; either use the -S option' >&2
  echo 'sudo: a password is required' >&2
  exit 1
fi
printf 'Password: ' >/dev/tty
read -r answer </dev/tty
exit 1
"""


class Shell:
    """The toolbox over a registry of its own."""

    def __init__(self, directory: Path, limit: str = "20") -> None:
        self.directory = directory
        self.registry = Registry(directory / "processes", default_cwd=os.fspath(directory))
        self.tools = Toolbox(self.registry, Approvals(None), environ={"TERMINAL_TIMEOUT": limit})

    def run(self, command: str, *, context: ToolContext | None = None, **arguments: Any) -> dict[str, Any]:
        return self.tools.call("terminal", {"command": command, **arguments}, context)

    def kept(self) -> list[Path]:
        """What is on disk of processes."""
        return list((self.directory / "processes").iterdir())

    def process(self, action: str, session_id: str = "", **arguments: Any) -> dict[str, Any]:
        return self.tools.call("process", {"action": action, "session_id": session_id, **arguments})


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    shell.tools.close()
    shell.registry.kill_all(grace=0.1)


def eventually(condition: Callable[[], object], what: str, seconds: float = 8.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"never came: {what}"
        threading.Event().wait(0.01)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def pids(shell: Shell) -> list[int]:
    return [int(line) for line in (shell.directory / "pids").read_text().split()]


def test_output_of_both_kinds_and_the_exit_code_come_back(shell: Shell) -> None:
    result = shell.run("echo out; echo err >&2; exit 3")
    assert (result["status"], result["exit_code"]) == ("exited", 3)
    assert sorted(result["output"].split()) == ["err", "out"]


def test_a_command_that_reads_finds_the_end_of_input(shell: Shell) -> None:
    assert shell.run("cat; read x || echo nothing")["output"] == "nothing\n"


def test_a_flood_keeps_its_first_and_last_lines(shell: Shell) -> None:
    result = shell.run("seq 1 300000")
    assert result["output"].startswith("1\n2\n3\n")
    assert result["output"].endswith("299999\n300000\n")
    assert len(result["output"]) < 51_000
    offset = int(result["output"].partition("offset=")[2].partition(",")[0])
    page = shell.process("log", result["session_id"], offset=offset, limit=2)
    assert page["output"] == f"{offset + 1}\n{offset + 2}"


def test_at_the_timeout_everything_it_started_is_gone(shell: Shell) -> None:
    command = (
        "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ >> pids; while :; do sleep 1; done' & "
        "setsid sh -c 'echo $$ >> pids; sleep 300' & echo $$ >> pids; while :; do sleep 1; done"
    )
    result = shell.run(command, timeout=1)
    assert (result["status"], result["signal"]) == ("timeout", signal.SIGKILL)
    assert len(pids(shell)) == 3
    assert [pid for pid in pids(shell) if alive(pid)] == []
    assert "nothing of it runs any more" in result["message"]


def test_an_interrupt_comes_through_at_once_and_leaves_nothing(shell: Shell) -> None:
    pressed = threading.Event()
    answers: list[dict[str, Any]] = []

    def call() -> None:
        answers.append(
            shell.run("echo $$ > pids; sleep 300", context=ToolContext(interrupted=pressed.is_set))
        )

    thread = threading.Thread(target=call)
    thread.start()
    eventually(lambda: (shell.directory / "pids").exists() and pids(shell), "the command's pid")
    began = time.monotonic()
    pressed.set()
    thread.join(10)
    assert time.monotonic() - began < 3
    assert answers[0]["status"] == "interrupted"
    assert not alive(pids(shell)[0])


def test_a_keeper_that_is_killed_is_an_honest_loss_and_no_hang(shell: Shell) -> None:
    answers: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: answers.append(shell.run("echo $PPID > pids; sleep 300")))
    thread.start()
    eventually(lambda: (shell.directory / "pids").exists() and pids(shell), "the keeper's pid")
    os.kill(pids(shell)[0], signal.SIGKILL)
    thread.join(15)
    assert answers
    assert answers[0]["status"] == "lost"
    assert answers[0]["reason"]


def test_a_server_left_behind_is_told_and_can_be_killed(shell: Shell) -> None:
    result = shell.run("sleep 300 & echo $! > pids; echo started")
    assert (result["status"], result["output"], result["descendants"]) == ("exited", "started\n", 1)
    assert alive(pids(shell)[0])
    shell.process("kill", result["session_id"])
    assert not alive(pids(shell)[0])


def test_a_directory_or_program_that_is_not_there_is_a_sentence(shell: Shell) -> None:
    result = shell.run("ls", workdir="/nowhere/at/all")
    assert (result["status"], result["code"]) == ("error", "cannot_start")
    assert "/nowhere/at/all" in result["message"]
    assert shell.run("no-such-program")["exit_code"] == 127


def test_sudo_fails_at_once_and_says_that_it_wants_a_password(shell: Shell) -> None:
    sudo = shell.directory / "sudo"
    sudo.write_text(SUDO)
    sudo.chmod(0o755)
    for pty in (False, True):
        began = time.monotonic()
        result = shell.run(f"{sudo} ls", pty=pty)
        assert (result["exit_code"], result["code"]) == (1, "needs_password")
        assert time.monotonic() - began < 5


def test_a_terminal_is_a_terminal(shell: Shell) -> None:
    assert shell.run("stty size; test -t 0 && echo yes", pty=True)["output"] == "24 80\nyes\n"


def test_a_conversation_with_a_repl(shell: Shell) -> None:
    started = shell.run("python3 -qi", background=True, pty=True)
    assert started["status"] == "running"
    session_id = started["session_id"]
    shell.process("submit", session_id, data="print(6 * 7)")
    eventually(lambda: "\n42" in shell.process("poll", session_id, cursor=0)["output"], "the answer 42")
    cursor = shell.process("poll", session_id)["cursor"]
    assert shell.process("poll", session_id, cursor=cursor)["output"] == ""
    shell.process("close", session_id)
    waited = shell.process("wait", session_id, timeout=8)
    assert (waited["status"], waited["exit_code"]) == ("exited", 0)
    refused = shell.process("submit", session_id, data="1")
    assert (refused["status"], refused["code"]) == ("error", "not_running")
    assert shell.process("kill", session_id)["status"] == "already_exited"


def test_offsets_beyond_the_end_are_a_sentence(shell: Shell) -> None:
    session_id = shell.run("echo x", background=True)["session_id"]
    for arguments in ({"action": "poll", "cursor": 10**9}, {"action": "log", "offset": 10**9}):
        result = shell.tools.call("process", {"session_id": session_id, **arguments})
        assert (result["status"], result["code"]) == ("error", "bad_cursor")


def test_commands_in_the_foreground_take_no_place_of_those_that_are_kept(shell: Shell) -> None:
    kept = shell.run("echo kept", background=True)["session_id"]
    shell.process("wait", kept)
    for number in range(5):
        assert shell.run(f"echo {number}")["output"] == f"{number}\n"

    def left() -> list[str]:
        shell.registry.clean()
        return [row["session_id"] for row in shell.process("list")["processes"]]

    eventually(lambda: left() == [kept], "that only the one in the background is listed")
    assert not any(path.name.startswith("proc_") and path.name != kept for path in shell.kept())


def test_a_wait_returns_with_the_exit(shell: Shell) -> None:
    session_id = shell.run("sleep 0.5; date +%s.%N", background=True)["session_id"]
    result = shell.process("wait", session_id)
    assert time.time() - float(result["output"]) < 0.5
    assert result["exit_code"] == 0


def test_both_notices_at_once_is_the_end_with_a_warning(shell: Shell) -> None:
    result = shell.run("true", background=True, notify_on_complete=True, watch_patterns=["x"])
    assert "exclude each other" in result["warnings"][0]


def test_a_pattern_that_does_not_compile_starts_nothing(shell: Shell) -> None:
    result = shell.run("sleep 300", background=True, watch_patterns=["re:("])
    assert (result["status"], result["code"]) == ("error", "bad_pattern")
    assert shell.process("list")["processes"] == []


def test_commands_of_several_threads_do_not_mix(shell: Shell) -> None:
    answers: dict[int, dict[str, Any]] = {}

    def call(number: int) -> None:
        context = ToolContext(owner=Owner(session_key=f"s{number}"))
        answers[number] = shell.run(f"seq {number} {number + 999}; exit {number}", context=context)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for number in range(12):
        assert answers[number]["exit_code"] == number
        assert answers[number]["output"] == "".join(f"{line}\n" for line in range(number, number + 1000))


def test_rubbish_through_the_real_layer_is_never_an_exception(shell: Shell) -> None:
    for action in ("poll", "log", "wait", "kill", "write", "submit", "close"):
        given: object
        for given in ("", "x", "proc_", "../../etc", "proc_000000000000", "\x00", 7, {}, ["a"], "é" * 300):
            result = shell.tools.call(
                "process", {"action": action, "session_id": given, "data": "x", "timeout": 1}
            )
            assert result["status"] in ("error", "not_found")
            assert result["message"]
    with contextlib.suppress(FileNotFoundError):
        assert not list((shell.directory / "processes").glob("proc_*"))
