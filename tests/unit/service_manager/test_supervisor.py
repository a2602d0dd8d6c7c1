"""The supervisor as a process: one service under it, whatever happens to either, the disk or the clock."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hermes_cli.service_manager import RestartPolicy, ServiceSpec
from hermes_cli.service_manager.launchd import LaunchdServiceManager
from hermes_cli.service_manager.process_identity import Process, boot_id, start_of
from hermes_cli.service_manager.supervisor_control import give_order
from hermes_cli.service_manager.supervisor_files import (
    Notify,
    State,
    Supervised,
    write_hold,
    write_order,
)
from tests.fakes.init import FakeInit
from tests.hosts.waiting import throughout, until

SUPERVISOR = Path(__file__).parents[3] / "hermes_cli/service_manager/supervisor.py"

READY = "import os; os.write(int(os.environ['HERMES_NOTIFY_FD']), b'\\n')\n"
NOTE = (
    "import os; os.write(os.open('starts', os.O_APPEND | os.O_CREAT | os.O_WRONLY), b'%d\\n' % os.getpid())\n"
)
STAY = "import time; time.sleep(3600)\n"


class Service:
    """A service directory, and supervisors begun in it by hand."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.supervisors: list[subprocess.Popen[bytes]] = []

    def install(self, program: str, *, notify: Notify = "descriptor", **fields: Any) -> None:
        spec = ServiceSpec(
            "echo",
            (sys.executable, "-S", "-c", NOTE + program),
            working_directory=self.directory,
            **{"restart": RestartPolicy(backoff=(0.2,)), "stop_timeout": 2.0, **fields},
        )
        text = Supervised.of(spec, log=self.directory / "output.log", notify=notify).encode()
        (self.directory / "spec.json").write_text(text)

    def begin(self, *prefix: str, **options: Any) -> subprocess.Popen[bytes]:
        """Begin a supervisor, as the init would."""
        command = [
            *(prefix or (sys.executable, "-I", "-S", str(SUPERVISOR))),
            str(self.directory / "spec.json"),
        ]
        process: subprocess.Popen[bytes] = subprocess.Popen(command, stderr=subprocess.PIPE, **options)
        self.supervisors.append(process)
        return process

    def state(self) -> State:
        return State.load(self.directory) or State()

    def until(self, phase: str, timeout: float = 10.0) -> State:
        until(lambda: self.state().phase == phase, f"{phase}; {self.state()}", timeout)
        return self.state()

    def starts(self) -> list[int]:
        try:
            return [int(line) for line in (self.directory / "starts").read_text().split()]
        except FileNotFoundError:
            return []

    def alive(self) -> list[int]:
        return [pid for pid in self.starts() if start_of(pid) is not None]

    def close(self) -> None:
        for process in self.supervisors:
            if process.poll() is None:
                process.kill()
            process.communicate()
        for pid in self.alive():
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    one = Service(tmp_path)
    yield one
    one.close()


def test_it_runs_the_program_tells_of_it_and_ends_it(service: Service) -> None:
    service.install(READY + "import sys; print('hello'); sys.stdout.flush()\n" + STAY)
    supervisor = service.begin()
    state = service.until("ready")
    assert state.child is not None
    assert [state.child.pid] == service.alive()
    supervisor.terminate()
    assert supervisor.wait(10) == 0
    assert service.alive() == []
    state = service.state()
    assert (state.phase, state.exit_signal, state.supervisor, state.child) == (
        "stopped",
        "SIGTERM",
        None,
        None,
    )
    assert (service.directory / "output.log").read_text() == "hello\n"


def test_the_environment_is_exactly_what_was_given(service: Service) -> None:
    names = {"with blank": "a\nb", "LC_ALL": "C", "_": "", "PWD": "elsewhere", "x": "%$\"'\\"}
    show = f"print({{k: os.environ.get(k) for k in {list(names)!r}}}, flush=True)"
    service.install(READY + show + "\n" + STAY, environment=names)
    service.begin(env={"PATH": os.environ["PATH"], "NOTIFY_SOCKET": "/somebody/elses"})
    service.until("ready")
    log = service.directory / "output.log"
    until(lambda: log.exists() and log.read_text().endswith("\n"), "the output")
    assert log.read_text() == f"{names}\n"


