"""What every backend promises of a service: one set of cases over all of them."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from queue import Queue

import pytest

from hermes_cli.service_manager import (
    GatewayNotRegisteredError,
    InvalidNameError,
    ServiceEditedError,
    ServiceError,
    ServiceManager,
    ServiceParkedError,
    ServiceTimeoutError,
)
from tests.hosts.backends import START_TIMEOUT, STOP_TIMEOUT, Backend, Behaviour, Service
from tests.hosts.waiting import throughout, until

SLACK = 5.0
"""Seconds that a machine with other things to do may add to a deadline."""

AWKWARD = {
    "PLAIN": "blue",
    "BLANKS": " in and after \t",
    "QUOTES": """it's "quoted" 'twice'""",
    "LINES": "one\ntwo\n\nfour\n",
    "PERCENT": "100% %h %n %%",
    "DOLLAR": "$HOME ${HOME} $$ $(id)",
    "BACKSLASH": "back\\slash \\n \\",
    "HASH": "#no comment ; nor this",
    "EQUALS": "a=b=c",
    "ANGLES": "<a href='x'>&amp;</a>",
    "UNICODE": "žluťoučký ☃ 🐚",
    "EMPTY": "",
    "LONG": "x" * 5000,
}


def installed(service: Service, **fields: object) -> ServiceManager:
    """Its manager, with the service in it."""
    service.backend.manager.install(service.spec(**fields))
    return service.backend.manager


def started(service: Service, **fields: object) -> ServiceManager:
    """Likewise, and ready."""
    manager = installed(service, **fields)
    start(service)
    return manager


def start(service: Service) -> None:
    service.backend.intend(service.name, running=True)
    service.backend.manager.start(service.name)


def words(service: Service) -> str:
    return service.backend.manager.status(service.name).in_words()


def pid_of(service: Service) -> int:
    pid = service.backend.manager.status(service.name).pid
    assert pid is not None
    return pid


def ready_again(service: Service, before: int) -> bool:
    """Whether another process than `before` is ready, in one look."""
    status = service.backend.manager.status(service.name)
    return status.in_words() == "ready" and status.pid != before


# install, uninstall, render


def test_it_keeps_the_protocol(backend: Backend) -> None:
    assert isinstance(backend.manager, ServiceManager)
    assert isinstance(backend.another(), ServiceManager)


def test_install_does_not_start(service: Service) -> None:
    manager = installed(service)
    status = manager.status(service.name)
    assert (status.registered, status.running, status.in_words()) == (True, False, "down")
    assert not manager.is_running(service.name)
    throughout(0.5, lambda: not service.starts(), "nothing has been started")


def test_installing_again_is_fine_and_leaves_what_runs_alone(service: Service) -> None:
    manager = started(service)
    pid = pid_of(service)
    manager.install(service.spec())
    assert pid_of(service) == pid
    manager.restart(service.name)
    assert words(service) == "ready"


def test_render_writes_nothing_and_install_writes_just_that(service: Service) -> None:
    backend, spec = service.backend, service.spec(environment=AWKWARD)
    rendered = backend.manager.render(spec)
    assert rendered
    assert not [file.path for file in rendered if backend.exists(file.path)]
    backend.manager.install(spec)
    assert backend.differences(spec) == []
    backend.manager.uninstall(spec.name)
    assert not [file.path for file in rendered if backend.exists(file.path)]


@pytest.mark.needs("finds_edits")
def test_a_file_changed_by_hand_is_found_and_replaced_only_by_force(service: Service) -> None:
    backend, spec = service.backend, service.spec()
    manager = installed(service)
    path = manager.render(spec)[0].path
    backend.append(path, "\n")
    assert backend.differences(spec) == [(str(path), "edited")]
    with pytest.raises(ServiceEditedError) as caught:
        manager.install(spec)
    assert str(path) in str(caught.value)
    assert backend.differences(spec) == [(str(path), "edited")]
    manager.install(spec, force=True)
    assert backend.differences(spec) == []
    start(service)


