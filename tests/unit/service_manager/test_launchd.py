"""launchd: what is written, where it goes, and what launchctl's answers become, over its fake."""

from __future__ import annotations

import os
import plistlib
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hermes_cli.service_manager import (
    ConflictingInstallError,
    GatewayNotRegisteredError,
    HostCommandError,
    NoBusError,
    PermissionDeniedError,
    ServiceEditedError,
    ServiceError,
    ServiceManager,
    ServiceMaskedError,
    ServiceSpec,
    ServiceTimeoutError,
    UnsupportedSpecError,
)
from hermes_cli.service_manager.installed import differences
from hermes_cli.service_manager.launchd import LaunchdServiceManager, Level
from hermes_cli.service_manager.process_identity import start_of
from hermes_cli.service_manager.supervisor_files import State
from tests.fakes.init import FakeInit
from tests.hosts.waiting import throughout, until

GOLDEN = Path(__file__).with_name("golden")
READY = "import os; os.write(int(os.environ['HERMES_NOTIFY_FD']), b'\\n')\nimport time; time.sleep(3600)\n"


def spec(name: str = "gateway-coder", program: str = READY, **fields: object) -> ServiceSpec:
    values = {"start_timeout": 10.0, "stop_timeout": 5.0, **fields}
    return ServiceSpec(name, (sys.executable, "-S", "-c", program), **values)  # type: ignore[arg-type]


class Mac:
    """A Mac of the test's own."""

    def __init__(self) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="hermes-mac-"))
        self.init = FakeInit(self.base / "init", "launchctl", scale=0.05)
        self.root_init = self.base / "init/root-launchctl"
        text = self.init.program.read_text().replace("FAKE_UID=501", "FAKE_UID=0")
        self.root_init.write_text(text)
        self.root_init.chmod(0o755)

    def manager(self, level: Level = "user", uid: int | None = None) -> LaunchdServiceManager:
        uid = (0 if level == "system" else 501) if uid is None else uid
        return LaunchdServiceManager(
            level=level,
            launchctl=os.fspath(self.init.program if uid else self.root_init),
            root=self.base / "root",
            home=self.base / "home",
            uid=uid,
        )

    def set(self, name: str, *lines: str) -> None:
        (self.init.directory / name).write_text("\n".join(lines))

    def close(self) -> None:
        self.init.close()
        shutil.rmtree(self.base)


@pytest.fixture
def mac() -> Iterator[Mac]:
    one = Mac()
    yield one
    one.close()


# what is written


def fixed(level: Level = "user", uid: int = 501) -> LaunchdServiceManager:
    """A manager whose rendering is the same on every machine."""
    return LaunchdServiceManager(
        level=level,
        launchctl="/nonexistent/launchctl",
        root=Path("/"),
        home=Path("/Users/jörg & co"),
        uid=uid,
        python="/opt/hermes/bin/python3",
    )


AWKWARD = ServiceSpec(
    "gateway-coder",
    ("/opt/my programs/gate<way>", "a \"b\" 'c'", "100%", "$HOME", "žluť"),
    description="Ein Gateway & mehr",
    environment={"TOKEN": "se\ncret$%&<>", "EMPTY": ""},
    working_directory=Path("/Users/jörg & co/work"),
    stop_timeout=28.5,
)


@pytest.mark.parametrize("level", ["user", "system"])
def test_the_files_are_the_golden_ones(level: Level) -> None:
    supervisor = Path(sys.modules["hermes_cli.service_manager"].__file__ or "").with_name("supervisor.py")
    uid = 0 if level == "system" else 501
    user = "svc" if level == "system" else None
    rendered = fixed(level, uid).render(
        ServiceSpec(**{**{f: getattr(AWKWARD, f) for f in AWKWARD.__slots__}, "user": user})
    )
    for file, name in zip(rendered, (f"launchd-{level}.json", f"launchd-{level}.plist"), strict=True):
        text = f"{file.path} {file.mode:04o}\n" + file.content
        text = "\n".join(line for line in text.split("\n") if "hermes-body-sha256" not in line)
        golden = GOLDEN / name
        assert text.replace(os.fspath(supervisor), "SUPERVISOR") == golden.read_text("utf-8")


def test_the_property_list_says_what_launchd_is_to_do() -> None:
    _, plist = fixed().render(AWKWARD)
    job = plistlib.loads(plist.content.encode())
    assert job["Label"] == "ai.hermes.gateway-coder"
    assert job["KeepAlive"] == {"SuccessfulExit": False}
    assert job["ExitTimeOut"] > AWKWARD.stop_timeout
    assert job["ProgramArguments"][-1] == os.fspath(fixed().directory("gateway-coder") / "spec.json")
    assert job["LimitLoadToSessionType"] == "Background", "there is no session at the screen here"
    assert "se\ncret" not in plist.content, "what is readable for all holds no environment"