@pytest.mark.parametrize("command", ["/no/such/program", "/etc/passwd"])
def test_a_program_that_cannot_be_run_is_said_in_the_log_and_parked(service: Service, command: str) -> None:
    service.install("")
    found = json.loads((service.directory / "spec.json").read_text())
    found["command"] = [command]
    (service.directory / "spec.json").write_text(json.dumps(found))
    assert service.begin().wait(20) == 0
    assert service.state().phase == "parked"
    assert service.state().exit_code == 127
    assert f"cannot run {command}: " in (service.directory / "output.log").read_text()


def test_sd_notify_is_heard_too_and_may_ask_for_time(service: Service) -> None:
    program = (
        "import socket\n"
        "with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:\n"
        "    for m in (b'EXTEND_TIMEOUT_USEC=60000000', b'STATUS=x\\nREADY=1'):\n"
        "        s.sendto(m, os.environ['NOTIFY_SOCKET'])\n"
    )
    service.install(program + STAY)
    supervisor = service.begin()
    state = service.until("ready")
    assert 50 < state.start_by - time.monotonic() <= 60
    directory = Path(state.notify_directory or "/")
    assert directory.is_dir()
    supervisor.terminate()
    supervisor.wait(10)
    assert not directory.exists()


def test_readiness_may_be_told_by_a_file(service: Service) -> None:
    service.install("open(os.environ['HERMES_NOTIFY_FILE'], 'w').write('x')\n" + STAY, notify="file")
    service.begin()
    service.until("ready")


def test_a_ready_file_of_an_earlier_life_counts_for_nothing(service: Service) -> None:
    (service.directory / "ready").write_text("x")
    service.install(STAY, notify="file")
    service.begin()
    until(service.starts, "the program runs")
    throughout(0.5, lambda: service.state().phase == "starting", "it is not ready")


def test_a_second_supervisor_leaves_the_first_alone(service: Service) -> None:
    service.install(READY + STAY)
    service.begin()
    before = service.until("ready")
    assert service.begin().wait(10) == 0
    assert service.state() == before
    assert len(service.alive()) == 1


def test_a_killed_supervisors_program_is_ended_before_another_begins(service: Service) -> None:
    service.install(READY + STAY)
    first = service.begin()
    service.until("ready")
    first.kill()
    first.wait()
    assert len(service.alive()) == 1
    service.begin()
    until(lambda: len(service.starts()) == 2 and service.state().phase == "ready", "the second life")
    assert service.alive() == [service.starts()[1]]
    assert service.state().restarts == 0, "the program did not fail"


def test_what_ended_while_nobody_looked_counts_as_unclean(service: Service) -> None:
    service.install(READY + STAY)
    first = service.begin()
    service.until("ready")
    first.kill()
    first.wait()
    for pid in service.alive():
        os.kill(pid, signal.SIGKILL)
    service.begin()
    until(lambda: len(service.starts()) == 2 and service.state().phase == "ready", "the second life")
    assert service.state().restarts == 1


def test_the_count_goes_on_over_the_supervisors_own_death(service: Service) -> None:
    service.install("raise SystemExit(1)\n")
    for _ in range(2):
        supervisor = service.begin()
        until(lambda: len(service.state().unclean) == 2 or service.state().phase == "parked", "two ends")
        supervisor.kill()
        supervisor.wait()
    assert service.begin().wait(20) == 0
    assert service.state().phase == "parked"
    assert len(service.starts()) <= 6


def test_a_recycled_pid_is_nobodys_leftover(service: Service) -> None:
    service.install(READY + STAY)
    with subprocess.Popen([sys.executable, "-c", STAY]) as bystander:
        mine = Process.of(bystander.pid)
        State(phase="ready", child=mine._replace(start=mine.start - 1), boot=boot_id(), launched=True).save(
            service.directory
        )
        service.begin()
        service.until("ready")
        assert bystander.poll() is None
        bystander.kill()


