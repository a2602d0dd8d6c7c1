"""A channel to a sandbox may break at any moment: nothing is lost, nothing is done twice, nothing hangs."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from hermes_cli.processes.environments import Environment
from hermes_cli.processes.environments.remote import RemoteEnvironment
from hermes_cli.processes.errors import KeeperUnreachableError, ProcessError, StartError
from hermes_cli.processes.rpc import MOST_AT_ONCE
from hermes_cli.processes.types import StartRequest
from tests.integration.processes.sandboxes import Sandbox, wait_for

pytestmark = pytest.mark.only("docker", "ssh")

Connect = Callable[..., RemoteEnvironment]


def start(there: Environment, command: str, **options: object) -> str:
    return there.start(StartRequest(command=command, **options)).session_id  # type: ignore[arg-type]


def kill_server(environment: RemoteEnvironment, sandbox: Sandbox) -> None:
    sandbox.sh(f"kill -9 {environment.about()['pid']} 2>/dev/null || true")


def test_a_wait_goes_on_over_a_killed_channel(connect: Connect, sandbox: Sandbox) -> None:
    environment = connect()
    session_id = start(environment, "echo begun; read line; echo $line")
    with ThreadPoolExecutor(1) as pool:
        wait = pool.submit(environment.wait, session_id, 30)
        kill_server(environment, sandbox)
        environment.poll(session_id)
        environment.submit(session_id, "went on")
        waited = wait.result(20)
    assert (waited.status, waited.output) == ("exited", "begun\nwent on\n")


def test_no_byte_is_lost_and_none_comes_twice_while_channels_are_killed(
    connect: Connect, sandbox: Sandbox
) -> None:
    environment = connect()
    session_id = start(
        environment, "i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); sleep 0.01; done"
    )
    read, cursor, kills = "", 0, 0
    chance = random.Random(4)
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        if kills < 8:
            threading.Timer(chance.random() * 0.05, kill_server, (environment, sandbox)).start()
            kills += 1
        polled = environment.poll(session_id, cursor=cursor)
        read, cursor = read + polled.output, polled.cursor
        if polled.status != "running" and not polled.more:
            break
        environment.wait_for_output(session_id, cursor, 5.0)
    assert kills > 3
    assert read == "".join(f"line {number}\n" for number in range(300))


@pytest.mark.timeout(150)  # each start that is in doubt is waited for
def test_a_start_whose_channel_is_killed_happens_once(connect: Connect, sandbox: Sandbox) -> None:
    environment = connect()
    other = connect()
    chance = random.Random(7)
    started: list[str] = []
    doubts: list[str] = []
    for number in range(5):
        pid = environment.about()["pid"]
        timer = threading.Timer(chance.random() * 0.08, sandbox.sh, (f"kill -9 {pid} 2>/dev/null || true",))
        timer.start()
        try:
            started.append(start(environment, f"echo {number}; sleep 60"))
        except ProcessError as error:
            doubts.append(str(error))
        timer.join()
    rows = other.list()
    commands = [row.command for row in rows if row.status == "running"]
    assert len(commands) == len(set(commands))
    assert set(started) <= {row.session_id for row in rows}
    assert started
    assert all("hermes process list" in doubt for doubt in doubts)


def test_input_is_never_sent_twice(connect: Connect, sandbox: Sandbox) -> None:
    environment = connect()
    session_id = start(environment, "cat")
    chance = random.Random(11)
    sent = 0
    unknown: list[str] = []
    for number in range(12):
        pid = environment.about()["pid"]
        timer = threading.Timer(chance.random() * 0.02, sandbox.sh, (f"kill -9 {pid} 2>/dev/null || true",))
        timer.start()
        try:
            environment.submit(session_id, f"<{number}>")
            sent += 1
        except KeeperUnreachableError as error:
            unknown.append(str(error))
        timer.join()
    environment.close(session_id)
    lines = environment.wait(session_id, 20).output.split()
    assert len(lines) == len(set(lines))
    assert sent <= len(lines) <= sent + len(unknown)
    assert all("is not known" in one for one in unknown)


def test_the_code_is_mended_where_a_file_of_it_was_lost(connect: Connect, sandbox: Sandbox) -> None:
    environment = connect()
    place = environment.about()["code"]
    sandbox.sh(f"echo 'raise SystemExit' >{place}/hermes_cli/processes/spool.py")
    again = connect()
    assert again.wait(start(again, "echo fine"), 20).output == "fine\n"


def test_the_program_there_ends_with_its_channel(connect: Connect, sandbox: Sandbox) -> None:
    environment = connect()
    session_id = start(environment, "sleep 60")
    pid = environment.about()["pid"]
    environment.disconnect()
    wait_for(lambda: sandbox.sh(f"[ -e /proc/{pid} ] || echo gone"), 10, "end of the program")
    assert environment.poll(session_id).status == "running"


def test_more_requests_than_fit_are_refused_and_the_rest_is_answered(connect: Connect) -> None:
    environment = connect()
    session_id = start(environment, "sleep 60")
    count = MOST_AT_ONCE + 20
    with ThreadPoolExecutor(count) as pool:
        waits = [pool.submit(environment.wait, session_id, 3.0) for _ in range(count)]
        statuses, refused = [], 0
        for wait in waits:
            try:
                statuses.append(wait.result(30).status)
            except KeeperUnreachableError:
                refused += 1
    assert set(statuses) == {"timeout"}
    assert 0 < refused <= 20 + 1


def test_nothing_of_this_machines_environment_reaches_a_command(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PLAIN_OF_HOST", "LC_MESSAGES", "LANG", "GITHUB_TOKEN", "SSH_AUTH_SOCK", "TERM"):
        monkeypatch.setenv(name, "of-the-host")
    environment = connect()
    session_id = start(environment, "env", environment={"ASKED": "for"})
    output = environment.wait(session_id, 20).output
    assert "of-the-host" not in output
    assert "ASKED=for" in output.splitlines()
    assert "LC_CTYPE" not in output
    assert f"HERMES_PROCESS_ID={session_id}" in output.splitlines()


def test_a_configured_directory_that_is_lost_stops_starts_and_nothing_else(connect: Connect) -> None:
    session_id = start(connect(), "sleep 60")
    environment = connect(workdir="/not/there")
    with pytest.raises(StartError, match="/not/there does not exist"):
        start(environment, "true")
    with pytest.raises(StartError, match="/not/there does not exist"):
        environment.working_directory(None)
    assert environment.kill(session_id, grace=0).status == "killed"
