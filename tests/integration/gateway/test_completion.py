"""Completion as it is typed, in real shells, with a real gateway behind it."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pexpect
import pytest

from hermes_cli.gateway.run_api import RunBody
from hermes_cli.home import Home
from hermes_cli.processes.profile import registry_of
from hermes_cli.processes.types import StartRequest

from .harness import Gateway, Yard, until

SHELLS = [
    pytest.param(
        name, marks=pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed here")
    )
    for name in ("bash", "zsh", "fish")
]


@pytest.fixture
def programs(tmp_path: Path) -> str:
    """PATH with `hermes` on it, as it is installed."""
    script = tmp_path / "bin" / "hermes"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m hermes_cli.cli.main "$@"\n')
    script.chmod(0o755)
    return f"{script.parent}:{os.environ['PATH']}"


@pytest.fixture
def environment(yard: Yard, programs: str, tmp_path: Path) -> dict[str, str]:
    home = tmp_path / "user"
    home.mkdir()
    return {
        "PATH": programs,
        "HERMES_HOME": str(yard.root),
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "XDG_DATA_HOME": str(home),
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
    }


@pytest.fixture
def gateway(yard: Yard) -> Iterator[Gateway]:
    yield yard.start(yard.profile()).ready()
    registry_of(Home.of(root=yard.root)).kill_all(grace=0)


def offered(shell: str, words: list[str], environment: dict[str, str]) -> list[str]:
    """What the shell offers for the last of `words`, by the script that `hermes completion` prints."""
    return {"bash": _in_bash, "zsh": _in_zsh, "fish": _in_fish}[shell](words, environment)


def _in_bash(words: list[str], environment: dict[str, str]) -> list[str]:
    script = rf"""
      eval "$(hermes completion bash)" || exit 9
      complete -p hermes >/dev/null || exit 9
      COMP_WORDS=({" ".join(map(repr, words))}); COMP_CWORD={len(words) - 1}
      $(complete -p hermes | sed 's/.*-F \([^ ]*\).*/\1/') hermes
      printf '%s\n' "${{COMPREPLY[@]}}"
    """
    return _run(["bash", "--norc", "--noprofile", "-c", script], environment)


def _in_fish(words: list[str], environment: dict[str, str]) -> list[str]:
    script = f"hermes completion fish | source; complete -C '{' '.join(words)}'"
    return [line.partition("\t")[0] for line in _run(["fish", "--no-config", "-c", script], environment)]


def _in_zsh(words: list[str], environment: dict[str, str]) -> list[str]:
    """zsh completes nowhere but in its line editor: the words are typed, and TAB."""
    child = pexpect.spawn(
        "zsh",
        ["-f", "-i"],
        env=environment | {"TERM": "dumb", "PS1": "> "},
        encoding="utf-8",
        timeout=40,
        dimensions=(50, 200),
    )
    try:
        child.sendline("autoload -Uz compinit && compinit -u -D; unsetopt prompt_sp; setopt no_auto_menu")
        child.sendline('eval "$(hermes completion zsh)"; zstyle ":completion:*" verbose no; echo rea""dy')
        child.expect("ready[\r\n]")
        # A command that prints its words stands for hermes when the line is run.
        child.sendline('alias -g END="; :"; preexec() { print -r -- "typed<$1>"; kill -9 $$ }')
        child.send(" ".join(words))
        child.send("\t")
        child.send("\r")
        child.expect("typed<(.*?)>[\r\n]")
        assert isinstance(child.match, re.Match)
        return [str(child.match.group(1)).split()[-1]]
    finally:
        child.close(force=True)


def _run(command: list[str], environment: dict[str, str]) -> list[str]:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize("shell", SHELLS)
def test_profiles_are_known(shell: str, yard: Yard, environment: dict[str, str]) -> None:
    yard.profile()
    yard.profile("coder")
    assert offered(shell, ["hermes", "-p", "cod"], environment) == ["coder"]
    assert offered(shell, ["hermes", "logs", "cod"], environment) == ["coder"]


@pytest.mark.parametrize("shell", SHELLS)
def test_commands_are_known(shell: str, environment: dict[str, str]) -> None:
    assert offered(shell, ["hermes", "stat"], environment) == ["status"]
    assert offered(shell, ["hermes", "status", "--wat"], environment) == ["--watch"]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("shell", SHELLS)
def test_processes_runs_and_sessions_are_known(
    shell: str, gateway: Gateway, environment: dict[str, str]
) -> None:
    process: str = registry_of(gateway.home).start(StartRequest(command="sleep 1000")).session_id
    run = gateway.client.runs.start(RunBody(message="echo 'a: \x1b[2J b'"))
    for words, known in (
        (["hermes", "process", "kill", process[:6]], process),
        (["hermes", "run", "cancel", run.run_id[:6]], run.run_id),
        (["hermes", "run", "cancel", run.run_id.removeprefix("run_")[:6]], run.run_id.removeprefix("run_")),
        (["hermes", "session", "show", run.session_id[:6]], run.session_id),
    ):
        # On a busy machine the gateway may take longer than a key pressed for a completion waits.
        until(f"{known} is offered", partial(_is_offered, known, shell, words, environment), within=60)


def _is_offered(known: str, shell: str, words: list[str], environment: dict[str, str]) -> bool:
    return offered(shell, words, environment) == [known]


def test_without_a_gateway_nothing_is_offered(yard: Yard, environment: dict[str, str]) -> None:
    yard.profile()
    assert offered("bash", ["hermes", "run", "show", ""], environment) == []


def test_a_gateway_that_drips_is_not_waited_for(yard: Yard, environment: dict[str, str]) -> None:
    """It always says something in time, and never comes to an end: only the whole can have a deadline."""
    home = yard.profile()
    home.socket.parent.mkdir(exist_ok=True)
    ended = threading.Event()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home.socket))
        listener.listen()

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1 << 16)
                try:
                    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
                    while not ended.wait(0.05):
                        connection.sendall(b" ")
                except OSError:
                    return

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        assert offered("bash", ["hermes", "run", "show", ""], environment) == []
        ended.set()
        thread.join(20)
