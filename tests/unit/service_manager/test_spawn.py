"""Small programs: their output, their end, their deadline, and nothing of them left behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from hermes_cli.service_manager.spawn import run, run_all


def test_output_error_and_exit_code_come_back(tmp_path: Path) -> None:
    done = run(
        ["sh", "-c", "echo out; echo err >&2; read -r x || echo $WORD; exit 3"], environment={"WORD": "w"}
    )
    assert done == (3, "out\nw\n", "err\n")


def test_a_signal_is_a_negative_exit_code() -> None:
    assert run(["sh", "-c", "kill -9 $$"]).returncode == -9


def test_results_are_in_the_order_asked_for() -> None:
    assert [done.stdout for done in run_all([["echo", str(n)] for n in range(40)])] == [
        f"{n}\n" for n in range(40)
    ]


def test_many_run_side_by_side() -> None:
    began = time.monotonic()
    run_all([["sleep", "0.3"]] * 8)
    assert time.monotonic() - began < 1.5


def test_a_program_past_its_deadline_is_killed(tmp_path: Path) -> None:
    began = time.monotonic()
    done = run(["sh", "-c", f"echo $$ >{tmp_path}/pid; exec sleep 100"], timeout=0.3)
    assert time.monotonic() - began < 3
    assert (done.returncode, done.stderr) == (124, "no answer in time")
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_missing_or_broken_program_is_an_answer_not_an_exception(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF nonsense")
    broken.chmod(0o755)
    missing, refused, fine = run_all([["no-such-program-here"], [os.fspath(broken)], ["echo", "x"]])
    assert missing == (127, "", "no-such-program-here is not installed")
    assert refused.returncode in (126, 127)
    assert fine.stdout == "x\n"


def test_output_without_end_is_bounded() -> None:
    done = run(["sh", "-c", "yes | head -c 10000000"])
    assert done.returncode == 0
    assert len(done.stdout) < 100_000


def test_no_descriptor_is_left_open() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    run_all([["true"], ["no-such-program-here"], ["false"]])
    run(["sleep", "100"], timeout=0.05)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
