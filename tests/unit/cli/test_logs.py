"""`hermes logs` as typed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hermes_cli.home import Home
from hermes_cli.profiles import create_profile, seed_home

HERMES = [sys.executable, "-m", "hermes_cli.cli.main"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "home"
    seed_home(Home.of(root=root), 18642)
    create_profile("coder", root=root)
    return root


def write(root: Path, profile: str, at: float, text: str) -> None:
    directory = Home.of(profile, root).gateway_log
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "current").open("a") as log:
        log.write(time.strftime("%Y-%m-%d %H:%M:%S.123456789  ", time.localtime(at)) + text + "\n")


def environment(root: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HERMES_HOME": str(root), "TZ": "Asia/Tokyo"}


@pytest.fixture(autouse=True)
def tokyo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()


def hermes(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*HERMES, *words], env=environment(root), capture_output=True, text=True, timeout=60, check=False
    )


def test_lines_are_merged_and_have_their_profile_and_time(root: Path) -> None:
    write(root, "default", 1_000_000_001, "second \x1b[2J")
    write(root, "coder", 1_000_000_000, "first")
    done = hermes(root, "logs")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "coder   | 2001-09-09 10:46:40.123  first",
        "default | 2001-09-09 10:46:41.123  second ",
    ]


def test_as_json_each_line_is_an_object_with_its_time(root: Path) -> None:
    write(root, "coder", 1_000_000_000, "first")
    log = Home.of("coder", root).gateway_log / "current"
    log.write_text("no time\n" + log.read_text())
    found = [json.loads(line) for line in hermes(root, "logs", "--json").stdout.splitlines()]
    assert found == [
        {"profile": "coder", "time": None, "line": "no time"},
        {"profile": "coder", "time": "2001-09-09T10:46:40.123456+09:00", "line": "first"},
    ]


def test_profiles_are_chosen_by_name_or_by_p(root: Path) -> None:
    write(root, "default", 1_000_000_001, "second")
    write(root, "coder", 1_000_000_000, "first")
    for words in (["logs", "coder"], ["-p", "coder", "logs"]):
        assert [line.split()[-1] for line in hermes(root, *words).stdout.splitlines()] == ["first"]
    wrong = hermes(root, "logs", "codr")
    assert wrong.returncode == 1
    assert "did you mean 'coder'?" in wrong.stderr


def test_since_grep_and_lines(root: Path) -> None:
    now = time.time()
    write(root, "coder", now - 7200, "long ago: error 1")
    for number in range(150):
        write(root, "coder", now - 60, f"just now: error {number}" if number % 50 == 0 else "fine")
    assert len(hermes(root, "logs").stdout.splitlines()) == 100
    assert len(hermes(root, "logs", "-n", "5").stdout.splitlines()) == 5
    assert len(hermes(root, "logs", "--since", "1h").stdout.splitlines()) == 150
    assert len(hermes(root, "logs", "--grep", r"error \d").stdout.splitlines()) == 4
    assert len(hermes(root, "logs", "--grep", "error", "--since", "10m").stdout.splitlines()) == 3
    (last,) = hermes(root, "logs", "--grep", "error", "-n", "1").stdout.splitlines()
    assert last.endswith("just now: error 100")


@pytest.mark.parametrize(
    ("words", "said"), [(["--since", "later"], "is no time"), (["--grep", "("], "is no regular expression")]
)
def test_what_cannot_be_meant_is_wrong_usage(root: Path, words: list[str], said: str) -> None:
    done = hermes(root, "logs", *words)
    assert done.returncode == 2
    assert said in done.stderr


def test_following_ends_with_an_interrupt(root: Path) -> None:
    write(root, "default", 1_000_000_000, "first")
    process = subprocess.Popen(
        [*HERMES, "logs", "-f"],
        env=environment(root),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().endswith("first\n")
        write(root, "coder", 1_000_000_001, "second")
        assert process.stdout.readline() == "coder   | 2001-09-09 10:46:41.123  second\n"
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
        assert (process.returncode, stderr.strip()) == (130, "")
    finally:
        process.kill()
        process.communicate()