@pytest.mark.needs("any_program")
def test_files_of_an_older_specification_are_outdated_and_just_replaced(service: Service) -> None:
    backend = service.backend
    manager = started(service, environment={"COLOUR": "blue"})
    newer = service.spec(environment={"COLOUR": "green"}, working_directory=service.directory)
    assert {state for _, state in backend.differences(newer)} <= {"outdated", "missing"}
    assert backend.differences(newer)
    manager.install(newer)
    assert backend.differences(newer) == []
    manager.restart(service.name)
    assert service.starts()[-1].env["COLOUR"] == "green"


def test_uninstalling_what_runs_ends_it(service: Service) -> None:
    manager = started(service)
    pid = pid_of(service)
    manager.uninstall(service.name)
    assert not service.backend.alive(pid)
    assert not manager.status(service.name).registered


def test_uninstalling_what_is_stopped_or_missing_is_fine(service: Service) -> None:
    manager = started(service)
    manager.stop(service.name)
    for _ in range(3):
        manager.uninstall(service.name)
        assert words(service) == "not registered"
    manager.install(service.spec())
    assert words(service) == "down"
    start(service)
    assert words(service) == "ready"


def test_a_missing_service_is_a_typed_error_for_verbs_and_an_answer_for_status(service: Service) -> None:
    manager = service.backend.manager
    for verb in (manager.start, manager.stop, manager.restart, lambda name: list(manager.logs(name))):
        with pytest.raises(GatewayNotRegisteredError) as caught:
            verb(service.name)
        assert service.name in str(caught.value)
    assert words(service) == "not registered"
    assert not manager.is_running(service.name)


@pytest.mark.parametrize("name", ["", "..", "gateway-", "gateway-../x", "gateway-A", "a/b", "x" * 300, "a b"])
def test_a_bad_name_is_refused_by_every_verb(backend: Backend, name: str) -> None:
    manager = backend.manager
    for verb in (manager.start, manager.stop, manager.restart, manager.status, manager.uninstall):
        with pytest.raises(InvalidNameError):
            verb(name)


# start, stop, restart


def test_start_returns_when_the_service_is_ready(service: Service) -> None:
    service.behave({"ready": 0.4})
    manager = installed(service)
    start(service)
    returned = time.time()
    (began,), (ready,) = service.times("start"), service.times("ready")
    assert began + 0.4 <= ready <= returned
    assert words(service) == "ready"
    assert service.running() == [manager.status(service.name).pid]


def test_stop_returns_when_it_is_down_and_the_service_was_asked_not_killed(service: Service) -> None:
    manager = started(service)
    pid = pid_of(service)
    manager.stop(service.name)
    assert not service.backend.alive(pid)
    assert words(service) == "down"
    assert len(service.times("end")) == 1
    throughout(1.5, lambda: not manager.is_running(service.name), "it is down")


def test_restart_ends_ready_with_a_new_pid(service: Service) -> None:
    manager = started(service)
    before = pid_of(service)
    manager.restart(service.name)
    assert words(service) == "ready"
    assert pid_of(service) != before
    assert service.running() == [pid_of(service)]
    assert not manager.status(service.name).restarts


def test_starting_what_runs_and_stopping_what_is_stopped_succeed(service: Service) -> None:
    manager = installed(service)
    manager.stop(service.name)
    start(service)
    pid = pid_of(service)
    start(service)
    assert pid_of(service) == pid
    manager.stop(service.name)
    manager.stop(service.name)
    assert words(service) == "down"
    manager.restart(service.name)
    assert words(service) == "ready"
    assert len(service.starts()) == 2


def test_what_never_gets_ready_is_a_timeout_and_can_be_stopped(service: Service) -> None:
    service.behave({"ready": "never"})
    manager = installed(service)
    began = time.monotonic()
    with pytest.raises(ServiceTimeoutError) as caught:
        start(service)
    assert time.monotonic() - began < START_TIMEOUT + SLACK
    assert service.name in str(caught.value)
    manager.stop(service.name)
    assert words(service) == "down"
    assert service.running() == []


@pytest.mark.needs("any_program")
def test_what_announces_nothing_is_ready_when_it_runs_if_its_specification_says_so(service: Service) -> None:
    service.behave({"ready": "never"})
    started(service, notify=False)
    assert words(service) == "ready"


