"""What start, stop, restart and status promise, on real s6."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time

import pytest

from hermes_cli.service_manager import (
    GatewayNotRegisteredError,
    InvalidNameError,
    ServiceError,
    ServiceParkedError,
    ServiceTimeoutError,
    SupervisorNotAnsweringError,
)
from tests.integration.s6.tree import Tree, until


def test_start_returns_when_the_service_is_ready(tree: Tree) -> None:
    manager = tree.manager()
    manager.register_profile_gateway("coder")
    assert manager.status("gateway-coder").in_words() == "down"
    before = time.time()
    manager.start("gateway-coder")
    status = manager.status("gateway-coder")
    assert status.in_words() == "ready"
    assert status.pid is not None
    os.kill(status.pid, 0)
    # The clock of s6's time stamps is ours: TAI64N has been turned into seconds since the epoch.
    assert status.since is not None
    assert before - 0.1 <= status.since <= time.time() + 0.1
    assert status.ready_since is not None
    assert status.since <= status.ready_since <= time.time() + 0.1
    assert status.restarts == 0


def test_start_waits_for_readiness_and_not_only_for_a_process(tree: Tree) -> None:
    manager = tree.manager()
    tree.behave("coder", "slow")
    manager.register_profile_gateway("coder")
    failure: list[BaseException] = []

    def start() -> None:
        try:
            manager.start("gateway-coder")
        except BaseException as error:
            failure.append(error)

    starter = threading.Thread(target=start)
    starter.start()
    until(lambda: manager.status("gateway-coder").running, "the service is up")
    assert starter.is_alive()
    assert manager.status("gateway-coder").in_words() == "starting"
    until((tree.echo / "coder.in").exists, "its FIFO is there")
    (tree.echo / "coder.in").write_text("go\n")
    starter.join(5)
    assert not starter.is_alive()
    assert not failure
    assert manager.status("gateway-coder").ready


def test_start_of_what_never_gets_ready_says_what_it_saw_last(tree: Tree) -> None:
    manager = tree.manager(start_timeout=0.5)
    tree.behave("coder", "never-ready")
    manager.register_profile_gateway("coder")
    began = time.monotonic()
    with pytest.raises(ServiceTimeoutError, match="up, not ready"):
        manager.start("gateway-coder")
    assert 0.4 < time.monotonic() - began < 2


def test_start_of_what_crashes_names_its_exit_code_and_counts_the_deaths(tree: Tree) -> None:
    manager = tree.manager(start_timeout=1.5)
    tree.behave("coder", "crash")
    manager.register_profile_gateway("coder")
    with pytest.raises(ServiceTimeoutError, match="last exit code 1"):
        manager.start("gateway-coder")
    status = manager.status("gateway-coder")
    assert status.in_words() == "starting"
    assert status.restarts is not None
    assert status.restarts >= 1


def test_start_of_what_parks_itself_says_so_at_once_every_time(tree: Tree) -> None:
    manager = tree.manager()
    tree.behave("coder", "config")
    manager.register_profile_gateway("coder")
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(ServiceParkedError, match="exit code 78"):
            manager.start("gateway-coder")
        assert time.monotonic() - began < 3
        status = manager.status("gateway-coder")
        assert (status.in_words(), status.exit_code, status.restarts) == ("parked", 78, 0)
    tree.behave("coder", "echo")
    manager.start("gateway-coder")
    assert manager.status("gateway-coder").in_words() == "ready"


def test_start_while_an_earlier_end_is_not_over_is_not_answered_by_that_end(tree: Tree) -> None:
    manager = tree.manager()
    tree.behave("coder", "config")
    (tree.echo / "coder.finishing").touch()
    manager.register_profile_gateway("coder")
    subprocess.run(["s6-svc", "-U", tree.scandir / "gateway-coder"], check=True)
    until(lambda: manager.status("gateway-coder").exit_code == 78, "it has ended")
    tree.behave("coder", "echo")
    timer = threading.Timer(0.2, (tree.echo / "coder.finishing").unlink)
    timer.start()
    manager.start("gateway-coder")
    timer.join()
    assert manager.status("gateway-coder").in_words() == "ready"


def test_starting_what_runs_and_stopping_what_is_stopped_succeed(tree: Tree) -> None:
    manager = tree.manager()
    manager.register_profile_gateway("coder")
    manager.stop("gateway-coder")
    manager.start("gateway-coder")
    pid = manager.status("gateway-coder").pid
    manager.start("gateway-coder")
    assert manager.status("gateway-coder").pid == pid
    manager.stop("gateway-coder")
    manager.stop("gateway-coder")
    assert manager.status("gateway-coder").in_words() == "down"


def test_stop_returns_when_finish_is_through(tree: Tree) -> None:
    manager = tree.manager()
    manager.register_profile_gateway("coder", start_now=True)
    (tree.echo / "coder.finishing").touch()
    released: list[float] = []

    def release() -> None:
        released.append(time.monotonic())
        (tree.echo / "coder.finishing").unlink()

    timer = threading.Timer(0.3, release)
    timer.start()
    manager.stop("gateway-coder")
    stopped = time.monotonic()
    timer.join()
    assert stopped >= released[0]


def test_stopping_what_is_parked_makes_it_stopped(tree: Tree) -> None:
    manager = tree.manager()
    tree.behave("coder", "config")
    manager.register_profile_gateway("coder")
    with pytest.raises(ServiceParkedError):
        manager.start("gateway-coder")
    manager.stop("gateway-coder")
    assert manager.status("gateway-coder").in_words() == "down"


def test_what_ignores_sigterm_is_killed_and_stop_says_when(tree: Tree) -> None:
    manager = tree.manager()
    tree.behave("coder", "stubborn")
    manager.register_profile_gateway("coder", start_now=True)
    manager.stop("gateway-coder")
    status = manager.status("gateway-coder")
    assert (status.in_words(), status.exit_signal) == ("down", "SIGKILL")


def test_stop_gives_up_within_its_timeout(tree: Tree) -> None:
    manager = tree.manager(stop_timeout=0.2)
    tree.behave("coder", "stubborn")
    manager.register_profile_gateway("coder", start_now=True)
    with pytest.raises(ServiceTimeoutError, match="told to stop"):
        manager.stop("gateway-coder")
    assert manager.status("gateway-coder").in_words() == "stopping"


def test_a_start_during_a_stop_that_gave_up_waits_and_gets_a_new_process(tree: Tree) -> None:
    tree.behave("coder", "stubborn")
    hasty = tree.manager(stop_timeout=0.1)
    hasty.register_profile_gateway("coder", start_now=True)
    old = hasty.status("gateway-coder").pid
    with pytest.raises(ServiceTimeoutError):
        hasty.stop("gateway-coder")
    hasty.start("gateway-coder")
    status = hasty.status("gateway-coder")
    assert status.in_words() == "ready"
    assert status.pid != old


def test_what_a_service_started_outlives_it(tree: Tree) -> None:
    manager = tree.manager()
    tree.behave("coder", "fork")
    manager.register_profile_gateway("coder", start_now=True)
    child = int((tree.echo / "coder.child").read_text())
    tree.strays.append(child)
    manager.stop("gateway-coder")
    os.kill(child, 0)


def test_restart_ends_with_a_new_pid(tree: Tree) -> None:
    manager = tree.manager()
    manager.register_profile_gateway("coder", start_now=True)
    before = manager.status("gateway-coder").pid
    manager.restart("gateway-coder")
    after = manager.status("gateway-coder")
    assert after.in_words() == "ready"
    assert after.pid != before
    assert after.restarts == 0


def test_restart_of_what_is_stopped_starts_it(tree: Tree) -> None:
    manager = tree.manager()
    manager.register_profile_gateway("coder")
    manager.restart("gateway-coder")
    assert manager.status("gateway-coder").in_words() == "ready"


def test_restart_of_what_is_still_starting_works(tree: Tree) -> None:
    manager = tree.manager()
    tree.behave("coder", "never-ready")
    manager.register_profile_gateway("coder")
    subprocess.run(["s6-svc", "-U", tree.scandir / "gateway-coder"], check=True)
    until(lambda: manager.status("gateway-coder").in_words() == "starting", "it is starting")
    tree.behave("coder", "echo")
    manager.restart("gateway-coder")
    assert manager.status("gateway-coder").in_words() == "ready"


def test_a_killed_service_comes_back_and_its_death_is_told(tree: Tree) -> None:
    manager = tree.manager()
    manager.register_profile_gateway("coder", start_now=True)
    before = manager.status("gateway-coder").pid
    assert before is not None
    os.kill(before, signal.SIGKILL)
    until(lambda: manager.status("gateway-coder").pid not in (None, before), "another process")
    until(lambda: manager.status("gateway-coder").ready, "it is ready")
    status = manager.status("gateway-coder")
    assert (status.restarts, status.exit_signal, status.exit_code) == (1, "SIGKILL", None)


def test_a_killed_supervisor_agrees_with_the_last_order(tree: Tree) -> None:
    manager = tree.manager()
    manager.register_profile_gateway("coder", start_now=True)
    first = manager.status("gateway-coder").pid
    assert first is not None
    tree.strays.append(first)  # its new supervisor does not know it
    os.kill(tree.supervisor("gateway-coder"), signal.SIGKILL)
    # No waiting here: a verb gives a supervisor the time to come back.
    manager.start("gateway-coder")
    assert manager.status("gateway-coder").in_words() == "ready"
    manager.stop("gateway-coder")
    os.kill(tree.supervisor("gateway-coder"), signal.SIGKILL)
    manager.stop("gateway-coder")
    assert manager.status("gateway-coder").in_words() == "down"


def test_a_supervisor_killed_in_the_middle_of_a_verb_gets_the_order_again(tree: Tree) -> None:
    manager = tree.manager()
    tree.behave("coder", "slow")
    manager.register_profile_gateway("coder")
    starter = threading.Thread(target=manager.start, args=("gateway-coder",))
    starter.start()
    until(lambda: manager.status("gateway-coder").running, "it is starting")
    first = manager.status("gateway-coder").pid
    assert first is not None
    tree.behave("coder", "echo")
    os.kill(tree.supervisor("gateway-coder"), signal.SIGKILL)
    os.kill(first, signal.SIGKILL)
    starter.join(10)
    assert not starter.is_alive()
    assert manager.status("gateway-coder").in_words() == "ready"


def test_an_order_that_its_supervisor_died_with_is_given_again(tree: Tree) -> None:
    manager = tree.manager()
    manager.register_profile_gateway("coder")
    supervisor = tree.supervisor("gateway-coder")
    os.kill(supervisor, signal.SIGSTOP)
    starter = threading.Thread(target=manager.start, args=("gateway-coder",))
    starter.start()
    until(lambda: tree.unread_orders("gateway-coder"), "the order is in the control FIFO")
    os.kill(supervisor, signal.SIGKILL)
    starter.join(10)
    assert not starter.is_alive()
    assert manager.status("gateway-coder").in_words() == "ready"


def test_an_old_parking_is_not_taken_for_the_answer_of_a_slow_supervisor(tree: Tree) -> None:
    manager = tree.manager()
    tree.behave("coder", "config")
    manager.register_profile_gateway("coder")
    with pytest.raises(ServiceParkedError):
        manager.start("gateway-coder")
    tree.behave("coder", "echo")
    supervisor = tree.supervisor("gateway-coder")
    os.kill(supervisor, signal.SIGSTOP)
    timer = threading.Timer(0.3, os.kill, (supervisor, signal.SIGCONT))
    timer.start()
    manager.start("gateway-coder")
    timer.join()
    assert manager.status("gateway-coder").in_words() == "ready"


def test_a_missing_slot_is_a_typed_error_for_every_verb_and_a_plain_answer_for_status(tree: Tree) -> None:
    manager = tree.manager()
    for verb in (manager.start, manager.stop, manager.restart):
        with pytest.raises(GatewayNotRegisteredError, match="hermes profile create ghost"):
            verb("gateway-ghost")
    assert manager.status("gateway-ghost").in_words() == "not registered"
    assert not manager.is_running("gateway-ghost")


def test_a_slot_that_nothing_supervises_is_a_typed_error_within_seconds(tree: Tree) -> None:
    manager = tree.manager()
    manager.register_profile_gateway("coder")  # s6-svscan has looked by then, and looks no more by itself
    (tree.scandir / "gateway-orphan").mkdir()
    began = time.monotonic()
    with pytest.raises(SupervisorNotAnsweringError, match="gateway-orphan"):
        manager.start("gateway-orphan")
    assert time.monotonic() - began < 6
    assert manager.status_all()["gateway-orphan"].in_words() == "not answering"


@pytest.mark.parametrize(
    "name", ["gateway-../../etc", "", ".", "..", "gateway-", "gateway-A", "a/b", "g" * 300]
)
def test_a_name_cannot_lead_out_of_the_scandir(tree: Tree, name: str) -> None:
    manager = tree.manager()
    for verb in (manager.start, manager.stop, manager.restart, manager.status, manager.is_running):
        with pytest.raises(InvalidNameError):
            verb(name)


def test_verbs_on_one_service_exclude_each_other(tree: Tree) -> None:
    manager = tree.manager(start_timeout=0.4, stop_timeout=0.2)
    tree.behave("coder", "never-ready")
    manager.register_profile_gateway("coder")
    patient = tree.manager(start_timeout=5)
    errors: list[BaseException] = []

    def start() -> None:
        try:
            patient.start("gateway-coder")
        except ServiceError as error:
            errors.append(error)

    starter = threading.Thread(target=start)
    starter.start()
    until(lambda: manager.status("gateway-coder").running, "the first command is at work")
    with pytest.raises(ServiceTimeoutError, match="another command"):
        manager.stop("gateway-coder")
    assert manager.status("gateway-coder").wanted
    starter.join(10)
    assert len(errors) == 1
    manager = tree.manager()
    manager.stop("gateway-coder")


def test_verbs_on_different_services_do_not_wait_for_each_other(tree: Tree) -> None:
    manager = tree.manager(start_timeout=5)
    tree.behave("slow", "slow")
    for profile in ("slow", "quick"):
        manager.register_profile_gateway(profile)
    starter = threading.Thread(target=manager.start, args=("gateway-slow",))
    starter.start()
    until(lambda: manager.status("gateway-slow").running, "the slow one is starting")
    manager.start("gateway-quick")
    assert starter.is_alive()
    (tree.echo / "slow.in").write_text("go\n")
    starter.join(5)
    assert not starter.is_alive()


def test_status_of_fifty_services_takes_well_under_a_third_of_a_second(tree: Tree) -> None:
    manager = tree.manager()
    profiles = [f"p{number:02}" for number in range(50)]
    for profile in profiles:
        manager.register_profile_gateway(profile)
    manager.status_all()
    fastest = 9.9
    for _ in range(5):
        new = tree.manager()  # it has seen none of them before
        began = time.perf_counter()
        found = new.status_all()
        fastest = min(fastest, time.perf_counter() - began)
    assert list(found) == [f"gateway-{profile}" for profile in profiles]
    assert {status.in_words() for status in found.values()} == {"down"}
    assert {(status.exit_code, status.restarts) for status in found.values()} == {(None, 0)}
    assert fastest < 0.3, f"{fastest:.3f} s"


def test_a_gateway_that_was_to_run_only_once_can_be_started(tree: Tree) -> None:
    manager = tree.manager()
    manager.register_profile_gateway("coder", start_now=True)
    before = manager.status("gateway-coder").pid
    subprocess.run(["s6-svc", "-o", tree.scandir / "gateway-coder"], check=True)
    until(lambda: not manager.status("gateway-coder").wanted, "it runs once")
    manager.start("gateway-coder")
    status = manager.status("gateway-coder")
    assert status.in_words() == "ready"
    assert status.pid != before
