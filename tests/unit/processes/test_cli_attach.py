"""`hermes process attach` on a real terminal: what it shows and passes on, and how it gives it back."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from hermes_cli.faces.terminal import DetachKeys
from hermes_cli.home import Home
from hermes_cli.processes.modes import ModeTracker
from hermes_cli.processes.profile import registry_of
from hermes_cli.processes.registry import Registry
from hermes_cli.processes.types import StartRequest

ROWS, COLUMNS = 31, 87

READS_LINES = """
import signal, sys, time
signal.signal(signal.SIGINT, lambda *_: print('interrupted', flush=True))
print('ready', flush=True)
for line in sys.stdin:
    print('got', line.strip(), flush=True)
print('eof', flush=True)
print('complaint', file=sys.stderr, flush=True)
time.sleep(1000)
"""


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    home = Home.of(root=tmp_path)
    made: Registry = registry_of(home)
    yield made
    made.kill_all(grace=0)


@contextlib.contextmanager
def attached(root: Path, process_id: str, *words: str) -> Iterator[pexpect.spawn[str]]:
    child = pexpect.spawn(
        sys.executable,
        ["-m", "hermes_cli.cli.main", "process", "attach", *words, process_id],
        env={"PATH": os.environ["PATH"], "HERMES_HOME": str(root), "TERM": "xterm"},
        dimensions=(ROWS, COLUMNS),
        timeout=10,
        encoding="utf-8",
    )
    try:
        before = termios.tcgetattr(child.fileno())
        child.expect_exact("attached to")
        yield child
        if child.isalive():
            child.expect(pexpect.EOF)
        assert termios.tcgetattr(child.fileno()) == before
    finally:
        child.close(force=True)


def code(child: pexpect.spawn[str]) -> int | None:
    child.expect(pexpect.EOF)
    child.wait()
    return child.exitstatus


def shell(registry: Registry) -> str:
    request = StartRequest(argv=("sh",), pty=True, environment={"PS1": "shell> "})
    return registry.start(request).session_id


def test_the_process_has_this_terminals_size_and_hears_of_a_new_one(
    registry: Registry, tmp_path: Path
) -> None:
    one = shell(registry)
    with attached(tmp_path, one) as child:
        child.expect_exact("shell> ")
        child.sendline("stty size")
        child.expect_exact(f"{ROWS} {COLUMNS}")
        child.sendline("sh -c \"trap 'stty size' WINCH; echo armed; while :; do sleep 0.05; done\"")
        child.expect_exact("armed\r\n")
        child.setwinsize(20, 60)
        child.expect_exact("20 60")
        child.send("\x1d")
        child.expect_exact("it goes on")
        assert code(child) == 0
    assert registry.poll(one).status == "running"


def test_a_detached_process_is_there_again_with_what_it_showed(registry: Registry, tmp_path: Path) -> None:
    one = shell(registry)
    with attached(tmp_path, one) as child:
        child.expect_exact("shell> ")
        child.sendline("echo $((40 + 2)) said")
        child.expect_exact("42 said")
        child.send("\x1d")
        assert code(child) == 0
    with attached(tmp_path, one) as child:
        child.expect_exact("42 said")
        child.sendline("exit 9")
        child.expect_exact("exited 9")
        assert code(child) == 9


def test_a_full_screen_program_draws_again_and_leaves_no_trace(registry: Registry, tmp_path: Path) -> None:
    script = (
        "printf '\\033[?1049h\\033[?25l\\033[?1000h'; trap 'printf drawn' WINCH; while :; do sleep 0.05; done"
    )
    one = registry.start(StartRequest(command=script, pty=True, rows=ROWS, columns=COLUMNS)).session_id
    for _ in range(2):
        with attached(tmp_path, one) as child:
            child.expect_exact("\x1b[?1049h")
            child.expect_exact("drawn")
            child.send("\x1d")
            child.expect_exact("it goes on")
            restored = str(child.before)
            for sequence in ("\x1b[?25h", "\x1b[?1000l", "\x1b[?1049l"):
                assert sequence in restored


def test_ctrl_c_and_ctrl_z_are_the_processs_own(registry: Registry, tmp_path: Path) -> None:
    one = shell(registry)
    with attached(tmp_path, one) as child:
        child.expect_exact("shell> ")
        child.sendline("sh -c \"trap 'echo caught; exit' INT; echo up; while :; do sleep 0.05; done\"")
        child.expect_exact("up\r\n")
        child.sendcontrol("c")
        child.expect_exact("caught")
        child.send("\x1d")
        assert code(child) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_gives_the_terminal_back(registry: Registry, tmp_path: Path, number: signal.Signals) -> None:
    one = shell(registry)
    with attached(tmp_path, one) as child:
        child.expect_exact("shell> ")
        child.sendline("printf '\\033[?1049h'; echo in")
        child.expect_exact("in\r\n")
        child.kill(number)
        child.expect_exact("\x1b[?1049l")
        assert code(child) == 128 + number
    assert registry.poll(one).status == "running"


def test_a_lost_keeper_ends_the_attachment_with_a_word(registry: Registry, tmp_path: Path) -> None:
    one = shell(registry)
    with attached(tmp_path, one) as child:
        child.expect_exact("shell> ")
        keeper = registry.look(one).status.keeper
        assert keeper is not None
        os.kill(keeper.pid, signal.SIGKILL)
        child.expect_exact("lost")
        assert code(child) == 125


def test_a_process_that_does_not_read_can_be_left(registry: Registry, tmp_path: Path) -> None:
    one = registry.start(StartRequest(command="stty raw -echo; sleep 1000", pty=True)).session_id
    with attached(tmp_path, one) as child:
        for _ in range(40):
            child.send("x" * 1000)
        before = time.monotonic()
        child.send("\x1d")
        child.expect_exact("it goes on")
        assert time.monotonic() - before < 3


def test_a_process_with_pipes_has_lines(registry: Registry, tmp_path: Path) -> None:
    one = registry.start(StartRequest(argv=(sys.executable, "-c", READS_LINES))).session_id
    with attached(tmp_path, one) as child:
        child.expect_exact("ready")
        child.sendline("one two")
        child.expect_exact("got one two")
        child.sendcontrol("c")
        child.expect_exact("interrupted")
        child.sendcontrol("d")
        child.expect_exact("eof")
        child.expect_exact("complaint")
        child.send("\x1d")
        child.expect_exact("it goes on")
        assert code(child) == 0


def test_other_keys_can_detach(registry: Registry, tmp_path: Path) -> None:
    one = shell(registry)
    with attached(tmp_path, one, "--detach-keys", "ctrl-p,q") as child:
        child.expect_exact("shell> ")
        child.sendline("echo not \x1d yet")
        child.send("\x10q")
        child.expect_exact("it goes on")
        assert code(child) == 0


def test_a_process_that_has_ended_is_refused(registry: Registry, tmp_path: Path) -> None:
    one = registry.start(StartRequest(command="true", pty=True)).session_id
    registry.wait(one, 5)
    child = pexpect.spawn(
        sys.executable,
        ["-m", "hermes_cli.cli.main", "process", "attach", one],
        env={"PATH": os.environ["PATH"], "HERMES_HOME": str(tmp_path)},
        timeout=10,
        encoding="utf-8",
    )
    child.expect_exact("has ended (exited)")
    assert code(child) == 1
    child.close()


@pytest.mark.parametrize(
    ("given", "typed", "passed", "detached"),
    [
        ("ctrl-]", [b"ab\x1dcd"], b"ab", True),
        ("ctrl-p,ctrl-q", [b"a\x10", b"b\x10\x11"], b"a\x10b", True),
        ("ctrl-p,ctrl-q", [b"\x10\x10\x11"], b"\x10", True),
        ("a,a,b", [b"aaab"], b"a", True),
        ("a,b", [b"a"], b"", False),
        ("~", [b"x"], b"x", False),
    ],
)
def test_the_keys_that_detach_are_found_among_the_others(
    given: str, typed: list[bytes], passed: bytes, detached: bool
) -> None:
    keys = DetachKeys(given)
    found = [keys.feed(data) for data in typed]
    assert b"".join(data for data, _ in found) == passed
    assert found[-1][1] is detached


@pytest.mark.parametrize("given", ["", "ctrl-", "ctrl-1", "ab", "a,,b", "\x1b", "ä"])
def test_what_is_no_key_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="is no key"):
        DetachKeys(given)


def test_modes_are_remembered_however_they_are_cut() -> None:
    shown = b"text\x1b[?1049;25h\x1b[?25l more\x1b[?2004h\x1b=\x1b[?2004l\x1b[>1u"
    for cut in range(len(shown)):
        modes = ModeTracker()
        modes.feed(shown[:cut])
        modes.feed(shown[cut:])
        assert modes.undo() == b"\x1b[<u\x1b[?25h\x1b[?1049l\x1b>\x1b[m\x1b(B", cut
    assert ModeTracker().undo() == b""
