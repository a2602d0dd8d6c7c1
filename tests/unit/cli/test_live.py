"""`--watch` on a real terminal and off one: it follows, it ends, it leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest

from hermes_cli.gateway.records import IntentRecord
from hermes_cli.home import Home, save
from hermes_cli.profiles import create_profile, seed_home

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")

HERMES = ["-m", "hermes_cli.cli.main"]
COMMANDS = [["status"], ["gateway", "list"], ["-p", "coder", "gateway", "status"]]
ENTERED, LEFT = "\x1b[?1049h", "\x1b[?1049l"
DEADLINE = 30


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "home"
    seed_home(Home.of(root=root), 18642)
    create_profile("coder", root=root)
    return root


def environment(root: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HERMES_HOME": str(root), "TERM": "xterm-256color", **more}


def want(root: Path, profile: str = "coder") -> None:
    save(Home.of(profile, root).intent, IntentRecord(intent="running", requested_at=1.0))


@contextmanager
def terminal(root: Path, *words: str, **more: str) -> Iterator[pexpect.spawn[str]]:
    child = pexpect.spawn(
        sys.executable,
        [*HERMES, *words],
        env=environment(root, **more),
        dimensions=(24, 80),
        encoding="utf-8",
        timeout=DEADLINE,
    )
    try:
        yield child
    finally:
        child.close(force=True)


def code_of(child: pexpect.spawn[str]) -> int:
    child.expect(pexpect.EOF)
    child.wait()
    return 128 + child.signalstatus if child.signalstatus is not None else int(child.exitstatus or 0)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_on_a_terminal_it_shows_what_changes_until_q(root: Path, words: list[str]) -> None:
    with terminal(root, *words, "--watch", "--interval", "0.1") as child:
        child.expect_exact(ENTERED)
        child.expect("○ down")
        want(root)
        child.expect("✕ down")
        child.send("q")
        child.expect_exact(LEFT)
        child.expect("✕ down")  # the last look stays on the screen it came from
        assert code_of(child) == 0


def test_interrupted_it_gives_the_terminal_back(root: Path) -> None:
    with terminal(root, "status", "--watch") as child:
        child.expect("○ down")
        child.sendintr()
        child.expect_exact(LEFT)
        child.expect(pexpect.EOF)
        assert "Traceback" not in str(child.before)
        child.wait()
        assert child.exitstatus == 130


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_ended_from_outside_it_gives_the_terminal_back(root: Path, number: signal.Signals) -> None:
    with terminal(root, "status", "--watch", "--interval", "60") as child:
        child.expect("○ down")
        child.kill(number)
        child.expect_exact(LEFT)
        assert code_of(child) == 128 + number


def test_it_follows_the_size_at_once(root: Path) -> None:
    with terminal(root, "status", "--watch", "--interval", "600") as child:
        child.expect("URL")
        child.setwinsize(24, 30)
        child.expect(r"GATEWAY +WANTED +ACTUAL\s*\x1b")
        child.setwinsize(4, 80)
        child.expect("make the window higher")
        child.send("q")
        assert code_of(child) == 0


def test_stopped_it_gives_the_screen_to_the_shell_and_takes_it_again(root: Path) -> None:
    with terminal(root, "status", "--watch", "--interval", "600") as child:
        child.expect("○ down")
        child.kill(signal.SIGTSTP)
        child.expect_exact(LEFT)
        child.kill(signal.SIGCONT)
        child.expect_exact(ENTERED)
        child.expect("○ down")
        child.send("q")
        assert code_of(child) == 0


@pytest.mark.parametrize("more", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
@pytest.mark.parametrize("words", [["status"], ["status", "--watch"]], ids=" ".join)
def test_without_colours_there_are_none(root: Path, more: dict[str, str], words: list[str]) -> None:
    want(root)
    with terminal(root, *words, **more) as child:
        child.expect("✕ down")
        child.send("q")
        child.expect(pexpect.EOF)
        assert not re.search(r"\x1b\[[0-9;]*m", str(child.before))


def test_on_a_terminal_there_are_colours(root: Path) -> None:
    want(root)
    with terminal(root, "status") as child:
        child.expect_exact("\x1b[31m✕ down\x1b[0m")
        assert code_of(child) == 0


@contextmanager
def piped(root: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, *HERMES, *words],
        env=environment(root),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_as_json_each_change_is_one_line(root: Path, words: list[str]) -> None:
    with piped(root, *words, "--watch", "--json", "--interval", "0.1") as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        want(root)
        second = json.loads(process.stdout.readline())
    for document, wanted in ((first, "down"), (second, "up")):
        rows = document.get("services") or document.get("gateways") or [document]
        (coder,) = [row for row in rows if row["profile"] == "coder"]
        assert (document["version"], coder["wanted"]) == (1, wanted)


def test_off_a_terminal_each_change_is_a_block_and_nothing_else_is(root: Path) -> None:
    with piped(root, "gateway", "list", "--watch", "--interval", "0.1") as process:
        assert process.stdout is not None
        blocks = [[process.stdout.readline() for _ in range(4)]]
        want(root)
        blocks.append([process.stdout.readline() for _ in range(5)])
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE) == 130
        assert process.stdout.read() == "", "nothing changed but the time"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}\n", blocks[0][0])
    assert blocks[1][0] == "\n"
    assert "○ down" in blocks[0][3]
    assert "✕ down" in blocks[1][4]


def test_a_reader_that_goes_ends_it(root: Path) -> None:
    with piped(root, "status", "--watch", "--json", "--interval", "0.1") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        want(root)
        assert process.wait(DEADLINE) == 1
        process.stdout = None
