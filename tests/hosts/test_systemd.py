"""What only systemd has: two levels, a bus that may be missing, masks, linger, a journal. On real systemd."""

from __future__ import annotations

import random
import textwrap
import time
import unicodedata
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hermes_cli.service_manager import (
    ConflictingInstallError,
    GatewayNotRegisteredError,
    HostCommandError,
    NoBusError,
    PermissionDeniedError,
    RestartPolicy,
    ServiceError,
    ServiceMaskedError,
    ServiceParkedError,
    ServiceTimeoutError,
    UnsupportedSpecError,
)
from tests.hosts.backends import Behaviour, Service
from tests.hosts.backends.systemd import SystemdBackend, make
from tests.hosts.remote import Agent, RemoteServiceManager
from tests.hosts.waiting import throughout, until

pytestmark = [pytest.mark.xdist_group("hosts-systemd-user")]


@pytest.fixture(scope="module")
def host() -> Iterator[SystemdBackend]:
    made = make("systemd-user")
    yield made
    made.close()


@pytest.fixture
def services(host: SystemdBackend) -> Iterator[Callable[[], Service]]:
    made: list[Service] = []

    def new() -> Service:
        service = Service(host, f"gateway-{uuid.uuid4().hex[:10]}")
        service.behave({})
        made.append(service)
        return service

    yield new
    for one in made:
        one.remove()


@pytest.fixture
def service(services: Callable[[], Service]) -> Service:
    return services()


@pytest.fixture
def as_user(host: SystemdBackend) -> Iterator[Callable[..., RemoteServiceManager]]:
    """A manager in a process of another user, or with another environment."""
    agents: list[Agent] = []

    def become(user: str, level: str, **environment: str) -> RemoteServiceManager:
        agents.append(Agent(host.container.agent_command(user, environment)))
        return RemoteServiceManager(agents[-1], kind="systemd", level=level)

    yield become
    for agent in agents:
        agent.close()


def unit(service: Service) -> str:
    return f"hermes-{service.name}.service"


def systemctl(host: SystemdBackend, *words: str) -> str:
    """As alice types it."""
    done = host.container.exec("systemctl", "--user", *words, user="alice")
    return done.stdout.strip() + done.stderr.strip()


def shown(service: Service, name: str) -> str:
    assert isinstance(service.backend, SystemdBackend)
    return systemctl(service.backend, "show", "--value", "-p", name, unit(service))


def python(host: SystemdBackend, script: str, *arguments: str, **options: Any) -> tuple[int, str]:
    """Run a script with the library, as alice unless `user` says otherwise; its exit code and output."""
    options.setdefault("user", "alice")
    lines = f"import sys\nsys.path.insert(0, {str(REPOSITORY)!r})\n" + textwrap.dedent(script)
    done = host.container.exec("python3", "-B", "-c", lines, *arguments, **options)
    return done.returncode, done.stdout + done.stderr


REPOSITORY = Path(__file__).parents[2]


# who may, and what is missing


def test_a_shell_without_xdg_runtime_dir_finds_its_systemd(
    service: Service, as_user: Callable[..., RemoteServiceManager]
) -> None:
    manager = as_user("alice", "user", XDG_RUNTIME_DIR="")
    manager.install(service.spec())
    manager.start(service.name)
    assert list(manager.logs(service.name, lines=0)) == []
    assert manager.status(service.name).in_words() == "ready"


def test_a_user_without_a_systemd_of_his_own_is_told_to_linger(
    service: Service, as_user: Callable[..., RemoteServiceManager]
) -> None:
    verbs: list[Callable[[RemoteServiceManager], object]] = [
        lambda one: one.install(service.spec()),
        lambda one: one.start(service.name),
        lambda one: one.status(service.name),
    ]
    for manager in (as_user("bob", "user", XDG_RUNTIME_DIR=""), as_user("bob", "user")):
        for verb in verbs:
            with pytest.raises(NoBusError, match="loginctl enable-linger bob"):
                verb(manager)
        assert manager.status_all([service.name])[service.name].registered is False


def test_a_runtime_directory_of_somebody_else_is_named(
    service: Service, as_user: Callable[..., RemoteServiceManager]
) -> None:
    with pytest.raises(NoBusError, match="XDG_RUNTIME_DIR is /nowhere") as caught:
        as_user("alice", "user", XDG_RUNTIME_DIR="/nowhere").start(service.name)
    assert "/run/user/1000" in str(caught.value)