def test_parked_stays_parked_until_a_start_is_ordered(service: Service) -> None:
    service.install("raise SystemExit(78)\n")
    assert service.begin().wait(10) == 0
    state = service.state()
    assert (state.phase, state.exit_code) == ("parked", 78)
    for boot in (boot_id(), "another boot"):
        state.boot = boot
        state.save(service.directory)
        assert service.begin().wait(10) == 0
    assert len(service.starts()) == 1
    service.install(READY + STAY)
    write_order(service.directory, "start")
    service.begin()
    assert service.until("ready").restarts == 0
    assert not (service.directory / "order").exists()


def test_after_a_boot_start_at_boot_decides(service: Service) -> None:
    for wanted in (False, True):
        service.install(READY + STAY, start_at_boot=wanted)
        State(phase="ready", boot="an earlier boot", unclean=[1e9] * 4).save(service.directory)
        supervisor = service.begin()
        if wanted:
            until(lambda: service.starts() and service.state().phase == "ready", "a start at boot")
            assert service.state().unclean == []
        else:
            assert supervisor.wait(10) == 0
            assert service.starts() == []


def test_a_hold_keeps_it_down_once_and_an_old_one_not_at_all(service: Service) -> None:
    service.install(READY + STAY)
    write_hold(service.directory)
    assert service.begin().wait(10) == 0
    assert service.starts() == []
    assert not (service.directory / "hold").exists()
    (service.directory / "hold").write_text(json.dumps([boot_id(), time.monotonic() - 61]))
    service.begin()
    service.until("ready")


def test_asked_to_stop_while_it_waits_it_ends_at_once(service: Service) -> None:
    service.install("raise SystemExit(1)\n", restart=RestartPolicy(first_delay=600.0))
    supervisor = service.begin()
    service.until("backing_off")
    began = time.monotonic()
    supervisor.terminate()
    assert supervisor.wait(10) == 0
    assert time.monotonic() - began < 5
    assert service.state().phase == "stopped"


def test_an_order_to_start_ends_the_waiting(service: Service) -> None:
    service.install("raise SystemExit(1)\n", restart=RestartPolicy(first_delay=600.0))
    service.begin()
    service.until("backing_off")
    service.install("raise SystemExit(1)\n")
    assert give_order(service.directory, "start")
    until(lambda: len(service.starts()) == 2, "another start")


def test_orders_need_the_token(service: Service) -> None:
    service.install(READY + STAY)
    service.begin()
    service.until("ready")
    control = json.loads((service.directory / "control.json").read_text())
    assert (service.directory / "control.json").stat().st_mode & 0o777 == 0o600
    for said in (
        b"stop\n",
        b"x stop\n",
        f"{control['token']} reboot\n".encode(),
        b"\0" * 300,
        b"\xff stop\n",
    ):
        with socket.create_connection(("127.0.0.1", control["port"]), timeout=5) as connection:
            connection.sendall(said)
            assert connection.recv(16) in (b"no\n", b"")
    assert service.state().phase == "ready"
    assert give_order(service.directory, "stop")
    service.until("stopped")


@pytest.mark.parametrize("rubbish", [b"", b"{", b"[]", b"null", b'{"phase": 7}', b"\xff" * 100, b"{}" * 9])
def test_a_state_that_cannot_be_read_is_no_state(service: Service, rubbish: bytes) -> None:
    service.install(READY + STAY)
    (service.directory / "state.json").write_bytes(rubbish)
    service.begin()
    service.until("ready")


@pytest.mark.parametrize("rubbish", [b"", b"{}", b'{"version": 99}', b"\xff"])
def test_a_specification_that_cannot_be_read_ends_it_for_good(service: Service, rubbish: bytes) -> None:
    (service.directory / "spec.json").write_bytes(rubbish)
    supervisor = service.begin()
    _, said = supervisor.communicate(timeout=10)
    assert supervisor.returncode == 0
    assert b"spec.json" in said
    assert b"Traceback" not in said


