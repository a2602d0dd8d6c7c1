"""The text interface on a real terminal: it opens, follows the size, and gives the terminal back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from hermes_cli.home import Home

DEADLINE = 20
ALTERNATE_SCREEN_OFF = "\x1b[?1049l"
CURSOR_ON = "\x1b[?25h"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for profile, port in (("coder", 8701), ("writer", 8702)):
        made = Home.of(profile, tmp_path)
        made.path.mkdir(parents=True)
        made.config.write_text(f"gateway:\n  port: {port}\n")
    log = Home.of("coder", tmp_path).gateway_log
    log.mkdir(parents=True)
    (log / "current").write_text("coder was here \x1b[2J\x1b]0;hijacked\x07\n" + "w" * 110 + "WIDE\n")
    return tmp_path


@pytest.fixture
def terminal(home: Path) -> Iterator[pexpect.spawn[str]]:
    spawned = _open(home)
    yield spawned
    spawned.close(force=True)


def _open(home: Path, *arguments: str, size: tuple[int, int] = (24, 80)) -> pexpect.spawn[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HERMES_")}
    # HOME as for a user without one: nothing may be cached there.
    environment = {**kept, "HERMES_HOME": str(home), "HOME": "/nonexistent", "TERM": "xterm-256color"}
    environment |= {
        "COLUMNS": "80",
        "LINES": "24",
    }  # docker exec -e COLUMNS=… is common; the terminal knows better
    spawned = pexpect.spawn(
        sys.executable,
        ["-m", "hermes_cli.cli.main", *arguments],
        env=environment,
        dimensions=size,
        encoding="utf-8",
        timeout=DEADLINE,
    )
    spawned.expect("8702")
    return spawned


def _end(terminal: pexpect.spawn[str]) -> tuple[int | None, int | None, str]:
    terminal.expect(pexpect.EOF)
    rest = str(terminal.before)
    terminal.close()
    return terminal.exitstatus, terminal.signalstatus, rest


@pytest.mark.parametrize("key", ["q", "\x03"])
def test_q_and_interrupt_leave_with_0_and_give_the_terminal_back(
    terminal: pexpect.spawn[str], key: str
) -> None:
    terminal.send(key)
    code, by_signal, rest = _end(terminal)
    assert (code, by_signal) == (0, None)
    assert ALTERNATE_SCREEN_OFF in rest
    assert CURSOR_ON in rest
    assert "Traceback" not in rest


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 0)])
def test_a_signal_gives_the_terminal_back_too(terminal: pexpect.spawn[str], number: int, code: int) -> None:
    terminal.kill(number)
    ended, _, rest = _end(terminal)
    assert ended == code
    assert ALTERNATE_SCREEN_OFF in rest


def test_it_follows_the_size_of_the_terminal(terminal: pexpect.spawn[str]) -> None:
    terminal.send("\x1b[B")
    terminal.expect("coder was here")
    # In 80 columns the long line is in two pieces; in 150 it is whole.
    terminal.setwinsize(40, 150)
    terminal.expect("w{110}WIDE")


def test_what_others_wrote_does_not_reach_the_terminal_as_commands(terminal: pexpect.spawn[str]) -> None:
    terminal.send("\x1b[B")
    terminal.expect("coder was here")
    seen = str(terminal.before) + str(terminal.after)
    terminal.send("q")
    seen += _end(terminal)[2]
    assert "hijacked" not in seen
    assert "\x1b]0;" not in seen
    assert "\x1b[2J" not in seen.split("coder was here")[1]


def test_the_profile_that_was_asked_for_is_chosen_first(home: Path) -> None:
    terminal = _open(home, "-p", "coder", "--tui")
    terminal.expect("log of coder")
    terminal.close(force=True)


def test_a_key_that_cannot_work_here_says_what_to_do(terminal: pexpect.spawn[str]) -> None:
    terminal.send("s")
    terminal.expect("no service manager that Hermes can drive")


def test_without_a_terminal_it_says_what_works_instead(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hermes_cli.cli.main", "--tui"],
        env={**os.environ, "HERMES_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert "hermes status" in done.stderr
    assert done.stderr.count("\n") == 1


def test_it_writes_nothing_into_the_home(home: Path) -> None:
    before = sorted(path for path in home.rglob("*"))
    began = time.time()
    terminal = _open(home)
    terminal.send("q")
    assert _end(terminal)[0] == 0
    assert sorted(path for path in home.rglob("*")) == before
    assert all(path.stat().st_mtime < began for path in before)