def test_root_is_told_that_it_has_no_services_of_a_user(
    service: Service, as_user: Callable[..., RemoteServiceManager]
) -> None:
    with pytest.raises(NoBusError, match="sudo -u USER"):
        as_user("root", "user").install(service.spec())


def test_a_user_may_look_at_the_systems_services_and_change_none(
    service: Service, as_user: Callable[..., RemoteServiceManager]
) -> None:
    root, alice = as_user("root", "system"), as_user("alice", "system")
    root.install(service.spec(user="alice"))
    try:
        for verb in (alice.start, alice.uninstall, lambda _: alice.install(service.spec())):
            with pytest.raises(PermissionDeniedError, match="sudo"):
                verb(service.name)
        root.start(service.name)
        assert service.starts()[-1].uid == 1000
        assert alice.status(service.name).in_words() == "ready"
        bob = as_user("bob", "system")

        def has_journal() -> bool:
            """Just after a boot there may be none yet, and then nothing that is not bob's to read."""
            try:
                return bool(list(bob.logs(service.name)))
            except PermissionDeniedError:
                return True

        until(has_journal, "a journal")
        for follow in (False, True):
            with pytest.raises(PermissionDeniedError, match="systemd-journal"):
                list(bob.logs(service.name, follow=follow))
        for verb in (alice.stop, alice.restart):
            with pytest.raises(PermissionDeniedError):
                verb(service.name)
        assert root.status(service.name).in_words() == "ready"
    finally:
        root.uninstall(service.name)


def test_without_systemctl_the_error_says_so(host: SystemdBackend) -> None:
    script = """
        import os
        from hermes_cli.service_manager import spawn, get_service_manager
        os.environ["PATH"], spawn._EXTRA_PATH = "/nowhere", "/nowhere"
        get_service_manager("systemd").start("gateway-x")
    """
    code, said = python(host, script)
    assert code == 1
    assert said.splitlines()[-1].endswith("could not start gateway-x: systemctl is not installed here")


def test_linger_is_seen_and_given(host: SystemdBackend) -> None:
    script = """
        from hermes_cli.service_manager.linger import enable_linger, linger_enabled
        print(linger_enabled("alice"), linger_enabled("bob"))
        enable_linger(sys.argv[1])
        print(linger_enabled("alice"), linger_enabled("bob"))
    """
    assert python(host, script, "alice") == (0, "True False\nTrue False\n")
    code, said = python(host, script, "bob", user="alice")
    assert code == 1
    assert "sudo loginctl enable-linger bob" in said.splitlines()[-1]
    try:
        assert python(host, script, "bob", user="root") == (0, "True False\nTrue True\n")
    finally:
        host.container.exec("loginctl", "disable-linger", "bob")


# what is in the way


def test_a_masked_service_is_not_started_and_not_replaced(host: SystemdBackend, service: Service) -> None:
    manager = host.manager
    systemctl(host, "mask", unit(service))
    try:
        assert manager.status(service.name).detail.startswith("masked")
        for verb in (manager.start, manager.restart, lambda _: manager.install(service.spec(), force=True)):
            with pytest.raises(ServiceMaskedError, match=r"unmask") as caught:
                verb(service.name)
        assert service.name in str(caught.value)
        manager.uninstall(service.name)
        assert "masked" in systemctl(host, "is-enabled", unit(service))
    finally:
        systemctl(host, "unmask", unit(service))


def test_a_service_at_both_levels_is_a_conflict_that_can_be_resolved(
    host: SystemdBackend, service: Service, as_user: Callable[..., RemoteServiceManager]
) -> None:
    root = as_user("root", "system")
    sudo = as_user("root", "system", SUDO_USER="alice")
    root.install(service.spec())
    try:
        with pytest.raises(ConflictingInstallError) as caught:
            host.manager.install(service.spec())
        assert len(caught.value.places) == 2
        root.uninstall(service.name)
        host.manager.install(service.spec())
        with pytest.raises(ConflictingInstallError):
            sudo.install(service.spec())
        root.install(service.spec())
        for manager in (sudo, host.manager):
            with pytest.raises(ConflictingInstallError):
                manager.start(service.name)
        host.manager.uninstall(service.name)
        root.start(service.name)
    finally:
        root.uninstall(service.name)


def test_a_unit_of_the_distribution_is_not_taken_over(
    host: SystemdBackend, as_user: Callable[..., RemoteServiceManager], service: Service
) -> None:
    other = Service(host, "systemd-journald")
    with pytest.raises(ConflictingInstallError, match=r"/systemd/system/systemd-journald\.service"):
        as_user("root", "system").install(other.spec())