def test_what_ignores_the_request_to_end_is_killed_in_time(service: Service) -> None:
    service.behave({"ignore_term": True})
    manager = started(service)
    pid = pid_of(service)
    began = time.monotonic()
    manager.stop(service.name)
    assert STOP_TIMEOUT - 0.5 < time.monotonic() - began < STOP_TIMEOUT + SLACK
    assert not service.backend.alive(pid)
    assert words(service) == "down"
    start(service)
    assert words(service) == "ready"


def test_what_a_service_started_outlives_it(service: Service) -> None:
    service.behave({"fork": True}, {})
    manager = started(service)
    child = service.starts()[0].child
    assert child is not None
    manager.restart(service.name)
    assert service.backend.alive(child)
    manager.stop(service.name)
    assert service.backend.alive(child)
    manager.uninstall(service.name)
    assert service.backend.alive(child)


@pytest.mark.needs("kills_children")
def test_or_ends_with_it_if_its_specification_says_so(service: Service) -> None:
    service.behave({"fork": True})
    manager = started(service, kill_children=True)
    child = service.starts()[0].child
    assert child is not None
    assert service.backend.alive(child)
    manager.stop(service.name)
    until(lambda: not service.backend.alive(child), "the child is gone")


def test_two_starts_at_once_make_one_process(service: Service) -> None:
    installed(service)
    service.backend.intend(service.name, running=True)
    errors = at_once(service, ("start", "start"))
    assert errors == [None, None]
    assert words(service) == "ready"
    assert len(service.starts()) == 1


def test_start_and_stop_at_once_end_as_one_of_them_says(service: Service) -> None:
    installed(service)
    service.backend.intend(service.name, running=True)
    for _ in range(3):
        for error in at_once(service, ("start", "stop", "restart")):
            assert error is None or isinstance(error, ServiceError), repr(error)
        settled = until(lambda: words(service) in ("ready", "down") and words(service), "a settled state")
        assert len(service.running()) == (1 if settled == "ready" else 0)


