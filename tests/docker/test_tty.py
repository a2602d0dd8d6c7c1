"""The container on a terminal: size, resize, ^C, and the text interface."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

import pexpect
import pytest

from tests.docker.containers import Docker, wait_for

ROWS, COLUMNS = 31, 123


@contextlib.contextmanager
def terminal(engine: Docker, *command: str) -> Iterator[pexpect.spawn[str]]:
    """`docker run -it` on a terminal of its own."""
    program, *words = engine.argv("-it")
    child = pexpect.spawn(
        program,
        [*words, *command],
        dimensions=(ROWS, COLUMNS),
        timeout=20,
        encoding="utf-8",
        codec_errors="replace",
    )
    try:
        yield child
    finally:
        child.close(force=True)


def in_foreground(engine: Docker, program: str) -> None:
    """Wait until the terminal's foreground process group is `program`'s: only then are keys its own."""
    script = r"""
        for stat in /proc/[0-9]*/stat; do
          read -r line 2>/dev/null <"$stat" || continue
          set -- ${line##*) }
          case $line in *"($0)"*) [ "$3" = "$6" ] && echo found ;; esac
        done; :
    """
    box = engine.last()
    wait_for(lambda: box.run("sh", "-c", script, program).out, 20, f"{program} in the foreground")


def ended(child: pexpect.spawn[str]) -> int | None:
    child.expect(pexpect.EOF)
    child.close()
    return child.exitstatus


def test_bash_has_the_terminals_size_and_hears_of_a_new_one(engine: Docker) -> None:
    with terminal(engine, "bash", "--norc") as child:
        child.expect(r"\$ ")
        child.sendline("stty size")
        child.expect_exact(f"{ROWS} {COLUMNS}")
        script = 'trap "stty size; exit" WINCH; echo armed; while :; do sleep 0.1; done'
        child.sendline(f"sh -c '{script}'")
        child.expect(r"armed\r\n")
        child.setwinsize(40, 90)
        child.expect_exact("40 90")
        child.sendline("exit 3")
        assert ended(child) == 3


def test_the_command_has_job_control(engine: Docker) -> None:
    with terminal(engine, "bash", "--norc") as child:
        child.expect(r"\$ ")
        assert "no job control" not in str(child.before)
        child.sendline("sleep 100")
        in_foreground(engine, "sleep")
        child.sendcontrol("z")
        child.expect("Stopped")
        child.sendline("fg")
        in_foreground(engine, "sleep")
        child.sendcontrol("c")
        child.sendline("exit 0")
        assert ended(child) == 0


def test_ctrl_c_reaches_the_command_and_nothing_else(engine: Docker) -> None:
    with terminal(engine, "bash", "--norc") as child:
        child.expect(r"\$ ")
        child.sendline("sleep 1000")
        box = engine.last().booted()
        before = box.supervisors()
        in_foreground(engine, "sleep")
        child.sendcontrol("c")
        child.expect(r"\$ ")
        child.sendline("echo still $((40 + 2))")
        child.expect("still 42")
        assert box.supervisors() == before
        slot = box.slot("slot-registrar")
        assert slot is not None
        assert slot.ready
        child.sendline("exit 0")
        assert ended(child) == 0


def test_ctrl_c_ends_a_program_that_does_not_catch_it(engine: Docker) -> None:
    with terminal(engine, "sh", "-c", "echo up; exec sleep 1000") as child:
        child.expect("up")
        child.sendcontrol("c")
        assert ended(child) == 130


def test_ctrl_c_is_the_programs_own_where_it_catches_it(engine: Docker) -> None:
    with terminal(
        engine, "sh", "-c", "trap 'echo caught; exit 9' INT; echo up; while :; do sleep 0.1; done"
    ) as child:
        child.expect("up")
        child.sendcontrol("c")
        child.expect("caught")
        assert ended(child) == 9


@pytest.mark.parametrize("command", [(), ("--tui",)], ids=["nothing", "--tui"])
def test_a_terminal_and_no_command_opens_the_text_interface(engine: Docker, command: tuple[str, ...]) -> None:
    with terminal(engine, *command) as child:
        child.expect("\x1b\\[\\?1049h", timeout=30)  # the alternate screen
        child.expect("default")
        child.setwinsize(45, 100)
        child.send("q")
        assert ended(child) == 0


def test_ctrl_c_or_q_leaves_the_text_interface_and_restores_the_terminal(engine: Docker) -> None:
    with terminal(engine) as child:
        child.expect("default", timeout=30)
        child.send("q")
        child.expect("\x1b\\[\\?1049l")
        assert ended(child) == 0


def test_a_gateway_is_started_and_a_process_attached_from_the_text_interface(engine: Docker) -> None:
    with terminal(engine, "--tui") as child:
        child.expect("\x1b\\[\\?1049h", timeout=30)  # what was said before is the boot's
        child.expect_exact("○ down")
        child.send("s")
        child.expect_exact("default is ready", timeout=30)
        started = engine.last().hermes("process", "start", "--pty", "--json", "--", "bash", "--norc").ok()
        child.send("2")
        child.expect_exact(json.loads(started)["session_id"])
        child.send("a")
        child.expect_exact("attached to")
        child.expect(r"\$ ")
        child.sendline("stty size; id -un")
        child.expect_exact(f"{ROWS} {COLUMNS}")
        child.expect_exact("hermes")
        child.setwinsize(40, 101)
        child.sendline("sleep 0.2; stty size")
        child.expect_exact("40 101")
        child.send("\x1d")
        child.expect_exact("detached from")
        child.send("4n")
        child.expect_exact("Say something")
        child.send("echo from $((40 + 2))\r")
        child.expect_exact("from 42")
        child.send("\x1b")
        child.expect_exact("began with")
        child.send("q")
        child.expect("\x1b\\[\\?1049l")
        assert ended(child) == 0


def test_docker_stop_ends_a_shell_on_a_terminal_at_once(engine: Docker) -> None:
    with terminal(engine, "bash", "--norc") as child:
        child.expect(r"\$ ")
        assert engine.last().stop() < 5
        child.expect(pexpect.EOF)