def test_what_systemd_cannot_do_is_refused_before_anything_is_written(
    host: SystemdBackend, service: Service, as_user: Callable[..., RemoteServiceManager]
) -> None:
    with pytest.raises(UnsupportedSpecError, match="nobody-there"):
        as_user("root", "system").install(service.spec(user="nobody-there"))
    with pytest.raises(UnsupportedSpecError, match="user"):
        host.manager.install(service.spec(user="bob"))
    for value in ("\x00", "\x1b[1m", "\r", "\x7f", "\udcff", "\ufffe"):
        with pytest.raises(UnsupportedSpecError, match="VALUE"):
            host.manager.install(service.spec(environment={"VALUE": f"a{value}b"}))
    assert not host.manager.status(service.name).registered


def test_a_verb_on_what_is_not_installed_names_the_command_that_installs_it(host: SystemdBackend) -> None:
    for verb in (host.manager.start, host.manager.stop, host.manager.restart, host.manager.logs):
        with pytest.raises(GatewayNotRegisteredError, match="hermes -p nobody gateway install"):
            verb("gateway-nobody")


# parking


def test_a_persons_systemctl_start_ends_the_parking_for_the_next_boot_too(
    host: SystemdBackend, service: Service
) -> None:
    service.behave({"exit": 78, "ready": "never"}, {})
    host.manager.install(service.spec())
    with pytest.raises(ServiceParkedError, match="exit code 78"):
        host.manager.start(service.name)
    host.reboot()
    status = host.manager.status(service.name)
    assert (status.in_words(), "exit code 78" in status.detail) == ("parked", True)
    systemctl(host, "start", unit(service))
    assert host.manager.status(service.name).in_words() == "ready"
    host.reboot()
    until(lambda: host.manager.status(service.name).in_words() == "ready", "started at boot")


def test_a_crash_loop_stays_parked_over_a_reboot_and_over_reset_failed(
    host: SystemdBackend, service: Service
) -> None:
    service.behave({"exit": 1, "ready": "never"})
    host.manager.install(service.spec(start_timeout=20.0))
    with pytest.raises(ServiceParkedError, match="a crash loop"):
        host.manager.start(service.name)
    assert len(service.starts()) == 5
    host.reboot()
    throughout(1.0, lambda: len(service.starts()) == 5, "the boot does not start it")
    systemctl(host, "reset-failed", unit(service))
    status = host.manager.status(service.name)
    assert (status.in_words(), "crash loop" in status.detail) == ("parked", True)


def test_a_stop_that_goes_wrong_parks_nothing(host: SystemdBackend, service: Service) -> None:
    service.behave({"ignore_term": True})
    host.manager.install(service.spec())
    host.manager.start(service.name)
    systemctl(host, "stop", unit(service))
    assert shown(service, "Result") == "timeout"
    assert host.manager.status(service.name).in_words() == "down"
    host.reboot()
    until(lambda: host.manager.status(service.name).in_words() == "ready", "started at boot")


def test_a_long_run_makes_the_crashes_before_it_count_no_more(host: SystemdBackend, service: Service) -> None:
    long: Behaviour = {"exit": 1, "exit_after": 1.6}
    service.behave(*[long] * 3, {})
    policy = RestartPolicy(backoff=(0.2, 30.0), max_unclean_starts=2, window=1.0)
    host.manager.install(service.spec(restart=policy))
    host.manager.start(service.name)
    until(lambda: len(service.starts()) == 4, "three long runs are over", 20)
    gaps = [start - end for end, start in zip(ends(service), service.times("start")[1:], strict=False)]
    assert max(gaps) < 2, gaps


def ends(service: Service) -> list[float]:
    return [ready + 1.6 for ready in service.times("ready")]


def test_what_keeps_its_own_ledger_is_restarted_at_once_and_only_kept_from_looping(
    host: SystemdBackend, service: Service
) -> None:
    service.behave({"exit": 1, "ready": "never"})
    host.manager.install(service.spec(keeps_own_ledger=True, start_timeout=20.0))
    with pytest.raises(ServiceParkedError):
        host.manager.start(service.name)
    assert len(service.starts()) == 10
    times = service.times("start")
    assert times[-1] - times[0] < 9 * 0.6


# verbs at odd moments