def test_labels_are_the_contracts() -> None:
    labels = [fixed().label(name) for name in ("gateway-default", "gateway-coder", "echo.server")]
    assert labels == ["ai.hermes.gateway", "ai.hermes.gateway-coder", "ai.hermes.echo.server"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("command", ("relative",)),
        ("command", ()),
        ("command", ("/a", "nul\0")),
        ("environment", {"A=B": "x"}),
        ("environment", {"A": "nul\0"}),
        ("user", "somebody"),
    ],
)
def test_what_no_job_can_have_is_refused(field: str, value: object) -> None:
    with pytest.raises(UnsupportedSpecError) as caught:
        fixed().render(ServiceSpec(**{"name": "echo", "command": ("/bin/true",), field: value}))  # type: ignore[arg-type]
    assert caught.value.field == field


# where it goes


def test_without_a_session_at_the_screen_it_goes_to_the_users_own_domain(mac: Mac) -> None:
    mac.set("domains", "system", "user/501")
    manager = mac.manager()
    manager.install(spec())
    manager.start("gateway-coder")
    assert mac.init.find("user/501/ai.hermes.gateway-coder")["found"]
    manager.uninstall("gateway-coder")
    assert not mac.init.find("user/501/ai.hermes.gateway-coder")["found"]


def test_a_label_in_two_domains_is_a_conflict_until_it_is_uninstalled(mac: Mac) -> None:
    manager = mac.manager()
    mac.set("domains", "system", "user/501")
    manager.install(spec())
    mac.set("domains", "system", "user/501", "gui/501")
    plist = manager.plist("gateway-coder")
    text = plist.read_text().replace("Background", "Aqua")
    plist.write_text(text)
    assert mac.init.run("bootstrap", "gui/501", os.fspath(plist)).returncode == 0
    for verb in (manager.start, manager.restart, lambda _: manager.install(spec(), force=True)):
        with pytest.raises(ConflictingInstallError) as caught:
            verb("gateway-coder")
        assert caught.value.places == ("gui/501", "user/501")
    manager.uninstall("gateway-coder")
    assert not manager.status("gateway-coder").registered
    manager.install(spec())
    manager.start("gateway-coder")
    manager.uninstall("gateway-coder")


def test_a_service_of_the_system_and_one_of_the_user_are_a_conflict(mac: Mac) -> None:
    system, user = mac.manager("system"), mac.manager()
    system.install(spec())
    with pytest.raises(ConflictingInstallError):
        user.install(spec())
    assert not user.plist("gateway-coder").exists()
    system.uninstall("gateway-coder")
    user.install(spec())
    user.uninstall("gateway-coder")


def test_a_service_of_the_system_takes_root(mac: Mac) -> None:
    with pytest.raises(PermissionDeniedError, match="sudo"):
        mac.manager("system", uid=501).install(spec())
    assert not mac.manager("system").plist("gateway-coder").exists()


# installing


def test_installing_does_not_start_whatever_launchd_does_when_it_loads(mac: Mac) -> None:
    manager = mac.manager()
    manager.install(spec())
    assert mac.init.find("gui/501/ai.hermes.gateway-coder")["runs"] == 1, "launchd did run its job"
    state = State.load(manager.directory("gateway-coder"))
    assert state is not None
    assert (state.phase, state.child, state.since > 0) == ("stopped", None, True)
    throughout(0.5, lambda: not manager.is_running("gateway-coder"), "it is down")
    assert manager.status("gateway-coder").in_words() == "down"


def test_installing_over_a_running_service_leaves_it_running_and_the_next_start_takes_the_new(
    mac: Mac,
) -> None:
    manager = mac.manager()
    manager.install(spec())
    manager.start("gateway-coder")
    pid = manager.status("gateway-coder").pid
    manager.install(spec(stop_timeout=7.0))
    assert manager.status("gateway-coder").pid == pid
    assert differences(manager.render(spec(stop_timeout=7.0))) == []
    manager.restart("gateway-coder")
    assert manager.status("gateway-coder").pid != pid
    assert not (manager.directory("gateway-coder") / "reload").exists()
    manager.uninstall("gateway-coder")


def test_what_was_changed_by_hand_is_kept_unless_forced(mac: Mac) -> None:
    manager = mac.manager()
    manager.install(spec())
    plist = manager.plist("gateway-coder")
    plist.write_text(plist.read_text().replace("<integer>1</integer>", "<integer>9</integer>"))
    with pytest.raises(ServiceEditedError, match="--force"):
        manager.install(spec())
    manager.install(spec(), force=True)
    assert differences(manager.render(spec())) == []


