"""`hermes process` on each environment of a profile: the same verbs, the same answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from hermes_cli.home import Home
from hermes_cli.processes.environments import open_environment
from tests.integration.processes.sandboxes import Sandbox

Run = Callable[..., subprocess.CompletedProcess[str]]
ROWS, COLUMNS = 31, 87


@pytest.fixture
def home(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A profile whose configuration names the sandbox."""
    made = Home.of(root=tmp_path)
    made.config.write_text(sandbox.configuration())
    monkeypatch.setenv("PATH", sandbox.path())
    yield made
    environment = open_environment(made)
    environment.kill_all(grace=0.0)
    environment.disconnect()


@pytest.fixture
def hermes(home: Home) -> Run:
    def run(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "hermes_cli.cli.main", "process", *words],
            env={"PATH": os.environ["PATH"], "HERMES_HOME": str(home.path), "PYTHONWARNINGS": "error"},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=30,
            **{"stdin": subprocess.DEVNULL} | options,
        )

    return run


def started(hermes: Run, *words: str) -> str:
    done = hermes("start", "--json", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return str(json.loads(done.stdout)["session_id"])


def test_a_process_goes_through_every_verb(hermes: Run, sandbox: Sandbox) -> None:
    one = started(hermes, "--session", "s", "--", "cat")
    listed = json.loads(hermes("list", "--json", "--session", "s").stdout)
    assert listed["environment"] == sandbox.name
    assert [row["session_id"] for row in listed["processes"]] == [one]
    assert hermes("list").stdout.startswith(f"environment: {sandbox.name} (")
    assert hermes("write", one, "a b").returncode == 0
    assert hermes("submit", one, " c").returncode == 0
    assert hermes("write", one, stdin=None, input="d\n").returncode == 0
    assert hermes("close", one).returncode == 0
    assert hermes("wait", "--exit-code", one).returncode == 0
    assert hermes("log", one).stdout == "a b c\nd\n"
    assert json.loads(hermes("poll", "--json", "--cursor", "6", one).stdout)["output"] == "d\n"
    asleep = started(hermes, "sleep 600")
    assert hermes("wait", "--timeout", "0", asleep).returncode == 124
    assert json.loads(hermes("kill", "--json", asleep).stdout)["status"] == "killed"
    assert hermes("poll", "proc_ffffffffffff").returncode == 1


def test_output_is_followed_told_apart_and_shown_raw(hermes: Run) -> None:
    done = hermes("start", "--wait", "printf '\\033[1mbold\\033[m\\n'; sleep 0.2; echo bad >&2; exit 3")
    assert (done.returncode, done.stdout) == (3, "bold\nbad\n")
    [one] = [row["session_id"] for row in json.loads(hermes("list", "--json").stdout)["processes"]]
    assert hermes("log", "--raw", one).stdout == "\x1b[1mbold\x1b[m\nbad\n"
    assert hermes("log", "--raw", "-f", one).stdout == "\x1b[1mbold\x1b[m\nbad\n"
    assert hermes("log", "--stream", "stderr", one).stdout == "bad\n"
    first, second = hermes("log", "--timestamps", one).stdout.splitlines()
    assert first.endswith("Z stdout   bold")
    assert second.endswith("Z stderr   bad")


def test_a_terminal_is_attached_left_and_attached_again(hermes: Run, home: Home) -> None:
    one = started(hermes, "--pty", "--env", "PS1=shell> ", "--", "sh")

    def attached() -> pexpect.spawn[str]:
        return pexpect.spawn(
            sys.executable,
            ["-m", "hermes_cli.cli.main", "process", "attach", one],
            env={"PATH": os.environ["PATH"], "HERMES_HOME": str(home.path), "TERM": "xterm"},
            dimensions=(ROWS, COLUMNS),
            timeout=10,
            encoding="utf-8",
        )

    child = attached()
    try:
        child.expect_exact("shell> ")
        child.sendline("stty size; printf '\\033[?1049h'; echo $((40 + 2)) said")
        child.expect_exact(f"{ROWS} {COLUMNS}")
        child.expect_exact("42 said")
        child.sendline("sleep 1000")
        child.send("\x03")
        child.sendline("echo back$((1))")
        child.expect_exact("back1")
        child.setwinsize(20, 60)
        child.send("\x1d")
        child.expect_exact("it goes on")
        child.expect(pexpect.EOF)
    finally:
        child.close(force=True)
    child = attached()
    try:
        child.expect_exact("\x1b[?1049h")
        child.expect_exact("42 said")
        child.sendline("exit 9")
        child.expect_exact("exited 9")
        child.expect(pexpect.EOF)
        child.wait()
        assert child.exitstatus == 9
    finally:
        child.close(force=True)


def test_another_environment_than_the_profiles_is_asked_for(hermes: Run, sandbox: Sandbox) -> None:
    one = started(hermes, "sleep 600")
    done = hermes("--environment", "local", "list", "--json")
    listed = json.loads(done.stdout)
    assert listed["environment"] == "local"
    assert [row["session_id"] for row in listed["processes"]] == ([one] if sandbox.name == "local" else [])
    assert hermes("--environment", sandbox.name, "poll", one).returncode == 0


@pytest.mark.only("local")
@pytest.mark.parametrize("name", ["docker", "ssh"])
def test_an_environment_that_is_not_configured_is_refused_in_one_sentence(hermes: Run, name: str) -> None:
    done = hermes("--environment", name, "list")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"terminal.{name}." in done.stderr
    assert done.stderr.count("\n") == 1
    refused = json.loads(hermes("--environment", name, "list", "--json").stdout)
    assert refused["code"] == "environment_not_configured"


@pytest.mark.only("docker", "ssh")
def test_a_directory_of_this_machine_is_replaced_or_refused(hermes: Run, sandbox: Sandbox) -> None:
    assert "pwd -P" not in hermes("start", "--wait", "--cwd", "/usr", "pwd").stdout
    assert hermes("start", "--wait", "--cwd", "/usr", "pwd").stdout == "/usr\n"
    done = hermes("start", "--cwd", "relative", "pwd")
    assert done.returncode == 1
    assert "relative" in done.stderr
