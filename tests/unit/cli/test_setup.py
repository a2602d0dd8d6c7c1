"""`hermes setup` on a machine with nothing that keeps gateways up: questions, answers, interruptions."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pexpect
import pytest

from hermes_cli.config import ConfigError, inspect_config, load_config, load_env
from hermes_cli.doctor import diagnose
from hermes_cli.first_run import add_secret, program_of
from hermes_cli.home import Home
from hermes_cli.service_manager import detect_service_manager

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX"),
    pytest.mark.skipif(
        detect_service_manager() != "none", reason="tests/hosts and tests/docker have the others"
    ),
]

HERMES = ["-m", "hermes_cli.cli.main"]
QUESTIONS = [
    "Profile",
    "Agent",
    "Its command line",
    "Use the dashboard",
    "Its password",
    "Run the gateway here",
]


def environment(root: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HERMES_HOME": str(root), "HOME": str(root), "TERM": "xterm"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "home"


def hermes(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *HERMES, *words],
        env=environment(root),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def spawn(root: Path, *words: str) -> pexpect.spawn[str]:
    return pexpect.spawn(
        sys.executable,
        [*HERMES, *words],
        env=environment(root),
        encoding="utf-8",
        timeout=30,
        dimensions=(50, 120),
    )


def ended(child: pexpect.spawn[str]) -> int:
    child.expect(pexpect.EOF)
    child.wait()
    return int(child.exitstatus if child.exitstatus is not None else 128 + (child.signalstatus or 0))


def errors(root: Path) -> list[str]:
    return [one.message for one in diagnose(root).findings if one.status == "error"]


def test_enter_to_everything_makes_a_home_that_is_well(root: Path) -> None:
    with spawn(root, "setup") as child:
        for question in ("Profile", "Agent", "Use the dashboard"):
            child.expect(question)
            child.send("\r")
        child.expect("Gateway +down at http://127.0.0.1:8642")
        child.expect("Next:\r\n  hermes gateway run\r\n  hermes status\r\n  hermes\r\n")
        child.expect("Run the gateway here now")
        child.sendline("n")
        assert ended(child) == 0
    assert load_config(Home.of(root=root)).agent.kind == "shell"
    assert errors(root) == []


def test_the_answers_are_what_is_set(root: Path) -> None:
    with spawn(root, "setup") as child:
        child.expect("Profile")
        child.sendline("Not A Name!")
        child.expect("Error: ")
        child.expect("Profile")
        child.sendline("coder")
        child.expect("Agent")
        child.sendline("command")
        child.expect("Its command line")
        child.sendline("no-such-program --flag")
        child.expect("there is no program 'no-such-program' here")
        child.expect("Its command line")
        child.sendline("cat -n 'a b'")
        child.expect("Use the dashboard")
        child.sendline("y")
        child.expect("Its password")
        child.sendline('typed "\\ $ecret')
        child.expect("Run the gateway here now")
        assert "ecret" not in str(child.before)
        child.sendline("n")
        assert ended(child) == 0
    agent = load_config(Home.of("coder", root)).agent
    assert (agent.kind, agent.command) == ("command", "cat -n 'a b'")
    assert load_env(root / ".env")["HERMES_DASHBOARD_PASSWORD"] == 'typed "\\ $ecret'
    assert (root / ".env").stat().st_mode & 0o777 == 0o600
    assert errors(root) == []


def test_a_second_time_asks_less_and_changes_nothing(root: Path) -> None:
    options = ["-p", "coder", "setup", "--yes", "--dashboard", "--command", "cat"]
    first = hermes(root, *options)
    assert first.returncode == 0, first.stderr
    assert re.search(r"Password   \S{16} ", first.stdout)
    before = {
        path: path.read_bytes() for path in root.rglob("*") if path.is_file() and path.suffix != ".jsonl"
    }
    again = hermes(root, *options)
    assert "everything is as it was wanted already" in again.stdout
    assert "Password" not in again.stdout
    assert {path: path.read_bytes() for path in before} == before
    with spawn(root, "-p", "coder", "setup") as child:
        child.expect(r"Agent.*\[command\]")
        child.send("\r")
        child.expect(r"command line \[cat\]")
        child.send("\r")
        child.expect("already")
        child.expect("Run the gateway here now")
        child.sendline("n")
        assert ended(child) == 0


def test_it_ends_with_a_gateway_that_runs(root: Path) -> None:
    hermes(root, "setup", "--yes")
    (root / "config.yaml").write_text("gateway:\n  port: 18699\n")
    with spawn(root, "setup") as child:
        for question in ("Profile", "Agent", "Use the dashboard", "Run the gateway here now"):
            child.expect(question)
            child.send("\r")
        child.expect("ready at http://127.0.0.1:18699")
        child.sendintr()
        assert ended(child) == 0


@pytest.mark.parametrize("number", range(len(QUESTIONS)), ids=QUESTIONS)
def test_interrupted_at_any_question_all_is_valid_and_it_goes_on(root: Path, number: int) -> None:
    with spawn(root, "setup") as child:
        for question, answer in zip(QUESTIONS[:number], ["coder", "command", "cat", "y", ""], strict=False):
            child.expect(question)
            child.sendline(answer)
        child.expect(QUESTIONS[number])
        child.sendintr()
        assert ended(child) == 130
        assert "Traceback" not in str(child.before)
    if root.exists():
        assert errors(root) == []
    assert hermes(root, "-p", "coder", "setup", "--yes").returncode == 0
    assert errors(root) == []


@pytest.mark.parametrize("fraction", [0.2, 0.4, 0.6, 0.8, 0.95])
def test_killed_at_any_moment_the_next_try_completes_it(root: Path, fraction: float, tmp_path: Path) -> None:
    words = [sys.executable, *HERMES, "-p", "coder", "setup", "--yes", "--dashboard", "--command", "cat"]
    begin = time.monotonic()
    subprocess.run(words, env=environment(tmp_path / "other"), capture_output=True, check=True, timeout=60)
    process = subprocess.Popen(words, env=environment(root), stdout=subprocess.DEVNULL)
    try:
        process.wait((time.monotonic() - begin) * fraction)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    process.wait(60)
    done = hermes(root, "-p", "coder", "setup", "--json", "--dashboard", "--command", "cat")
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert (outcome["version"], outcome["agent"], outcome["problems"]) == (1, "command", [])
    assert load_env(root / ".env")["HERMES_DASHBOARD_PASSWORD"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--yes takes the defaults"),
        (["--yes", "--agent", "command"], "needs a command line"),
        (["--yes", "--command", "no-such-program"], "there is no program"),
        (["--yes", "--command", "'"], "cannot be read as a command line"),
        (["--yes", "--agent", "shell", "--command", "cat"], "--command is for --agent command"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(root: Path, words: list[str], said: str) -> None:
    done = hermes(root, "setup", *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert not root.exists()


@pytest.mark.parametrize("text", ["", "A=1", "A=1\n# the end\n"])
def test_a_secret_is_added_and_the_rest_stays(tmp_path: Path, text: str) -> None:
    path = tmp_path / ".env"
    path.write_text(text)
    add_secret(path, "B", "x\"y\\z$ '#")
    assert path.read_text().startswith(text)
    assert load_env(path)["B"] == "x\"y\\z$ '#"


def test_a_link_in_place_of_the_env_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("")
    (tmp_path / ".env").symlink_to("real")
    with pytest.raises(ConfigError, match="is a link"):
        add_secret(tmp_path / ".env", "B", "x")


def test_a_command_line_is_one_that_can_be_run() -> None:
    assert program_of("cat -n 'a b'") == "cat"
    assert inspect_config(Home.of(root=Path("/nonexistent"))).values["agent.kind"] == "shell"