def at_once(service: Service, verbs: tuple[str, ...]) -> list[BaseException | None]:
    """Each verb from a manager of its own; what each raised."""
    managers = [service.backend.another() for _ in verbs]
    together = threading.Barrier(len(verbs))
    errors: list[BaseException | None] = [None] * len(verbs)

    def do(number: int) -> None:
        together.wait(10)
        try:
            getattr(managers[number], verbs[number])(service.name)
        except BaseException as error:
            errors[number] = error

    threads = [threading.Thread(target=do, args=(number,)) for number in range(len(verbs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    assert not [thread for thread in threads if thread.is_alive()]
    return errors


def test_every_verb_honours_the_name(services: Callable[[], Service]) -> None:
    ours = [services() for _ in range(3)]
    manager = ours[0].backend.manager
    for one in ours:
        started(one)
    pids = [pid_of(one) for one in ours]
    assert len(set(pids)) == 3
    manager.restart(ours[1].name)
    assert [pid_of(ours[0]), pid_of(ours[2])] == [pids[0], pids[2]]
    manager.stop(ours[0].name)
    manager.uninstall(ours[2].name)
    found = manager.status_all([one.name for one in ours])
    assert list(found) == [one.name for one in ours]
    assert [status.in_words() for status in found.values()] == ["down", "ready", "not registered"]
    assert [len(one.running()) for one in ours] == [0, 1, 0]
    assert [len(one.starts()) for one in ours] == [1, 2, 1]


# the policy


@pytest.mark.parametrize("how", ["crash", 1, 0], ids=["killed", "exit-1", "exit-0"])
def test_an_end_nobody_asked_for_is_followed_by_a_restart(service: Service, how: int) -> None:
    service.behave({"exit": how, "exit_after": 1.2}, {})
    manager = started(service)
    until(lambda: len(service.starts()) == 2, "a second start")
    until(lambda: words(service) == "ready", "ready again")
    ended, again = service.times("ready")[0] + 1.2, service.times("start")[1]
    assert again - ended < 2, "the first restart comes at once"
    status = manager.status(service.name)
    assert status.pid == service.starts()[1].pid
    assert status.restarts in ((0, 1, None) if how == 0 else (1, None))


def test_a_killed_service_comes_back(service: Service) -> None:
    started(service)
    before = pid_of(service)
    service.backend.kill(before)
    until(lambda: ready_again(service, before), "another process is ready")
    assert service.running() == [pid_of(service)]


def test_a_crash_loop_is_parked_with_growing_waits_until_someone_starts_it(service: Service) -> None:
    traits = service.backend.traits
    service.behave({"exit": 1, "ready": "never"})
    manager = installed(service)
    with contextlib.suppress(ServiceTimeoutError), pytest.raises(ServiceParkedError):
        start(service)
    until(lambda: manager.status(service.name).parked, "parked", traits.parked_within)
    assert words(service) == "parked"
    starts = service.times("start")
    assert traits.runs_before_parked <= len(starts) <= traits.runs_before_parked + traits.runs_more
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    for gap, least in zip(gaps, traits.gaps, strict=False):
        assert gap >= least, gaps
    throughout(1.5, lambda: len(service.starts()) == len(starts), "nothing starts it again")
    service.behave({})
    start(service)
    status = manager.status(service.name)
    assert (status.in_words(), status.parked) == ("ready", False)


def test_after_a_start_the_count_begins_anew(service: Service) -> None:
    dies: Behaviour = {"exit": "crash", "ready": "never"}
    service.behave(dies, dies, {"exit": "crash", "exit_after": 0.1}, {})
    started(service)
    until(lambda: len(service.starts()) == 4 and words(service) == "ready", "it has come through", 20)
    manager = service.backend.manager
    manager.stop(service.name)
    limit = service.backend.traits.runs_before_parked
    service.behave(*[dies] * (limit - 2), {})
    service.backend.intend(service.name, running=True)
    with contextlib.suppress(ServiceTimeoutError):
        manager.start(service.name)
    until(lambda: words(service) == "ready", "it comes through again", 20)


def test_exit_78_parks_at_once_and_survives_a_reboot_until_someone_starts_it(service: Service) -> None:
    backend = service.backend
    service.behave({"exit": 78, "ready": "never"})
    manager = installed(service)
    with pytest.raises(ServiceParkedError) as caught:
        start(service)
    assert service.name in str(caught.value)
    status = manager.status(service.name)
    assert (status.in_words(), status.parked, status.pid, status.exit_code) == ("parked", True, None, 78)
    throughout(1.5, lambda: len(service.starts()) == 1, "nothing starts it again")
    for _ in range(2):
        backend.reboot()
        throughout(1.0, lambda: len(service.starts()) == 1, "no reboot starts it")
        assert words(service) == ("parked" if backend.traits.remembers_parking else "down")
    service.behave({})
    start(service)
    status = manager.status(service.name)
    assert (status.in_words(), status.parked) == ("ready", False)
    before = pid_of(service)
    backend.kill(before)
    until(lambda: ready_again(service, before), "the policy holds again")


def test_exit_78_after_it_was_ready_parks_too(service: Service) -> None:
    service.behave({"exit": 78, "exit_after": 0.3})
    manager = started(service)
    until(lambda: manager.status(service.name).parked, "parked")
    throughout(1.5, lambda: len(service.starts()) == 1, "nothing starts it again")
    manager.stop(service.name)
    assert words(service) == "down"


def test_what_runs_is_back_after_a_reboot(service: Service) -> None:
    manager = started(service)
    before = service.starts()[-1]
    service.backend.reboot()
    until(lambda: len(service.starts()) == 2, "a start at boot", 30)
    until(lambda: words(service) == "ready", "ready after the boot", 30)
    assert len(service.running()) == 1
    assert not manager.status(service.name).parked
    assert service.starts()[-1].env.get("PATH") == before.env.get("PATH")


@pytest.mark.needs("boots_by_itself")
def test_what_is_not_to_start_at_boot_does_not(services: Callable[[], Service]) -> None:
    quiet, loud = services(), services()
    started(quiet, start_at_boot=False)
    installed(loud, start_at_boot=True)
    quiet.backend.reboot()
    until(lambda: words(loud) == "ready", "the other one is up", 30)
    assert words(quiet) == "down"
    assert len(quiet.starts()) == 1
    start(quiet)
    assert words(quiet) == "ready"


# what is told


def test_the_status_says_what_there_is_to_say(service: Service) -> None:
    manager = installed(service)
    down = manager.status(service.name)
    assert (down.name, down.registered, down.wanted, down.pid, down.parked) == (
        service.name, True, False, None, False,
    )  # fmt: skip
    assert (down.exit_code, down.exit_signal) == (None, None)
    before = time.time()
    start(service)
    up = manager.status(service.name)
    assert (up.running, up.ready, up.wanted, up.parked, up.answering) == (True, True, True, False, True)
    assert up.pid == service.starts()[0].pid
    assert up.since is not None
    assert before - 1.1 <= up.since <= time.time() + 0.1
    assert up.ready_since is None or up.since - 0.1 <= up.ready_since <= time.time() + 0.1
    assert up.restarts in (0, None)
    assert manager.status_all([service.name]) == {service.name: up}
    manager.stop(service.name)
    ended = manager.status(service.name)
    assert (ended.running, ended.ready, ended.wanted, ended.pid) == (False, False, False, None)
    assert ended.exit_code in (0, None)


def test_the_log_holds_what_the_service_said(service: Service) -> None:
    said = [f"line {number} — žluť" for number in range(40)]
    service.behave({"lines": said})
    manager = started(service)

    def heard(lines: int) -> list[str]:
        found = list(manager.logs(service.name, lines=lines))
        assert len(found) <= lines
        return spoken(found, "line ")

    until(lambda: said[-1] in heard(100), "the last line is in the log")
    assert heard(100) == said
    assert heard(10) == said[-len(heard(10)) :]
    if service.backend.traits.log_is_exact:
        assert len(heard(10)) == 10
    assert list(manager.logs(service.name, lines=0)) == []


def spoken(lines: list[str], word: str) -> list[str]:
    """What the program itself said that begins with `word`; an init may put the time before it."""
    return [line[line.index(word) :] for line in lines if word in line]


def test_a_followed_log_goes_on_with_new_lines_and_misses_none(service: Service) -> None:
    service.behave({"tick": 0.02})
    manager = started(service)
    until(lambda: list(manager.logs(service.name, lines=1)), "a first line")
    heard: Queue[str] = Queue()
    lines = service.backend.another().logs(service.name, lines=1000, follow=True)

    def read() -> None:
        for line in lines:
            heard.put(line)
            if line.endswith("tick 80"):
                return

    threading.Thread(target=read, daemon=True).start()
    ticks: list[str] = []
    while "tick 80" not in ticks:
        ticks += spoken([heard.get(timeout=10)], "tick ")
    assert ticks == [f"tick {number}" for number in range(81)]


# what is handed to the program


def test_the_environment_arrives_whatever_is_in_it(service: Service) -> None:
    installed(service, environment=AWKWARD)
    start(service)
    seen = service.starts()[0].env
    assert {name: seen.get(name) for name in AWKWARD} == AWKWARD


@pytest.mark.needs("any_program")
def test_arguments_arrive_whatever_is_in_them(service: Service) -> None:
    arguments = [value for name, value in AWKWARD.items() if name != "EMPTY"] + ["", "-x", "--", "last"]
    service.backend.manager.install(service.spec(*arguments))
    start(service)
    assert service.starts()[0].argv[2:] == arguments


@pytest.mark.needs("any_program")
def test_paths_may_hold_blanks_and_any_letters(service: Service) -> None:
    place = service.directory / 'a pläce with 100% of $HOME\'s "blanks" — ☃'
    if sys.platform == "win32":
        place = service.directory / "a pläce with 100% of $HOME's blanks — ☃"
    place.mkdir()
    place.chmod(0o777)
    service.behave({"lines": ["hello"]})
    log = place / "its own log.txt"
    manager = started(service, working_directory=place, stdout=log)
    assert service.starts()[0].cwd == str(place)
    until(lambda: log.exists() and "hello" in log.read_text("utf-8"), "the line is in the file")
    assert spoken(list(manager.logs(service.name)), "hello") == ["hello"]


@pytest.mark.needs("any_program")
def test_a_service_need_not_be_a_gateway(backend: Backend, services: Callable[[], Service]) -> None:
    other = services()
    other.name = other.name.replace("gateway-", "echo-server-")
    other.behave({})
    started(other)
    assert words(other) == "ready"
    assert other.name not in [f"gateway-{profile}" for profile in backend.manager.list_profile_gateways()]
