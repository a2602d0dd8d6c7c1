"""What is waited for is shown on a terminal alone, late, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from hermes_cli.cli.gateway import _left

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")

SCRIPT = """
import sys, time
from pathlib import Path
from hermes_cli.cli import progress
progress.PATIENCE = float(sys.argv[2])
with progress.waiting("starting coder", quiet="quiet" in sys.argv) as line:
    if "note" in sys.argv:
        time.sleep(0.5)
        line.note("a step that stays")
        line.say("starting writer")
    while not Path(sys.argv[1]).exists():
        time.sleep(0.01)
print("done")
"""


def arguments(go: Path, *words: str, patience: float = 0.1) -> list[str]:
    return ["-c", SCRIPT, str(go), str(patience), *words]


def spawn(go: Path, *words: str, patience: float = 0.1, term: str = "xterm") -> pexpect.spawn[str]:
    return pexpect.spawn(
        sys.executable,
        arguments(go, *words, patience=patience),
        env={**os.environ, "TERM": term},
        encoding="utf-8",
        timeout=30,
        dimensions=(24, 40),
    )


def test_it_says_what_and_for_how_long_and_goes(tmp_path: Path) -> None:
    go = tmp_path / "go"
    with spawn(go) as child:
        child.expect(r"[|/\\-] starting coder, 0 s")
        child.expect(r"[|/\\-] starting coder, 1 s")
        go.touch()
        child.expect("\r\x1b\\[Kdone")
        child.expect(pexpect.EOF)


def test_a_note_stays_and_the_progress_goes_on(tmp_path: Path) -> None:
    go = tmp_path / "go"
    with spawn(go, "note") as child:
        child.expect("starting coder")
        child.expect("\r\x1b\\[Ka step that stays\r\n")
        child.expect("starting writer")
        go.touch()
        child.expect("done")


def test_an_interrupt_clears_it(tmp_path: Path) -> None:
    with spawn(tmp_path / "go") as child:
        child.expect("starting coder")
        child.sendintr()
        child.expect("\r\x1b\\[KTraceback")  # of this test's script, on a line of its own


@pytest.mark.parametrize(
    ("words", "patience", "term"), [(["quiet"], 0.0, "xterm"), ([], 0.0, "dumb"), ([], 3600.0, "xterm")]
)
def test_nothing_is_shown_where_nobody_wants_it(
    tmp_path: Path, words: list[str], patience: float, term: str
) -> None:
    go = tmp_path / "go"
    go.touch()
    with spawn(go, *words, patience=patience, term=term) as child:
        child.expect(pexpect.EOF)
        assert str(child.before).strip() == "done"


def test_off_a_terminal_there_is_nothing(tmp_path: Path) -> None:
    go = tmp_path / "go"
    process = subprocess.Popen(
        [sys.executable, *arguments(go, "note", patience=0.0)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "a step that stays\n"
    go.touch()
    assert process.communicate(timeout=30) == ("done\n", "")


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (["a"], "starting a"),
        (["a", "b"], "starting a and 1 other"),
        (["a", "b", "c"], "starting a and 2 others"),
    ],
)
def test_of_many_it_says_how_many_are_left(left: list[str], said: str) -> None:
    assert _left("starting", left) == said