@pytest.mark.parametrize("share", range(12))
def test_a_killed_installer_is_completed_by_the_next(mac: Mac, share: int) -> None:
    """Killed before each call of it that changes something, one after the other."""
    manager = mac.manager()
    for step in range(1 + share, 200, 12):
        if killed_at(step, manager) == 0:
            break
        assert not manager.is_running("gateway-coder")
        manager.install(spec())
        assert differences(manager.render(spec())) == []
        assert manager.status("gateway-coder").in_words() == "down"
        manager.uninstall("gateway-coder")
        assert not manager.directory("gateway-coder").exists()
        assert not manager.plist("gateway-coder").exists()
    assert step > 1


def killed_at(step: int, manager: LaunchdServiceManager) -> int:
    """Install in a child that dies at its `step`-th change; 0 where it has come to its end before."""
    pid = os.fork()
    if pid == 0:
        left = step

        def count(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            changes = event in ("os.rename", "os.remove", "os.mkdir", "os.posix_spawn", "os.truncate")
            if changes or (event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            manager.install(spec())
        except BaseException:
            os._exit(3)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_two_installers_at_once_leave_one_whole_installation(mac: Mac) -> None:
    places = [os.fspath(mac.init.program), os.fspath(mac.base / "root"), os.fspath(mac.base / "home")]
    program = (
        f"import sys; sys.path[:0] = [{str(Path.cwd())!r}]; from pathlib import Path;"
        "from tests.unit.service_manager.test_launchd import LaunchdServiceManager, spec;"
        "tool, root, home = sys.argv[1:]; root, home = Path(root), Path(home);"
        "LaunchdServiceManager(level='user', launchctl=tool, root=root, home=home, uid=501).install(spec())"
    )
    both = [subprocess.Popen([sys.executable, "-c", program, *places]) for _ in range(2)]
    assert [one.wait(30) for one in both] == [0, 0]
    assert differences(mac.manager().render(spec())) == []
    assert mac.manager().status("gateway-coder").in_words() == "down"


# uninstalling


@pytest.mark.parametrize("how", ["running", "stopped", "unloaded", "missing", "half"])
def test_uninstalling_leaves_nothing_whatever_there_was(mac: Mac, how: str) -> None:
    manager = mac.manager()
    pid = None
    if how != "missing":
        manager.install(spec())
    if how in ("running", "unloaded"):
        manager.start("gateway-coder")
        pid = manager.status("gateway-coder").pid
    if how == "unloaded":
        assert mac.init.run("bootout", "gui/501/ai.hermes.gateway-coder").returncode == 0
    if how == "half":
        manager.plist("gateway-coder").unlink()
    for _ in range(2):
        manager.uninstall("gateway-coder")
    assert not manager.directory("gateway-coder").exists()
    assert not manager.plist("gateway-coder").exists()
    assert not mac.init.find("gui/501/ai.hermes.gateway-coder")["found"]
    assert pid is None or start_of(pid) is None


def test_it_can_be_installed_again_while_launchd_still_ends_the_last(mac: Mac) -> None:
    mac.set("slow")
    manager = mac.manager()
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + READY
    for _ in range(2):
        manager.install(spec(program=stubborn, stop_timeout=0.3))
        manager.start("gateway-coder")
        manager.uninstall("gateway-coder")
    manager.install(spec())
    manager.start("gateway-coder")
    manager.uninstall("gateway-coder")


# the verbs


def test_what_was_booted_out_by_hand_starts_again(mac: Mac) -> None:
    manager = mac.manager()
    manager.install(spec())
    manager.start("gateway-coder")
    assert mac.init.run("bootout", "gui/501/ai.hermes.gateway-coder").returncode == 0
    assert manager.status("gateway-coder").in_words() == "down"
    manager.start("gateway-coder")
    assert manager.status("gateway-coder").in_words() == "ready"
    manager.uninstall("gateway-coder")


def test_a_supervisor_that_hangs_is_ended_by_launchd_and_its_program_with_it(
    mac: Mac, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hermes_cli.service_manager.supervised._GRACE", 0.5)
    manager = mac.manager()
    manager.install(spec(stop_timeout=0.5))
    manager.start("gateway-coder")
    state = State.load(manager.directory("gateway-coder"))
    assert state is not None
    assert state.supervisor is not None
    assert state.child is not None
    os.kill(state.supervisor.pid, signal.SIGSTOP)
    manager.stop("gateway-coder")
    assert manager.status("gateway-coder").in_words() == "down"
    assert not state.child.alive()
    manager.start("gateway-coder")
    assert manager.status("gateway-coder").in_words() == "ready"
    manager.uninstall("gateway-coder")


def test_stopped_between_a_supervisors_death_and_the_next_it_stays_down(mac: Mac) -> None:
    manager = mac.manager()
    manager.install(spec())
    manager.start("gateway-coder")
    state = State.load(manager.directory("gateway-coder"))
    assert state is not None
    assert state.supervisor is not None
    os.kill(state.supervisor.pid, signal.SIGKILL)
    manager.stop("gateway-coder")
    assert manager.status("gateway-coder").in_words() == "down"
    throughout(0.5, lambda: not manager.is_running("gateway-coder"), "it stays down")


def test_a_supervisor_that_cannot_begin_is_a_timeout_with_its_own_words(
    mac: Mac, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hermes_cli.service_manager.supervised.SUPERVISOR_COMES", 1.0)
    manager = mac.manager()
    monkeypatch.setattr(manager, "_python", "/bin/false")
    monkeypatch.setattr("hermes_cli.service_manager.launchd.SUPERVISOR_COMES", 0.2)
    manager.install(spec())
    (manager.directory("gateway-coder") / "supervisor.err").write_text("Traceback\nOSError: no home\n")
    with pytest.raises(ServiceTimeoutError, match="OSError: no home"):
        manager.start("gateway-coder")
    assert not (manager.directory("gateway-coder") / "order").exists(), "no start is left for later"


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "logs"])
def test_a_verb_on_what_is_not_installed_says_how_to_install_it(mac: Mac, verb: str) -> None:
    with pytest.raises(GatewayNotRegisteredError, match="gateway install"):
        getattr(mac.manager(), verb)("gateway-nobody")


def test_disabled_in_launchd_is_masked(mac: Mac) -> None:
    mac.set("disabled", "ai.hermes.gateway-coder")
    with pytest.raises(ServiceMaskedError, match="launchctl enable"):
        mac.manager().install(spec())


def test_no_launchctl_at_all_is_said(mac: Mac) -> None:
    manager = LaunchdServiceManager(
        level="user", launchctl="/nonexistent/launchctl", home=mac.base / "home", uid=501
    )
    with pytest.raises(NoBusError, match="not installed"):
        manager.install(spec())


@pytest.mark.parametrize(
    ("code", "words", "kind"),
    [
        (1, "Operation not permitted", PermissionDeniedError),
        (150, "Not privileged to start service", PermissionDeniedError),
        (125, "Domain does not support specified action", NoBusError),
        (78, "Function not implemented", HostCommandError),
    ],
)
def test_what_launchctl_fails_with_becomes_a_type(
    mac: Mac, code: int, words: str, kind: type[ServiceError]
) -> None:
    broken = mac.base / "broken"
    broken.write_text(
        "#!/bin/sh\n"
        f"[ $1 != bootstrap ] || {{ echo 'Bootstrap failed: {code}: {words}' >&2; exit {code}; }}\n"
        f'exec {mac.init.program} "$@"\n'
    )
    broken.chmod(0o755)
    manager = LaunchdServiceManager(
        level="user", launchctl=os.fspath(broken), home=mac.base / "home", uid=501
    )
    with pytest.raises(kind) as caught:
        manager.install(spec())
    assert "gateway-coder" in str(caught.value)


def test_the_status_of_fifty_asks_launchd_nothing(mac: Mac) -> None:
    manager = mac.manager()
    names = [f"gateway-p{number}" for number in range(50)]
    manager.plist("gateway-p0").parent.mkdir(parents=True)
    for name in names:
        manager.plist(name).write_text("")
        manager.directory(name).mkdir(parents=True)
        State(phase="ready").save(manager.directory(name))
    manager._launchctl = None  # type: ignore[assignment]
    found = manager.status_all(names)
    assert list(found) == names
    assert all(status.registered for status in found.values())


def test_it_is_a_service_manager() -> None:
    assert isinstance(fixed(), ServiceManager)
    assert fixed().kind == "launchd"
    assert not fixed().supports_runtime_registration()
    with pytest.raises(NotImplementedError, match="gateway install"):
        fixed().register_profile_gateway("coder")


def test_crashes_are_restarted_by_the_policy_and_not_by_launchds_throttle(mac: Mac) -> None:
    manager = mac.manager()
    manager.install(spec())
    manager.start("gateway-coder")
    before = manager.status("gateway-coder").pid
    assert before is not None
    os.kill(before, signal.SIGKILL)
    until(
        lambda: manager.status("gateway-coder").ready and manager.status("gateway-coder").pid != before,
        "ready",
    )
    assert mac.init.find("gui/501/ai.hermes.gateway-coder")["runs"] == 2, "install's and start's"
    manager.uninstall("gateway-coder")
