"""`hermes process …` as typed, on real processes: what it prints, what it exits with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hermes_cli.home import Home
from hermes_cli.processes.profile import registry_of
from hermes_cli.processes.registry import Registry
from hermes_cli.processes.types import StartRequest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home.of(root=tmp_path / "root")
    made.path.mkdir()
    yield made
    registry_of(made).kill_all(grace=0)


@pytest.fixture
def hermes(home: Home) -> Run:
    """Run `hermes process …`; what it wrote is text with bytes that are no UTF-8 replaced."""

    def run(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "hermes_cli.cli.main", "process", *words],
            env={"PATH": os.environ["PATH"], "HERMES_HOME": str(home.path), "PYTHONWARNINGS": "error"}
            | options.pop("env", {}),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=30,
            **{"stdin": subprocess.DEVNULL} | options,
        )

    return run


def started(hermes: Run, *words: str) -> str:
    done = hermes("start", "--json", *words)
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["session_id"])


def answer(done: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(done.stdout)


def test_a_process_goes_through_every_verb(hermes: Run) -> None:
    one = started(hermes, "--session", "s", "--", "cat")
    short = one.removeprefix("proc_")[:8]
    (row,) = answer(hermes("list", "--json", "--session", "s"))["processes"]
    wanted = {
        "session_id",
        "command",
        "cwd",
        "pid",
        "started_at",
        "uptime_seconds",
        "status",
        "output_preview",
    }
    assert wanted <= row.keys()
    assert answer(hermes("list", "--json", "--task", "t")) == {"environment": "local", "processes": []}
    assert answer(hermes("write", "--json", short, "a b"))["bytes_written"] == 3
    assert hermes("write", short, stdin=None, input=" c").returncode == 0
    assert answer(hermes("submit", "--json", short, " d"))["status"] == "ok"
    assert answer(hermes("close", "--json", short))["status"] == "closed"
    waited = answer(hermes("wait", "--json", short))
    assert (waited["status"], waited["exit_code"], waited["output"]) == ("exited", 0, "a b c d\n")
    polled = answer(hermes("poll", "--json", short, "--cursor", "4"))
    assert (polled["output"], polled["cursor"]) == ("c d\n", 8)
    assert answer(hermes("log", "--json", short))["showing"] == "lines 1-1 of 1"
    assert hermes("log", short).stdout == "a b c d\n"


def test_wait_exits_as_the_command_did_where_that_is_asked_for(hermes: Run) -> None:
    one = started(hermes, "exit 7")
    assert hermes("wait", one).returncode == 0
    assert hermes("wait", "--exit-code", one).returncode == 7


def test_wait_says_that_it_gave_up(hermes: Run) -> None:
    one = started(hermes, "sleep 1000")
    done = hermes("wait", "--json", "--timeout", "0.1", "-x", one)
    assert done.returncode == 124
    assert answer(done)["status"] == "timeout"
    assert "goes on" in answer(done)["timeout_note"]
    clamped = hermes("wait", "--timeout", "900", one, env={"TERMINAL_TIMEOUT": "0.1"})
    assert clamped.returncode == 124
    assert "TERMINAL_TIMEOUT is the limit" in clamped.stderr


def test_start_and_wait_is_as_running_it_here(hermes: Run) -> None:
    done = hermes("start", "--wait", "--", "sh", "-c", "echo out; exit 5")
    assert (done.returncode, done.stdout) == (5, "out\n")
    assert hermes("start", "--wait", "true").stderr == ""


def test_an_interrupted_command_leaves_its_process_be(hermes: Run, home: Home) -> None:
    watched = subprocess.Popen(
        [sys.executable, "-m", "hermes_cli.cli.main", "process", "start", "--wait", "echo up; sleep 1000"],
        env={"PATH": os.environ["PATH"], "HERMES_HOME": str(home.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watched.stdout is not None
    assert watched.stdout.readline() == "up\n"
    watched.send_signal(signal.SIGINT)
    _, said = watched.communicate(timeout=10)
    assert watched.returncode == 130
    assert "goes on" in said
    (row,) = answer(hermes("list", "--json", "--running"))["processes"]
    assert row["output_preview"] == "up\n"


def test_a_followed_log_ends_with_its_process(hermes: Run) -> None:
    one = started(hermes, "for i in 1 2 3 4; do echo $i; sleep 0.1; done; printf unended; exit 2")
    assert hermes("log", "-f", "-n", "10", one).stdout == "1\n2\n3\n4\nunended\n"
    lines = [json.loads(line) for line in hermes("log", "-f", "-n", "2", "--json", one).stdout.splitlines()]
    assert "".join(line.get("output", "") for line in lines) == "4\nunended"
    assert (lines[-1]["status"], lines[-1]["exit_code"]) == ("exited", 2)


def test_a_follower_sleeps_while_nothing_comes(hermes: Run, home: Home) -> None:
    one = started(hermes, "printf '\\033[3'; sleep 2; echo 1mend")
    before = os.times()
    assert hermes("log", "-f", one).stdout == "end\n"
    used = os.times()
    spent = used.children_user + used.children_system - before.children_user - before.children_system
    assert spent < 1


def test_streams_are_told_apart(hermes: Run) -> None:
    one = started(hermes, "echo to out; echo to err >&2; printf 'half '; sleep 0.1; echo more >&2; echo line")
    hermes("wait", one)
    assert hermes("log", "--stream", "stderr", one).stdout == "to err\nmore\n"
    stamped = hermes("log", "--timestamps", one).stdout.splitlines()
    assert sorted(line.split(" ", 1)[1].split(None, 1)[1] for line in stamped) == [
        "half line",
        "more",
        "to err",
        "to out",
    ]
    assert all(line[10] == "T" and line[23] == "Z" for line in stamped)
    followed = hermes("log", "-f", "--stream", "stdout", "--json", one).stdout.splitlines()
    assert [json.loads(line)["text"] for line in followed] == ["to out", "half line"]
    page = answer(hermes("log", "--stream", "stdout", "--offset", "1", "--limit", "1", "--json", one))
    assert [line["text"] for line in page["lines"]] == ["half line"]
    assert page["total_lines"] == 2


def test_a_secret_is_masked_in_lines_with_a_time_too(hermes: Run) -> None:
    kind = "RSA PRIVATE KEY-----"
    key = f"-----BEGIN {kind}\nMIIEpAIBAAKCAQEA1234567890abcdefghijklmnop\n-----END {kind}"
    one = started(hermes, "--env", f"KEY_TEXT={key}", 'echo before; printf "%s\\n" "$KEY_TEXT"; echo after')
    hermes("wait", one)
    for words in (("-t",), ("-t", "-f"), ("--stream", "stdout"), ()):
        shown = hermes("log", *words, one).stdout
        assert "MIIEp" not in shown
        assert "before" in shown
        assert "after" in shown
    assert "MIIEp" in hermes("log", "--raw", one).stdout


def test_hostile_output_does_nothing_to_the_terminal(hermes: Run, home: Home) -> None:
    evil = r"\033[31mred\033]0;title\007\033[2J \302\233 \342\200\256 bell\007 over\rwritten \377\n"
    one = started(hermes, f"printf '{evil}'")
    hermes("wait", one)
    for words in (
        ("log", one),
        ("log", "-f", one),
        ("log", "-t", one),
        ("poll", one),
        ("wait", one),
        ("list",),
    ):
        done = hermes(*words)
        for character in done.stdout + done.stderr:
            assert character in "\n\t" or character.isprintable(), (words, ascii(character))
    assert "\x1b[31m" in hermes("log", "--raw", one).stdout


def test_a_command_of_strange_bytes_can_be_listed(home: Home, hermes: Run) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hermes_cli.cli.main", "process", "start", "--", "echo", b"\xff\x1b[31m"],
        env={"PATH": os.environ["PATH"], "HERMES_HOME": str(home.path)},
        capture_output=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    assert "\N{REPLACEMENT CHARACTER}" in answer(hermes("list", "--json"))["processes"][0]["command"]
    assert "\x1b" not in hermes("list").stdout


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("poll", "nope"), 1, "no process 'nope'"),
        (("kill", "dead"), 1, "no process 'dead'"),
        (("start",), 2, "behind --"),
        (("start", "ls", "/"), 2, "put -- before"),
        (("start", "ls", "--", "ls"), 2, "give one line"),
        (("start", "--"), 1, "the command is empty"),
        (("start", " "), 1, "the command is empty"),
        (("start", "--", "/no/such/program"), 1, "no program"),
        (("start", "--cwd", "/no/such/place", "ls"), 1, "does not exist"),
        (("start", "--env", "NOWHERE_SET", "ls"), 2, "is not set here"),
        (("start", "--env", "=x", "ls"), 2, "names no variable"),
        (("start", "--cap", "much", "ls"), 2, "no size"),
        (("start", "--watch", "re:(", "ls"), 1, "cannot be used"),
        (("log", "--raw", "-t", "dead"), 2, "--raw shows bytes"),
        (("log", "-f", "--offset", "1", "dead"), 2, "without --offset"),
        (("attach", "dead"), 2, "needs a terminal"),
        (("attach", "--detach-keys", "ctrl-1", "dead"), 2, "is no key"),
    ],
)
def test_what_is_wrong_is_a_sentence(hermes: Run, words: tuple[str, ...], code: int, says: str) -> None:
    done = hermes(*words)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_refusal_has_a_status_and_a_code_in_json(hermes: Run) -> None:
    done = hermes("kill", "--json", "dead")
    assert done.returncode == 1
    assert {key: answer(done)[key] for key in ("session_id", "status", "code")} == {
        "session_id": "dead",
        "status": "not_found",
        "code": "not_found",
    }
    assert answer(hermes("start", "--json", "--", "/no"))["status"] == "error"
    one = started(hermes, "true")
    hermes("wait", one)
    assert answer(hermes("write", "--json", one, "x"))["code"] == "not_running"


def test_start_runs_where_it_was_typed_with_what_it_was_given(hermes: Run, tmp_path: Path) -> None:
    given = {"GIVEN": "here", "MY_TOKEN": "hidden-value-of-a-token"}
    script = "pwd; echo $A $GIVEN; echo ${MY_TOKEN:-none}"
    words = ("start", "--wait", "--env", "A=b=c", "--env", "GIVEN")
    done = hermes(*words, script, env=given, cwd=tmp_path)
    assert done.stdout.splitlines() == [str(tmp_path), "b=c here", "none"]
    done = hermes(*words, "--pass", "MY_TOKEN", "--cwd", "/", script, env=given)
    assert done.stdout.splitlines() == ["/", "b=c here", "[redacted]"]


def test_both_notifications_are_one_with_a_warning(hermes: Run) -> None:
    done = hermes("start", "--notify", "--watch", "x", "--json", "true")
    assert done.returncode == 0
    assert answer(done)["warnings"]
    assert "warning" in done.stderr


def test_an_id_is_completed_with_and_without_its_prefix(hermes: Run, home: Home) -> None:
    one = started(hermes, "true")
    for typed in (one[:8], one[5:9], "pro"):
        done = subprocess.run(
            [sys.executable, "-m", "hermes_cli.cli.main"],
            env={
                "PATH": os.environ["PATH"],
                "HERMES_HOME": str(home.path),
                "_HERMES_COMPLETE": "bash_complete",
                "COMP_WORDS": f"hermes process poll {typed}",
                "COMP_CWORD": "3",
            },
            capture_output=True,
            text=True,
            timeout=30,
        )
        expected = one if typed.startswith("p") else one.removeprefix("proc_")
        assert done.stdout.strip() == f"plain,{expected}"


def test_listing_twenty_processes_is_quick(hermes: Run, home: Home) -> None:
    registry: Registry = registry_of(home)
    for _ in range(20):
        registry.start(StartRequest(command="true"))
    before = time.monotonic()
    assert len(answer(hermes("list", "--json"))["processes"]) == 20
    assert time.monotonic() - before < 2
