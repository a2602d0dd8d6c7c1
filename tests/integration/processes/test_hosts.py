"""What only a host reached by ssh does: refuse a key, be another one, be away, say more than was asked."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hermes_cli.processes.environments import Environment
from hermes_cli.processes.errors import EnvironmentUnusableError
from hermes_cli.processes.types import StartRequest
from tests.integration.processes.sandboxes import SSHD, SshSandbox, wait_for

pytestmark = pytest.mark.skipif(
    SSHD is None, reason="no sshd on this machine (Debian: apt-get install openssh-server)"
)

Host = Callable[..., SshSandbox]


def start(environment: Environment, command: str, **options: Any) -> str:
    return environment.start(StartRequest(command=command, **options)).session_id


def refusal(environment: Environment) -> EnvironmentUnusableError:
    with pytest.raises(EnvironmentUnusableError) as refused:
        environment.list()
    return refused.value


@pytest.fixture
def host() -> Iterator[Host]:
    """Makes sshds, each with keys and directories of its own."""
    made: list[SshSandbox] = []

    def new(*lines: str) -> SshSandbox:
        made.append(SshSandbox(Path(tempfile.mkdtemp(prefix="hermes-")), *lines))
        return made[-1]

    yield new
    for one in made:
        one.close()
        shutil.rmtree(one.directory, ignore_errors=True)


def test_a_host_whose_key_nobody_knows_is_refused(host: Host) -> None:
    there = host()
    (there.directory / "known_hosts").write_text("")
    refused = refusal(there.environment("p"))
    assert refused.cause == "host_key"
    assert "known_hosts" in str(refused)
    assert (there.directory / "known_hosts").read_text() == ""


def test_a_host_with_another_key_than_the_known_one_is_refused(host: Host) -> None:
    there = host()
    other = (there.directory / "other.pub").read_text()
    (there.directory / "known_hosts").write_text(f"[127.0.0.1]:{there.port} {other}")
    assert refusal(there.environment("p")).cause == "host_key"


def test_a_key_that_the_host_does_not_take_is_named(host: Host) -> None:
    there = host()
    other = str(there.directory / "other")
    refused = refusal(there.environment("p", target={"identity_file": other}))
    assert refused.cause == "auth"
    assert "terminal.ssh.identity_file" in str(refused)


def test_a_host_that_is_away_is_said_and_used_again_when_it_is_back(host: Host) -> None:
    there = host()
    environment = there.environment("p", target={"control_directory": None})
    session_id = start(environment, "read line; echo got $line")
    port = there.port
    there.stop()
    # Its sessions outlive sshd: end this one as a broken network would, without a word.
    environment.disconnect()
    refused = refusal(environment)
    assert (refused.cause, "127.0.0.1" in str(refused)) == ("unreachable", True)
    there.port = port
    assert there._started()
    environment.submit(session_id, "it")
    assert environment.wait(session_id, 20).output == "got it\n"
    environment.disconnect()


def test_a_host_without_a_name_is_said(host: Host) -> None:
    there = host()
    refused = refusal(there.environment("p", target={"host": "no-such-host.invalid"}))
    assert refused.cause == "unreachable"


def test_a_host_that_never_answers_costs_no_more_than_the_time_to_connect(host: Host) -> None:
    there = host()
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        environment = there.environment("p", target={"port": port, "connect_timeout": 1})
        began = time.monotonic()
        assert refusal(environment).cause == "unreachable"
    assert time.monotonic() - began < 5


def test_many_who_ask_while_it_is_away_wait_for_one_attempt(host: Host) -> None:
    there = host()
    there.stop()
    environment = there.environment("p", target={"host": "127.0.0.1"})
    attempts = []
    opened = environment._channel._open

    def counting() -> Any:
        attempts.append(1)
        time.sleep(0.5)
        return opened()

    environment._channel._open = counting
    threads = [threading.Thread(target=refusal, args=(environment,)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(attempts) <= 2


def test_what_a_login_says_of_its_own_is_passed_over(host: Host) -> None:
    noise = (
        "echo welcome; echo 'hermes is up'; head -c 100000 /dev/zero | tr '\\\\0' x; echo; echo warning >&2"
    )
    there = host(f'ForceCommand {noise}; eval "$SSH_ORIGINAL_COMMAND"')
    environment = there.environment("p")
    assert environment.wait(start(environment, "echo fine"), 20).output == "fine\n"
    environment.disconnect()


def test_a_login_that_runs_nothing_is_said_with_its_words(host: Host) -> None:
    there = host("ForceCommand echo 'This account is closed.' >&2; exit 1")
    refused = refusal(there.environment("p"))
    assert "This account is closed." in str(refused)


def test_processes_outlive_the_connection_that_started_them(host: Host) -> None:
    there = host()
    environment = there.environment("p")
    session_id = start(environment, "trap 'echo hung up' HUP; read line; echo $line")
    control = list((there.directory / "c").glob("*"))
    assert control, "the connection is kept for the next command"
    subprocess.run(
        ["ssh", "-o", f"ControlPath={control[0]}", "-O", "exit", "127.0.0.1"],
        capture_output=True,
        check=True,
    )
    environment.poll(session_id)  # by a connection of its own again: input is not sent twice, a look is
    environment.submit(session_id, "still here")
    assert environment.wait(session_id, 20).output == "still here\n"
    environment.disconnect()


def test_a_stopped_network_ends_a_call_in_time(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hermes_cli.processes.environments.remote._PATIENCE", 1.0)
    there = host()
    environment = there.environment("p")
    session_id = start(environment, "sleep 60")
    pid = environment.about()["pid"]
    there.sh(f"kill -STOP {pid}")
    began = time.monotonic()
    with pytest.raises(Exception, match="no answer to poll within 1 s"):
        environment.poll(session_id)
    assert time.monotonic() - began < 5
    assert environment.poll(session_id).status == "running"
    there.sh(f"kill -{signal.SIGKILL} {pid} 2>/dev/null || true")
    environment.kill(session_id, grace=0)
    environment.disconnect()


def test_no_ssh_is_left_behind(host: Host) -> None:
    there = host()
    environment = there.environment("p", target={"control_directory": None})
    environment.list()
    assert clients(there)
    environment.disconnect()
    wait_for(lambda: not clients(there), 10, "end of ssh")


def clients(host: SshSandbox) -> list[Path]:
    """The ssh programs that use this host's key."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if words[0].endswith(b"ssh") and str(host.directory / "user").encode() in words:
                found.append(process)
    return found