def test_a_service_that_waits_for_its_restart_can_be_stopped_and_started(
    host: SystemdBackend, service: Service
) -> None:
    slow = RestartPolicy(first_delay=30.0, backoff=(30.0,))
    service.behave({"exit": 1, "ready": "never"}, {"exit": 1, "ready": "never"}, {})
    host.manager.install(service.spec(restart=slow, start_timeout=1.0))
    for _ in range(2):
        with pytest.raises(ServiceTimeoutError, match="auto-restart"):
            host.manager.start(service.name)
        assert host.manager.status(service.name).in_words() == "starting"
    began = time.monotonic()
    host.manager.start(service.name)
    assert host.manager.status(service.name).in_words() == "ready"
    host.kill(host.manager.status(service.name).pid or 0)
    until(lambda: host.manager.status(service.name).in_words() == "starting", "it waits")
    host.manager.stop(service.name)
    assert host.manager.status(service.name).in_words() == "down"
    assert time.monotonic() - began < 10


def test_a_start_of_what_is_starting_waits_for_it(host: SystemdBackend, service: Service) -> None:
    service.behave({"ready": 1.0})
    host.manager.install(service.spec())
    systemctl(host, "start", "--no-block", unit(service))
    until(lambda: len(service.starts()) == 1, "it is starting")
    host.manager.start(service.name)
    assert host.manager.status(service.name).in_words() == "ready"
    assert len(service.starts()) == 1


def test_a_unit_edited_without_daemon_reload_is_read_before_the_start(
    host: SystemdBackend, service: Service
) -> None:
    host.manager.install(service.spec())
    host.manager.start(service.name)
    host.manager.stop(service.name)
    path = Path("/home/alice/.config/systemd/user", unit(service))
    host.append(path, "[Service]\nEnvironment=BY_HAND=yes\n")
    host.manager.start(service.name)
    assert service.starts()[-1].env.get("BY_HAND") == "yes"


def test_a_unit_that_systemd_cannot_read_is_an_error_that_names_it(
    host: SystemdBackend, service: Service
) -> None:
    host.manager.install(service.spec())
    path = Path("/home/alice/.config/systemd/user", unit(service))
    host.append(path, "[Service]\nExecStart=\n")
    with pytest.raises(HostCommandError, match=r"bad unit file|bad-setting|not loaded properly"):
        host.manager.start(service.name)
    assert str(path) in host.manager.status(service.name).detail


def test_systemctl_disable_keeps_it_from_booting_and_install_brings_it_back(
    host: SystemdBackend, service: Service
) -> None:
    host.manager.install(service.spec())
    systemctl(host, "disable", unit(service))
    host.reboot()
    throughout(1.0, lambda: not service.starts(), "not started at boot")
    host.manager.install(service.spec())
    host.reboot()
    until(lambda: host.manager.status(service.name).in_words() == "ready", "started at boot")


# killed, and again

KILLED = """
    import os
    from hermes_cli.service_manager import ServiceSpec, get_service_manager
    left = int(sys.argv[3])
    places = ("hermes-gateway", "hermes-new", "hermes-services", "systemctl")
    def hook(event, arguments):
        global left
        if event in ("open", "os.rename", "os.remove", "os.mkdir", "os.posix_spawn", "os.chmod"):
            if any(place in str(arguments[:2]) for place in places):
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), 9)
    manager = get_service_manager("systemd")
    spec = ServiceSpec(sys.argv[1], ("/bin/sleep", "1000"), notify=False, environment={"A": "b"})
    sys.addaudithook(hook)
    manager.install(spec) if sys.argv[2] == "install" else manager.uninstall(spec.name)
"""


@pytest.mark.parametrize("verb", ["install", "uninstall"])
@pytest.mark.timeout(180)
def test_killed_at_any_step_it_is_completed_by_the_next_run(host: SystemdBackend, verb: str) -> None:
    manager = host.manager
    name = f"gateway-{uuid.uuid4().hex[:10]}"
    service = Service(host, name)
    spec = service.spec()
    spec = type(spec)(name, ("/bin/sleep", "1000"), notify=False, environment={"A": "b"})
    steps = 0
    while True:
        if verb == "uninstall":
            manager.install(spec)
            manager.start(name)
        code, said = python(host, KILLED, name, verb, str(steps))
        assert code in (0, 137, -9), said
        if verb == "install":
            assert not manager.status(name).running
            manager.install(spec)
            assert host.differences(spec) == []
            assert systemctl(host, "is-enabled", f"hermes-{name}.boot.service") == "enabled"
        manager.uninstall(name)
        assert not manager.status(name).registered
        left = host.container.exec("find", "/home/alice", "-name", f"*{name}*", "-o", "-name", ".hermes-new*")
        assert left.stdout == ""
        if code == 0:
            break
        steps += 1
    assert steps >= 12