def test_a_clock_that_jumps_does_not_hurt(service: Service) -> None:
    """The wall clock goes back and forth by days at every look."""
    service.install("raise SystemExit(1)\n")
    jumping = (
        "import sys, time, random, runpy; real = time.time; "
        "time.time = lambda: real() + random.choice((-1e6, 0, 1e6)); "
        "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    began = time.monotonic()
    supervisor = service.begin(sys.executable, "-I", "-S", "-c", jumping, str(SUPERVISOR))
    assert supervisor.wait(20) == 0
    assert 0.6 <= time.monotonic() - began < 10
    assert len(service.starts()) == 5
    assert service.state().phase == "parked"


def test_a_disk_that_takes_nothing_stops_nothing(service: Service) -> None:
    """RLIMIT_FSIZE 0: every write to a file fails, as on a full disk."""
    service.install(STAY, notify="none")
    found = json.loads((service.directory / "spec.json").read_text())
    found["command"] = ["/bin/sleep", "3600"]
    (service.directory / "spec.json").write_text(json.dumps(found))
    (service.directory / "control.json").write_text("{}")
    full = (
        "import resource, signal, sys, runpy; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); "
        "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    supervisor = service.begin(sys.executable, "-I", "-S", "-c", full, str(SUPERVISOR))
    children = Path(f"/proc/{supervisor.pid}/task/{supervisor.pid}/children")
    until(lambda: "sleep" in commands(children), f"the program runs ({supervisor.poll()})")
    supervisor.terminate()
    assert supervisor.wait(10) == 0


def commands(children: Path) -> str:
    try:
        return " ".join(Path(f"/proc/{pid}/comm").read_text() for pid in children.read_text().split())
    except OSError:
        return ""


@pytest.fixture
def launchd() -> Iterator[FakeInit]:
    directory = Path(tempfile.mkdtemp(prefix="hermes-kill-"))
    init = FakeInit(directory / "init", "launchctl", scale=0.01)
    yield init
    init.close()
    shutil.rmtree(directory)


@pytest.mark.parametrize("end", ["ready", "parked"])
def test_killed_a_hundred_times_at_random_it_ends_with_one_child_in_the_state_of_the_policy(
    launchd: FakeInit, tmp_path: Path, end: str
) -> None:
    manager = LaunchdServiceManager(
        level="user", launchctl=str(launchd.program), home=launchd.directory.parent, uid=501
    )
    # A supervisor that is killed takes the reader of the readiness with it.
    program = "import signal, sys; sys.excepthook = lambda *_: signal.pause()\n" + NOTE + READY + STAY
    program = "import os\nif os.path.exists('end'): os._exit(78)\n" + program
    spec = ServiceSpec(
        "echo",
        (sys.executable, "-S", "-c", program),
        working_directory=tmp_path,
        start_timeout=10,
        stop_timeout=2,
    )
    manager.install(spec)
    manager.start("echo")
    service = Service(tmp_path)
    directory = manager.directory("echo")
    chance = random.Random(end)
    try:
        for _ in range(100):
            supervisor = until(lambda: running_pid(launchd), "launchd runs a supervisor")
            wait_for(chance.uniform(0, 0.08))
            kill(supervisor)
            assert len(service.alive()) <= 1
        if end == "parked":
            (tmp_path / "end").touch()
            for pid in service.alive():
                kill(pid)
        status: Callable[[], str] = lambda: manager.status("echo").in_words()  # noqa: E731
        until(lambda: status() == end, f"it ends {end}, and is {State.load(directory)}", 20)
        assert len(service.alive()) == (1 if end == "ready" else 0)
        if end == "ready":
            assert service.alive() == [manager.status("echo").pid]
    finally:
        manager.uninstall("echo")
        assert service.alive() == []


def running_pid(init: FakeInit) -> int:
    pid = init.find("gui/501/ai.hermes.echo").get("pid")
    return pid if isinstance(pid, int) else 0


def wait_for(seconds: float) -> None:
    """A random moment is what the case is about."""
    time.sleep(seconds)


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
