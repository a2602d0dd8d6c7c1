"""`status`, `doctor`, `main`, `chat` and `completion` as programs: output, exit codes, and what they load."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from hermes_cli.cli.watch import summary
from hermes_cli.gateway.records import IntentRecord
from hermes_cli.home import Home, save
from hermes_cli.profiles import create_profile, seed_home
from hermes_cli.status import ServiceReport, StatusReport


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "home"
    monkeypatch.setenv("HERMES_HOME", str(root))
    monkeypatch.delenv("HERMES_GATEWAY_TOKEN", raising=False)
    seed_home(Home.of(root=root), 18642)
    create_profile("coder", root=root)
    return root


def hermes(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hermes_cli.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, **(environment or {})},
        check=False,
    )


def loaded(arguments: Sequence[str]) -> set[str]:
    """The top-level modules that a command has imported by its end."""
    script = (
        "import sys; from hermes_cli.cli.main import run; run(sys.argv[1:]); "
        "print('\\n' + ' '.join({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=30, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("command", [["status"], ["status", "--healthy"], ["gateway", "status"]])
def test_a_profile_that_is_not_there_is_an_error_for_every_status(root: Path, command: list[str]) -> None:
    done = hermes("-p", "codr", *command)
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no profile 'codr'; did you mean 'coder'?" in done.stderr
    assert hermes("-p", "coder", "status").returncode == 0


@pytest.mark.parametrize(
    "arguments", [["status"], ["status", "--json"], ["status", "--healthy"], ["status", "--metrics"]]
)
def test_status_loads_nothing_heavy(root: Path, arguments: list[str]) -> None:
    heavy = {"rich", "textual", "docker", "starlette", "uvicorn", "ruamel", "yaml", "requests", "asyncio"}
    assert loaded(arguments) & heavy == set()


def test_healthy_says_nothing_and_exits_0_when_nothing_is_wanted(root: Path) -> None:
    done = hermes("status", "--healthy")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_healthy_prints_one_line_a_problem_and_exits_1(root: Path) -> None:
    for profile in ("default", "coder"):
        save(Home.of(profile, root).intent, IntentRecord(intent="running", requested_at=1.0))
    done = hermes("status", "--healthy")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "gateway-default: wanted up, but down",
        "gateway-coder: wanted up, but down",
    ]
    answer = json.loads(hermes("status", "--healthy", "--json").stdout)
    assert answer == {"healthy": False, "problems": done.stdout.splitlines()}


def test_plain_status_exits_0_whatever_it_shows(root: Path) -> None:
    save(Home.of("coder", root).intent, IntentRecord(intent="running", requested_at=1.0))
    done = hermes("status")
    assert done.returncode == 0
    assert "http://127.0.0.1:8642" in done.stdout
    [line] = [line for line in done.stdout.splitlines() if line.startswith("coder")]
    assert line.split()[1:4] == ["up", "✕", "down"]


def test_what_files_say_cannot_move_the_cursor(root: Path) -> None:
    Home.of("coder", root).config.write_text("gateway:\n  port: 1\n\x1b]0;x\x07evil: \x1b[2J\n")
    done = hermes("status")
    assert "\x1b" not in done.stdout


def test_doctor_exits_1_while_something_is_an_error_and_says_what_to_do(root: Path) -> None:
    Home.of("coder", root).env.chmod(0o644)
    done = hermes("doctor")
    assert done.returncode == 1
    assert "chmod 600" in done.stdout
    assert "'hermes doctor --fix' can mend 1 of them." in done.stdout
    fixed = hermes("doctor", "--fix", "--json")
    assert fixed.returncode == 0
    report = json.loads(fixed.stdout)
    assert report["ok"]
    assert [one["id"].split()[0] for one in report["findings"] if one["fixed"]] == ["modes"]
    assert hermes("doctor").returncode == 0


def test_an_answer_is_not_watched(root: Path) -> None:
    done = hermes("status", "--watch", "--healthy")
    assert done.returncode == 2


@pytest.mark.parametrize("words", [("chat", "-q", "hello"), ("run", "list"), ("session", "list")])
def test_without_a_gateway_one_sentence_says_how_to_start_it(root: Path, words: tuple[str, ...]) -> None:
    done = hermes("-p", "coder", *words)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        "hermes: the gateway of coder is not running; 'hermes -p coder gateway start' starts it\n"
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_needs_none_of_the_shells(root: Path, shell: str) -> None:
    done = hermes("completion", shell, environment={"PATH": "/nowhere"})
    assert done.returncode == 0
    assert f"_HERMES_COMPLETE={shell}_complete" in done.stdout


def test_profiles_are_completed(root: Path) -> None:
    environment = {"_HERMES_COMPLETE": "bash_complete", "COMP_WORDS": "hermes -p c", "COMP_CWORD": "2"}
    assert hermes(environment=environment).stdout == "plain,coder\n"


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
def test_main_prints_a_summary_then_events_and_ends_cleanly(root: Path) -> None:
    log = root / "logs" / "supervision.jsonl"
    old = '{"ts":"2026-11-21T06:23:52Z","profile":"old","event":"ready"}\n'
    log.write_text(old)
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "hermes_cli.cli.main", "main"],
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=[writing],
        env={**os.environ, "HERMES_NOTIFY_FD": str(writing)},
    )
    os.close(writing)
    assert process.stdout is not None
    with os.fdopen(reading, "rb") as notified, process.stdout as said:
        assert notified.read() == b"\n"  # and the end: the printer does not hold the descriptor
        with log.open("a") as file:
            file.write(old.replace("old", "new"))
        lines = [said.readline()]
        while "new: " not in lines[-1]:
            lines.append(said.readline())
        assert lines[0].startswith("Hermes ")
        assert any(line.startswith("  coder") for line in lines)
        assert any("no service manager" in line for line in lines)
        assert not any("old: " in line for line in lines)
        before = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=5) == 0
        assert time.monotonic() - before < 1


def test_the_summary_names_the_holder_of_the_volume_and_what_is_parked() -> None:
    report = StatusReport(
        healthy=False,
        problems=[],
        flavour="debian",
        supervisor="s6",
        volume_held="container 12ab",
        services=[
            ServiceReport(service="gateway-default", profile="default"),
            ServiceReport(
                service="gateway-a", profile="a", wanted="up", actual="parked", parked_reason="port taken"
            ),
        ],
    )
    text = "\n".join(summary(report))
    assert "a        parked: port taken" in text
    assert "held by container 12ab" in text
    assert "hermes -p a gateway logs" in text
    assert "gateway start" not in text, "it would be refused"
