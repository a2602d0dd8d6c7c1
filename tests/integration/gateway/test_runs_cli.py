"""`hermes chat`, `run` and `session` as typed, on a real gateway and a real terminal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pexpect
import pytest

from hermes_cli.home import Home
from hermes_cli.processes.profile import registry_of

from .harness import Gateway, Yard, until

HERMES = [sys.executable, "-m", "hermes_cli.cli.main"]
FOREVER = "echo up; until [ -e go ]; do sleep 0.02; done; echo on; exit 6"


@pytest.fixture(autouse=True)
def no_process_left(yard: Yard) -> Iterator[None]:
    yield
    registry_of(Home.of(root=yard.root)).kill_all(grace=0)


@pytest.fixture
def gateway(yard: Yard) -> Gateway:
    return yard.start(yard.profile()).ready()


def environment(gateway: Gateway) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HERMES_HOME": str(gateway.home.root), "PYTHONWARNINGS": "error"}


def hermes(gateway: Gateway, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*HERMES, *words],
        env=environment(gateway),
        capture_output=True,
        text=True,
        timeout=30,
        **{"stdin": subprocess.DEVNULL} | options,
    )


def latest(gateway: Gateway) -> str:
    return gateway.client.runs.recent(limit=1)[0].run_id


@pytest.mark.parametrize(
    ("message", "said", "code"),
    [("echo hello", "hello\n", 0), ("echo bad; exit 4", "bad\n", 4), ("kill -9 $$", "", 137)],
)
def test_a_question_prints_its_answer_and_exits_with_the_outcome(
    gateway: Gateway, message: str, said: str, code: int
) -> None:
    done = hermes(gateway, "chat", "-q", message)
    assert (done.stdout, done.returncode) == (said, code), done.stderr
    assert latest(gateway) in done.stderr


def test_a_question_comes_from_stdin_and_answers_in_json(gateway: Gateway) -> None:
    done = hermes(gateway, "chat", "--json", "-q", "-", stdin=None, input="echo piped")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["type"] for event in events] == ["started", "delta", "completed"]
    assert (done.returncode, done.stderr) == (0, "")


def test_what_a_run_prints_does_nothing_to_the_terminal(gateway: Gateway) -> None:
    done = hermes(gateway, "chat", "-q", r"printf '\033]0;evil\007\033[2Jtext\r\nmore\n'")
    assert done.stdout == "text\nmore\n"


def test_a_deadline_that_is_over_is_exit_124(gateway: Gateway) -> None:
    done = hermes(gateway, "chat", "-q", "sleep 100", "--deadline", "0.5")
    assert done.returncode == 124
    assert "expired" in done.stderr


def test_control_c_asks_to_end(gateway: Gateway) -> None:
    asking = subprocess.Popen(
        [*HERMES, "chat", "-q", FOREVER], env=environment(gateway), stdout=-1, stderr=-1, text=True
    )
    assert asking.stdout is not None
    assert asking.stdout.readline() == "up\n"
    asking.send_signal(signal.SIGINT)
    _, said = asking.communicate(timeout=15)
    assert asking.returncode == 130
    assert "is asked to end" in said
    assert "cancelled" in said
    assert gateway.client.runs.get(latest(gateway)).status == "cancelled"


def test_control_c_twice_leaves_it_running_and_says_how_to_come_back(gateway: Gateway) -> None:
    stubborn = f"trap '' TERM; {FOREVER}"
    asking = subprocess.Popen(
        [*HERMES, "chat", "-q", stubborn], env=environment(gateway), stdout=-1, stderr=-1, text=True
    )
    assert asking.stdout is not None
    assert asking.stderr is not None
    assert asking.stdout.readline() == "up\n"
    asking.send_signal(signal.SIGINT)
    asking.stderr.readline()
    assert "asked to end" in asking.stderr.readline()
    asking.send_signal(signal.SIGINT)
    _, said = asking.communicate(timeout=15)
    assert asking.returncode == 130
    run_id = latest(gateway)
    assert f"'hermes run events -f {run_id}' comes back" in said
    (gateway.home.workspace / "go").touch()
    followed = hermes(gateway, "run", "events", "-f", run_id)
    assert "on\n" in followed.stdout


def test_leaving_what_is_followed_leaves_it_be(gateway: Gateway) -> None:
    assert hermes(gateway, "run", "start", FOREVER).returncode == 0
    run_id = latest(gateway)
    following = subprocess.Popen(
        [*HERMES, "run", "events", "-f", run_id[4:10]],
        env=environment(gateway),
        stdout=-1,
        stderr=-1,
        text=True,
    )
    assert following.stdout is not None
    assert following.stdout.readline() == "up\n"
    following.send_signal(signal.SIGINT)
    assert following.wait(15) == 130
    following.communicate()
    assert gateway.client.runs.get(run_id).status == "running"
    (gateway.home.workspace / "go").touch()
    assert hermes(gateway, "run", "events", "-f", run_id).returncode == 6
    assert hermes(gateway, "run", "events", "-f", run_id, "--cursor", f"{run_id}:4").returncode == 6


def test_every_command_on_runs_answers_people_and_programs(gateway: Gateway) -> None:
    started = json.loads(hermes(gateway, "run", "start", "--json", "--key", "k", "echo one").stdout)
    again = json.loads(hermes(gateway, "run", "start", "--json", "--key", "k", "echo one").stdout)
    run_id, session = started["run_id"], started["session_id"]
    assert again["run_id"] == run_id
    assert hermes(gateway, "run", "events", "-f", run_id).stdout == "one\n"
    assert json.loads(hermes(gateway, "run", "show", "--json", run_id).stdout)["status"] == "completed"
    assert run_id in hermes(gateway, "run", "list", "--status", "completed").stdout
    shown = hermes(gateway, "run", "events", run_id).stdout
    assert [line.split()[3] for line in shown.splitlines()] == ["started", "delta", "completed"]
    retried = hermes(gateway, "run", "retry", "-f", run_id)
    assert retried.stdout == "one\n"
    assert json.loads(hermes(gateway, "run", "show", "--json", latest(gateway)).stdout)["retry_of"] == run_id
    for words in (("cancel", run_id), ("approve", run_id), ("deny", run_id), ("show", "feed")):
        done = hermes(gateway, "run", *words)
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        refusal = json.loads(hermes(gateway, "run", *words, "--json").stdout)
        assert refusal["status"] in ("not-active", "error")
    assert session in hermes(gateway, "session", "list").stdout
    assert "echo one" in hermes(gateway, "session", "show", session[:12]).stdout
    exported = [
        json.loads(line) for line in hermes(gateway, "session", "export", session).stdout.splitlines()
    ]
    assert [line["type"] for line in exported] == ["message", "answer", "message", "answer"]
    kept = hermes(gateway, "session", "delete", session, stdin=None, input="n\n")
    assert kept.returncode == 1
    assert hermes(gateway, "session", "delete", "-y", session).returncode == 0
    assert json.loads(hermes(gateway, "run", "list", "--json").stdout) == {"runs": []}


def test_a_dangerous_run_is_allowed_from_elsewhere(gateway: Gateway) -> None:
    victim = gateway.home.path / "victim"
    victim.mkdir()
    asking = subprocess.Popen(
        [*HERMES, "chat", "-q", f"rm -rf {victim}"],
        env=environment(gateway), stdin=-3, stdout=-1, stderr=-1, text=True,
    )  # fmt: skip
    assert asking.stderr is not None
    asking.stderr.readline()
    said = asking.stderr.readline()
    run_id = latest(gateway)
    assert f"'hermes run approve {run_id}'" in said
    assert victim.exists()
    assert hermes(gateway, "run", "approve", run_id).returncode == 0
    asking.communicate(timeout=15)
    assert asking.returncode == 0
    assert not victim.exists()


def test_a_conversation_has_answers_approvals_and_history(gateway: Gateway) -> None:
    victim = gateway.home.path / "victim"
    victim.mkdir()

    def chat(*words: str) -> Any:
        return pexpect.spawn(
            HERMES[0], [*HERMES[1:], "chat", *words],
            env={**environment(gateway), "TERM": "dumb"}, encoding="utf-8", timeout=15, dimensions=(40, 200),
        )  # fmt: skip

    talk = chat()
    talk.expect("> ")
    talk.sendline("echo fir''st")
    talk.expect("first\r\n")
    talk.expect("> ")
    talk.sendline(f"rm -rf {victim}")
    talk.expect("Allow it")
    assert victim.exists()
    talk.sendline("n")
    talk.expect("not allowed")
    talk.expect("> ")
    talk.sendline(f"rm -rf {victim} && echo go''ne")
    talk.expect("Allow it")
    talk.sendline("y")
    talk.expect("gone\r\n")
    talk.expect("> ")
    talk.sendline("echo u''p; sleep 100")
    talk.expect("up\r\n")
    talk.sendintr()
    talk.expect("cancelled")
    talk.expect("> ")
    talk.sendeof()
    talk.expect(r"hermes chat --session (ses_\w+)")
    session = talk.match.group(1)
    talk.expect(pexpect.EOF)
    talk.close()
    assert talk.exitstatus == 0
    assert not victim.exists()
    assert gateway.client.runs.session(session).runs == 4
    history = gateway.home.path / ".chat_history"
    assert history.stat().st_mode & 0o777 == 0o600
    assert "echo fir''st" in history.read_text()
    talk = chat("--session", session)
    talk.expect("gone")
    talk.expect("ends an answer\r\n> ")
    talk.sendeof()
    talk.expect(pexpect.EOF)
    talk.close()


def test_a_question_goes_on_through_a_restart_of_the_gateway(yard: Yard, gateway: Gateway) -> None:
    asking = subprocess.Popen(
        [*HERMES, "chat", "-q", FOREVER], env=environment(gateway), stdout=-1, stderr=-1, text=True
    )
    assert asking.stdout is not None
    assert asking.stdout.readline() == "up\n"
    gateway.kill()
    gateway.ended()
    yard.start(gateway.home).ready()
    (gateway.home.workspace / "go").touch()
    out, _ = asking.communicate(timeout=20)
    assert (out, asking.returncode) == ("on\n", 6)
    until("one run", lambda: len(gateway.client.runs.recent()) == 1)
