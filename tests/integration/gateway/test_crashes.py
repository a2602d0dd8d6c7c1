"""Gateways that end uncleanly: they come back, more slowly each time, and then not at all."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import msgspec

from hermes_cli.gateway.identity import ProcessIdentity
from hermes_cli.gateway.lock import holder_of
from hermes_cli.gateway.park import parked
from hermes_cli.gateway.records import IntentRecord, StateRecord
from hermes_cli.home import Home, load, save

from .harness import DEADLINE, Yard, until


def crashed_before(home: Home, times: int, *, ago: float = 1.0) -> None:
    """Leave what `times` crashes leave: a state that says running, of a process that is gone."""
    record = load(home.state, StateRecord)
    assert record is not None
    now = time.time()
    crashes = [now - ago - index * 0.01 for index in range(times)]
    save(
        home.state,
        msgspec.structs.replace(
            record, state="running", started_at=now - ago, unclean_starts=sorted(crashes), restarts=times
        ),
    )


def test_killed_it_is_ready_again_at_once_and_counts_it(yard: Yard) -> None:
    home = yard.profile()
    first = yard.start(home).ready()
    first.kill()
    first.ended()
    second = yard.start(home).ready()
    assert time.monotonic() - second.started < 3.0, "three times the promise, for a loaded machine"
    state = second.state()
    assert (state.state, state.restarts, len(state.unclean_starts)) == ("running", 1, 1)
    assert second.client.status().restarts == 1


def test_a_clean_end_does_not_count(yard: Yard) -> None:
    home = yard.profile()
    for _ in range(3):
        gateway = yard.start(home).ready()
        gateway.process.terminate()
        assert gateway.ended() == 0
    assert gateway.state().restarts == 0
    assert gateway.state().state == "stopped"


def test_a_second_crash_makes_it_wait_and_say_so(yard: Yard) -> None:
    home = yard.profile()
    first = yard.start(home).ready()
    first.kill()
    first.ended()
    crashed_before(home, 1)
    second = yard.start(home)
    until("it backs off", lambda: second.state().state == "backing_off")
    assert second.state().pid == second.process.pid
    assert "starts again after 1 s" in second.state().message
    second.ready()
    assert time.monotonic() - second.started > 1.0


def test_sigterm_during_the_wait_ends_it_promptly_and_cleanly(yard: Yard) -> None:
    home = yard.profile()
    first = yard.start(home).ready()
    first.kill()
    first.ended()
    crashed_before(home, 3)
    second = yard.start(home)
    until("it backs off", lambda: second.state().state == "backing_off")
    asked = time.monotonic()
    second.process.terminate()
    assert second.ended() == 0
    assert time.monotonic() - asked < 1.0
    assert second.state().state == "stopped"


def test_the_fifth_crash_parks_it_and_an_order_to_start_clears_that(yard: Yard) -> None:
    home = yard.profile()
    first = yard.start(home).ready()
    first.kill()
    first.ended()
    crashed_before(home, 4)
    fifth = yard.start(home)
    assert fifth.ended() == 78
    slip = parked(home)
    assert slip is not None
    assert slip.kind == "crash_loop"
    assert "5 times within 120 s" in slip.reason

    again = yard.start(home)
    assert again.ended() == 78, "a supervisor that comes back must not unpark it"

    save(home.intent, IntentRecord(intent="running", requested_at=time.time()))
    home.parked.unlink()
    ordered = yard.start(home).ready()
    assert ordered.state().restarts == 0
    assert ordered.state().unclean_starts == []


def test_real_crashes_alone_lead_to_the_park(yard: Yard) -> None:
    """The whole way, without touching the files: 0, 1, 2 and 4 seconds of waiting."""
    home = yard.profile()
    for _ in range(5):
        gateway = yard.start(home).ready()
        gateway.kill()
        gateway.ended()
    assert yard.start(home).ended() == 78
    assert parked(home) is not None


def test_an_orphan_is_ended_by_the_gateway_that_takes_over(yard: Yard) -> None:
    home = yard.profile()
    # A supervisor of its own, which starts the gateway and is killed.
    environment = {"HERMES_HOME": str(yard.root), "HERMES_SUPERVISOR": "s6", "PATH": "/usr/bin:/bin"}
    program = "import subprocess, sys; subprocess.run([sys.executable, *sys.argv[1:]])"
    command = [sys.executable, "-c", program, "-m", "hermes_cli.cli.main", "gateway", "run"]
    supervisor = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    orphan: ProcessIdentity | None = None
    try:
        orphan = until("the gateway runs", lambda: holder_of(home))
        assert orphan is not None
        until("it is ready", lambda: _ready_at(home))
        supervisor.kill()
        supervisor.wait(DEADLINE)
        assert orphan.is_alive()
        successor = yard.start(home).ready()
        assert not orphan.is_alive()
        assert successor.state().pid == successor.process.pid
        assert successor.state().restarts == 0, "the supervisor crashed, not the gateway"
    finally:
        supervisor.kill()
        supervisor.wait(DEADLINE)
        if orphan is not None:
            orphan.end(grace=1.0)


def test_a_hanging_orphan_is_killed(yard: Yard) -> None:
    """SIGSTOP is the worst that can be done to one: it hears no SIGTERM."""
    home = yard.profile()
    first = yard.start(home).ready()
    identity = ProcessIdentity(first.state().pid, first.state().pid_start, first.state().boot_id)
    first.kill(signal.SIGSTOP)
    assert identity.end(grace=0.3)
    assert first.ended() == -signal.SIGKILL


def _ready_at(home: Home) -> float | None:
    state = load(home.state, StateRecord)
    return state.ready_at if state else None
