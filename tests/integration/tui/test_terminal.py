"""The text interface on a real terminal: it opens, follows the size, and gives the terminal back."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pexpect
import pytest

from hermes_cli.gateway.process_api import StartBody
from hermes_cli.home import Home
from hermes_cli.processes.registry import Registry
from hermes_cli.tui.installation import PATIENCE
from tests.integration.gateway.harness import Gateway, Yard

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


def _open(
    home: Path,
    *arguments: str,
    size: tuple[int, int] = (24, 80),
    sign: str = "8702",
    variables: Mapping[str, str] = MappingProxyType({}),
) -> pexpect.spawn[str]:
    """On a terminal of its own; `sign` is on the screen then."""
    left_out = ("HERMES_", "NO_COLOR", "COLORTERM")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    # HOME as for a user without one: nothing may be cached there.
    environment = {**kept, "HERMES_HOME": str(home), "HOME": "/nonexistent", "TERM": "xterm-256color"}
    environment |= variables
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
    spawned.expect_exact(sign)
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


def _painted(terminal: pexpect.spawn[str]) -> str:
    """All that it has sent until its end."""
    seen = str(terminal.before) + str(terminal.after)
    terminal.send("q")
    return seen + _end(terminal)[2]


def _colours(painted: str) -> set[str]:
    """The parameters of SGR that are colours, by their kind: `16`, `256`, `rgb`."""
    found = set()
    for parameters in re.findall(r"\x1b\[([\d;]*)m", painted):
        numbers = [int(number or 0) for number in parameters.split(";")]
        for number, following in zip(numbers, [*numbers[1:], 0], strict=True):
            if number in (38, 48):
                found.add("rgb" if following == 2 else "256")
                break
            if 30 <= number <= 37 or 40 <= number <= 47 or 90 <= number <= 107:
                found.add("16")
    return found


@pytest.mark.parametrize(
    ("variables", "allowed"),
    [
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, {"rgb", "16"}),
        ({"TERM": "xterm-256color"}, {"256", "16"}),
        ({"TERM": "linux"}, {"16"}),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, set()),
        ({"TERM": "vt220", "NO_COLOR": "1"}, set()),
    ],
    ids=["truecolor", "256", "16", "no colour", "monochrome"],
)
def test_it_sends_no_colours_that_the_terminal_or_its_user_does_not_take(
    home: Path, variables: Mapping[str, str], allowed: set[str]
) -> None:
    terminal = _open(home, variables=variables)
    painted = _painted(terminal)
    assert _colours(painted) <= allowed
    assert bool(_colours(painted)) == bool(allowed)
    assert re.search(r"\x1b\[(?:\d+;)*7[;m]", painted) or allowed, (
        "what is chosen has to be told by reversing"
    )


@pytest.mark.parametrize("theme", ["light", "dark", "terminal"])
def test_the_theme_is_the_one_that_was_asked_for_and_shift_t_changes_it(home: Path, theme: str) -> None:
    terminal = _open(home, variables={"COLORTERM": "truecolor", "HERMES_THEME": theme})
    terminal.send("T")
    following = {"dark": "light", "light": "the terminal's own", "terminal": "dark"}[theme]
    terminal.expect_exact(f"the theme is {following}")
    assert _colours(_painted(terminal)) & {"rgb", "16"}


def test_the_mouse_opens_pages(terminal: pexpect.spawn[str]) -> None:
    terminal.send("\x1b[B\r")
    terminal.expect_exact("Config")
    column, row = 42, 2  # where the tab is
    terminal.send(f"\x1b[<0;{column};{row}M\x1b[<0;{column};{row}m")
    terminal.expect_exact("gateway.drain_timeout")


class TestOnAGateway:
    """A process of a real gateway is given the real terminal."""

    @pytest.fixture
    def gateway(self, yard: Yard) -> Iterator[Gateway]:
        home = yard.profile("coder")
        yield yard.start(home).ready()
        Registry(home.processes).kill_all(grace=0.2)

    @pytest.fixture
    def shell(self, gateway: Gateway) -> str:
        asked = StartBody(argv=["sh"], pty=True, env={"PS1": "shell> "})
        return gateway.client.processes.start(asked).session_id

    @pytest.fixture
    def terminal(self, yard: Yard, shell: str) -> Iterator[pexpect.spawn[str]]:
        spawned = _open(yard.root, "-p", "coder", "--tui", size=(31, 87), sign="● ready")
        spawned.send("2")
        spawned.expect_exact(shell)
        spawned.send("a")
        spawned.expect_exact("attached to")
        spawned.expect_exact("shell> ")
        yield spawned
        spawned.close(force=True)

    def test_it_has_the_terminal_and_gives_it_back(self, terminal: pexpect.spawn[str], shell: str) -> None:
        terminal.sendline("stty size")
        terminal.expect_exact("31 87")
        terminal.setwinsize(40, 121)
        terminal.sendline("sleep 0.2; stty size")
        terminal.expect_exact("40 121")
        terminal.send("\x1d")
        terminal.expect_exact(f"detached from {shell}")
        terminal.expect_exact("directory")  # a column that only a wide terminal has
        terminal.send("a")
        terminal.expect_exact("attached to")
        terminal.expect_exact("shell> ")
        terminal.sendline("exit 3")
        terminal.expect_exact("exited 3")
        terminal.send("q")
        code, _, rest = _end(terminal)
        assert code == 0
        assert ALTERNATE_SCREEN_OFF in rest
        assert CURSOR_ON in rest

    def test_sigterm_while_attached_ends_it_and_leaves_the_process(
        self, terminal: pexpect.spawn[str], gateway: Gateway, shell: str
    ) -> None:
        terminal.kill(signal.SIGTERM)
        assert _end(terminal)[0] == 143
        assert gateway.client.processes.poll(shell).status == "running"

    def test_sigterm_after_it_ends_the_interface_too(self, terminal: pexpect.spawn[str]) -> None:
        terminal.send("\x1d")
        terminal.expect_exact("detached from")
        terminal.kill(signal.SIGTERM)
        assert _end(terminal)[0] == 143

    def test_leaving_waits_for_no_gateway(self, terminal: pexpect.spawn[str], gateway: Gateway) -> None:
        terminal.send("\x1d")
        terminal.expect_exact("detached from")
        gateway.kill(signal.SIGSTOP)
        try:
            terminal.send("\r")
            terminal.expect_exact("does not answer in time")
            began = time.monotonic()
            terminal.send("q")
            assert _end(terminal)[0] == 0
            assert time.monotonic() - began < PATIENCE
        finally:
            gateway.kill(signal.SIGCONT)