@pytest.mark.timeout(180)
def test_killed_a_hundred_times_at_random_it_ends_as_the_policy_says(
    host: SystemdBackend, service: Service
) -> None:
    manager = host.manager
    # Room for a hundred: what is shown is that none is lost and none is doubled.
    policy = RestartPolicy(backoff=(0.1,), max_unclean_starts=101, window=3600.0)
    manager.install(service.spec(restart=policy))
    manager.start(service.name)
    chance = random.Random(20261121)
    for number in range(100):
        pid = until(lambda: manager.status(service.name).pid, f"a process after {number} kills") or 0
        time.sleep(chance.uniform(0, 0.1))  # not to be waited for: any moment of its life will do
        host.kill(pid)
        until(lambda gone=pid: manager.status(service.name).pid != gone, "it is gone")  # type: ignore[misc]
    until(lambda: manager.status(service.name).in_words() in ("ready", "parked"), "it is settled")
    status = manager.status(service.name)
    assert status.in_words() == "ready"
    assert status.restarts == 100
    assert service.running() == [status.pid]
    host.kill(status.pid or 0)
    until(lambda: manager.status(service.name).parked, "parked at the hundred and first")


# speed


def test_the_status_of_fifty_services_is_one_systemctl_and_quick(
    host: SystemdBackend, services: Callable[[], Service]
) -> None:
    names = []
    for _ in range(50):
        one = services()
        host.manager.install(one.spec())
        names.append(one.name)
    script = """
        import time
        from hermes_cli.service_manager import get_service_manager
        manager, count, fastest = get_service_manager("systemd"), 0, 9.9
        def hook(event, arguments):
            global count
            count += event == "os.posix_spawn"
        sys.addaudithook(hook)
        for _ in range(10):
            began = time.perf_counter()
            found = manager.status_all()
            fastest = min(fastest, time.perf_counter() - began)
        assert set(sys.argv[1:]) <= set(found), "missing"
        assert {found[name].in_words() for name in sys.argv[1:]} == {"down"}
        print(count, f"{fastest:.3f}")
    """
    code, said = python(host, script, *names)
    assert code == 0, said
    count, fastest = said.split()
    assert int(count) == 10
    assert float(fastest) < 0.3


# what is carried


@pytest.mark.timeout(120)
def test_whatever_is_carried_arrives_and_the_rest_is_refused(host: SystemdBackend, service: Service) -> None:
    chance = random.Random(20261121)
    special = "\"'\\ $%`;#!&|<>(){}[]*?~^\n\t=:,@-+\r\x01\x1b\x7f\x80\xa0\u2028\ufeffäλ☃🦊"
    letters = [letter for letter in map(chr, range(1, 0x3000)) if unicodedata.category(letter) != "Cs"]

    def word() -> str:
        pool = chance.choice([special, special, letters])
        return "".join(chance.choice(pool) for _ in range(chance.randrange(0, 12)))

    arguments = [word() for _ in range(300)] + [
        ";",
        "-",
        "$HOME",
        "${A}",
        "%n",
        "%%",
        "\\x41",
        "a\\",
        "\\\n",
        '"',
    ]
    environment = {}
    for number in range(300):
        value = word()
        if not any((ord(letter) < 32 and letter not in "\n\t") or letter == "\x7f" for letter in value):
            environment[f"V{number}"] = value
    place = service.directory / " odd 100% $HOME \"'\\ ☃ \\ "
    place.mkdir()
    place.chmod(0o777)
    spec = service.spec(*arguments, environment=environment, working_directory=place)
    host.manager.install(spec)
    host.manager.start(service.name)
    start = service.starts()[0]
    assert start.argv[2:] == arguments
    assert {name: start.env.get(name) for name in environment} == environment
    assert start.cwd == str(place)


def test_output_goes_to_the_file_of_the_specification_and_logs_reads_it(
    host: SystemdBackend, service: Service
) -> None:
    service.behave({"lines": ["one", "two", "three"]})
    log = service.directory / "not there yet" / "100%.log"
    host.manager.install(service.spec(stdout=log))
    host.manager.start(service.name)
    until(lambda: list(host.manager.logs(service.name, lines=2)) == ["two", "three"], "the last two lines")


def test_every_error_here_is_one_sentence_without_a_traceback() -> None:
    for error in (NoBusError("a", "start", "b"), HostCommandError("a", "start", "systemctl", 1, "x\ny\n")):
        assert isinstance(error, ServiceError)
        assert "\n" not in str(error)
