"""Real gateways under a real s6: the operator's verbs, crashes and parking, end to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from hermes_cli.gateway.client import GatewayClient
from hermes_cli.gateway.identity import ProcessIdentity
from hermes_cli.gateway.lifecycle import Lifecycle
from hermes_cli.gateway.park import parked
from hermes_cli.gateway.supervision_log import read_events
from hermes_cli.home import Home
from hermes_cli.service_manager import ServiceParkedError
from hermes_cli.service_manager.names import service_name
from tests.integration.s6.tree import Tree

from .harness import free_port, until

PROFILE = "coder"
RUN = f"""\
#!/bin/sh
exec 2>&1
exec env HERMES_SUPERVISOR=s6 HERMES_NOTIFY_FD=3 PYTHONDONTWRITEBYTECODE= \\
  {sys.executable} -m hermes_cli.cli.main -p "${{PWD##*/gateway-}}" gateway run
"""


FOLLOW = f"""\
import sys
from pathlib import Path
from hermes_cli.cli import gateway
from hermes_cli.home import Home
from tests.integration.s6.tree import Tree

sys.exit(gateway._start_and_follow(Tree(Path(sys.argv[1]), {{}}).manager(), Home.of({PROFILE!r})))
"""


def follow(tree: Tree) -> subprocess.Popen[str]:
    """`hermes gateway run` where this tree is the supervisor in charge."""
    command = [sys.executable, "-c", FOLLOW, os.fspath(tree.base)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def home(tree: Tree) -> Home:
    """A profile with a slot that runs its real gateway; both are down."""
    run = tree.base / "template/run"
    run.write_text(RUN)
    run.chmod(0o755)
    home = Home.of(PROFILE, tree.base / "home")
    home.path.mkdir(parents=True)
    home.config.write_text(f"gateway:\n  port: {free_port()}\n")
    home.env.write_text("HERMES_GATEWAY_TOKEN=sesame\n")
    tree.manager().register_profile_gateway(PROFILE)
    return home


@pytest.fixture
def gateway(tree: Tree, home: Home) -> Lifecycle:
    return Lifecycle(tree.manager(), home.root)


def identity_of(gateway: Lifecycle) -> ProcessIdentity:
    state = gateway.state(PROFILE)
    assert state is not None
    return ProcessIdentity(state.pid, state.pid_start, state.boot_id)


def pid_of(gateway: Lifecycle) -> int:
    return identity_of(gateway).pid


def test_start_means_ready_and_stop_means_drained(gateway: Lifecycle, home: Home, tree: Tree) -> None:
    gateway.start(PROFILE)
    assert GatewayClient(home).readyz()
    status = tree.manager().status(service_name(PROFILE))
    assert status.ready
    assert status.pid == pid_of(gateway)
    gateway.stop(PROFILE)
    state = gateway.state(PROFILE)
    assert state is not None
    assert state.state == "stopped"
    assert [event.event for event in read_events(home.root) if event.event in ("ready", "draining")] == [
        "ready",
        "draining",
    ]


def test_restart_is_a_new_process(gateway: Lifecycle, home: Home) -> None:
    gateway.start(PROFILE)
    before = pid_of(gateway)
    gateway.restart(PROFILE)
    assert pid_of(gateway) != before
    assert GatewayClient(home).status().restarts == 0


def test_killed_it_is_back_and_ready_soon(gateway: Lifecycle, home: Home) -> None:
    gateway.start(PROFILE)
    before = pid_of(gateway)
    # s6-supervise starts at once what has been ready for more than a second.
    time.sleep(1.1)
    killed = time.monotonic()
    os.kill(before, signal.SIGKILL)
    until("another one is ready", lambda: _is_ready(gateway, before), within=5.0)
    assert time.monotonic() - killed < 3.0, "three times the promise, for a loaded machine"


def test_a_configuration_error_parks_it_with_its_own_words(gateway: Lifecycle, home: Home) -> None:
    good = home.config.read_text()
    home.config.write_text("gateway:\n  port: eighty\n")
    with pytest.raises(ServiceParkedError, match=r"config\.yaml:2"):
        gateway.start(PROFILE)
    assert gateway.parked(PROFILE) is not None
    home.config.write_text(good)
    gateway.start(PROFILE)
    assert gateway.parked(PROFILE) is None


def test_a_crash_loop_is_parked_and_a_start_ends_that(gateway: Lifecycle, home: Home, tree: Tree) -> None:
    gateway.start(PROFILE)
    for _ in range(5):
        before = pid_of(gateway)
        os.kill(before, signal.SIGKILL)
        until("it is back, or parked", partial(_is_back_or_parked, gateway, home, before))
    until("s6 has given up", lambda: tree.manager().status(service_name(PROFILE)).parked)
    slip = parked(home)
    assert slip is not None
    assert slip.kind == "crash_loop"
    gateway.start(PROFILE)
    assert GatewayClient(home).readyz()


def test_a_killed_supervisor_ends_with_one_gateway(gateway: Lifecycle, home: Home, tree: Tree) -> None:
    gateway.start(PROFILE)
    orphan = identity_of(gateway)
    os.kill(tree.supervisor(service_name(PROFILE)), signal.SIGKILL)
    until("a new gateway has taken over", lambda: _is_ready(gateway, orphan.pid))
    assert not orphan.is_alive()
    gateway.stop(PROFILE)


def test_stop_leaves_no_gateway_behind_a_killed_supervisor(gateway: Lifecycle, tree: Tree) -> None:
    gateway.start(PROFILE)
    orphan = identity_of(gateway)
    os.kill(tree.supervisor(service_name(PROFILE)), signal.SIGKILL)
    gateway.stop(PROFILE)
    assert not orphan.is_alive()


def test_following_ends_with_78_and_the_reason_when_it_parks(
    gateway: Lifecycle, home: Home, tree: Tree
) -> None:
    follower = follow(tree)
    try:
        assert follower.stdout is not None
        assert "is ready at http://127.0.0.1:" in follower.stdout.readline()
        home.config.write_text("gateway: 1\n")
        os.kill(pid_of(gateway), signal.SIGKILL)
        _, errors = follower.communicate(timeout=20)
        assert follower.returncode == 78
        assert "parked" in errors
        assert "config.yaml:1" in errors
    finally:
        follower.kill()
        follower.communicate()


def test_following_leaves_the_gateway_alone_when_it_is_told_to_end(
    gateway: Lifecycle, home: Home, tree: Tree
) -> None:
    follower = follow(tree)
    try:
        assert follower.stdout is not None
        assert "is ready" in follower.stdout.readline()
        pid = pid_of(gateway)
        follower.terminate()
        assert follower.wait(5) == 0
        assert GatewayClient(home).status().pid == pid
    finally:
        follower.kill()
        follower.communicate()


def _is_back_or_parked(gateway: Lifecycle, home: Home, not_pid: int) -> bool:
    return parked(home) is not None or _is_ready(gateway, not_pid)


def _is_ready(gateway: Lifecycle, not_pid: int) -> bool:
    state = gateway.state(PROFILE)
    return state is not None and state.pid != not_pid and state.state == "running"
