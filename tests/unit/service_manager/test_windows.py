"""Windows: the task and its XML, the Startup folder in its place, schtasks in any language: over its fake."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hermes_cli.service_manager import (
    ConflictingInstallError,
    GatewayNotRegisteredError,
    HostCommandError,
    NoBusError,
    ServiceEditedError,
    ServiceManager,
    ServiceSpec,
    UnsupportedSpecError,
)
from hermes_cli.service_manager.console_text import decode_console
from hermes_cli.service_manager.installed import differences
from hermes_cli.service_manager.process_identity import start_of
from hermes_cli.service_manager.supervisor_files import State
from hermes_cli.service_manager.windows import WindowsServiceManager
from hermes_cli.service_manager.windows_task import task_xml
from tests.fakes.init import FakeInit
from tests.fakes.task_schema import MalformedTask, read_task, task_of
from tests.hosts.waiting import throughout, until

GOLDEN = Path(__file__).with_name("golden")
READY = "import os, time; open(os.environ['HERMES_NOTIFY_FILE'], 'w').write('x'); time.sleep(3600)\n"


def spec(name: str = "gateway-coder", program: str = READY, **fields: Any) -> ServiceSpec:
    values = {"start_timeout": 10.0, "stop_timeout": 5.0, **fields}
    return ServiceSpec(name, (sys.executable, "-S", "-c", program), **values)


class Machine:
    """A Windows of the test's own."""

    def __init__(self) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="hermes-win-"))
        self.init = FakeInit(self.base / "init", "schtasks", scale=0.005)
        self.startup = self.base / "Startup"
        self.startup.mkdir()

    def manager(self) -> WindowsServiceManager:
        return WindowsServiceManager(
            schtasks=os.fspath(self.init.program),
            local_data=self.base / "Löcal Data",
            startup=self.startup,
            user="HOST\\jörg",
            code_page="cp850",
        )

    def refuse(self) -> None:
        (self.init.directory / "denied").touch()

    def close(self) -> None:
        manager = self.manager()
        for name in ("gateway-coder", "gateway-default", "echo"):
            manager.uninstall(name)
        self.init.close()
        shutil.rmtree(self.base)


@pytest.fixture(params=["en", "de"])
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    one = Machine()
    (one.init.directory / "language").write_text(request.param)
    yield one
    one.close()


# what is written


def golden_xml() -> str:
    return task_xml(
        name="Hermes_Gateway_coder",
        description="Ein Gateway & <mehr>",
        command=(
            "C:\\Program Files\\Hermes\\pythonw.exe",
            "-I",
            "-S",
            "C:\\Program Files\\Hermes\\supervisor.py",
            'C:\\Users\\jörg\\100% "Data"\\spec.json',
        ),
        user="HOST\\jörg",
        directory="C:\\Users\\jörg\\AppData\\Local\\Hermes\\services\\gateway-coder",
        at_logon=True,
    )


def test_the_task_is_the_golden_one() -> None:
    assert golden_xml() == (GOLDEN / "windows-task.xml").read_text("utf-8")


def test_the_task_keeps_the_rules_of_the_schema() -> None:
    task = task_of(golden_xml())
    assert (task["delay"], task["interval"]) == (30.0, 60.0)
    assert task["command"] == "C:\\Program Files\\Hermes\\pythonw.exe"
    assert "<RunLevel>LeastPrivilege</RunLevel>" in golden_xml()
    assert "<ExecutionTimeLimit>PT0S</ExecutionTimeLimit>" in golden_xml(), "or it is ended after three days"
    quiet = golden_xml()
    quiet = quiet[: quiet.index("    <LogonTrigger>")] + quiet[quiet.index("  </Triggers>") :]
    assert task_of(quiet)["delay"] is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<UserId>HOST\\jörg</UserId>\n      <Delay>", "<Delay>"),
        ("PT30S", "30"),
        ("PT1M", "PT30S"),
        ("<Count>255</Count>", "<Count>256</Count>"),
        ("<Command>", "<Arguments>x</Arguments>\n<Command>"),
        ('Context="Author"', 'Context="Nobody"'),
        ("LeastPrivilege", "Limited"),
        ("2004/02", "2005/02"),
        ("<Hidden>false", "<Hidden>no"),
    ],
)
def test_the_rules_are_really_looked_at(before: str, after: str) -> None:
    assert before in golden_xml()
    with pytest.raises(MalformedTask):
        task_of(golden_xml().replace(before, after, 1))


def test_schtasks_is_given_utf_16(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = machine.base / "kept.xml"
    spy = machine.base / "spy"
    spy.write_text(
        f'#!/bin/sh\n[ "$4" != /XML ] || cp "$5" {kept}\n[ "$3" != /XML ] || cp "$4" {kept}\n'
        f"exec '{machine.init.program}' \"$@\"\n"
    )
    spy.chmod(0o755)
    manager = WindowsServiceManager(
        schtasks=os.fspath(spy),
        local_data=machine.base / "Löcal Data",
        startup=machine.startup,
        user="HOST\\jörg",
    )
    manager.install(spec(description="žluť"))
    assert kept.read_bytes()[:2] in (b"\xff\xfe", b"\xfe\xff")
    assert read_task(kept.read_bytes())["delay"] == 30.0
    assert "žluť" in kept.read_text("utf-16")


def test_task_names_are_the_contracts(machine: Machine) -> None:
    names = [machine.manager().task(name) for name in ("gateway-default", "gateway-coder", "echo")]
    assert names == ["Hermes_Gateway", "Hermes_Gateway_coder", "Hermes_echo"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("user", "somebody"),
        ("environment", {"Path": "a", "PATH": "b"}),
        ("description", "bell \a"),
        ("command", ("python",)),
    ],
)
def test_what_no_task_can_have_is_refused(machine: Machine, field: str, value: object) -> None:
    values: dict[str, Any] = {"name": "echo", "command": ("/bin/true",), field: value}
    with pytest.raises(UnsupportedSpecError) as caught:
        machine.manager().install(ServiceSpec(**values))
    assert caught.value.field == field


# where it runs


def test_a_task_starts_stops_and_comes_back_at_a_logon(machine: Machine) -> None:
    manager = machine.manager()
    manager.install(spec())
    assert manager.status("gateway-coder").in_words() == "down"
    throughout(0.3, lambda: not manager.is_running("gateway-coder"), "installing starts nothing")
    manager.start("gateway-coder")
    status = manager.status("gateway-coder")
    assert (status.in_words(), "scheduled task" in status.detail) == ("ready", True)
    machine.init.power_off(manager.state_root.glob("*/state.json"))
    assert not manager.is_running("gateway-coder")
    machine.init.run("fake-logon", os.fspath(machine.startup))
    until(lambda: manager.status("gateway-coder").ready, "ready after the logon")
    manager.stop("gateway-coder")
    assert manager.status("gateway-coder").in_words() == "down"


def test_a_killed_supervisor_is_restarted_by_the_task_scheduler(machine: Machine) -> None:
    manager = machine.manager()
    manager.install(spec())
    manager.start("gateway-coder")
    before = manager.status("gateway-coder").pid
    state = State.load(manager.directory("gateway-coder"))
    assert state is not None
    assert state.supervisor is not None
    os.kill(state.supervisor.pid, signal.SIGKILL)
    until(lambda: manager.status("gateway-coder").pid not in (None, before), "another process")
    until(lambda: manager.status("gateway-coder").ready, "ready")


def test_where_tasks_are_refused_the_startup_folder_stands_in_and_the_status_says_so(
    machine: Machine,
) -> None:
    machine.refuse()
    manager = machine.manager()
    manager.install(spec())
    assert [path.name for path in machine.startup.iterdir()] == ["Hermes_Gateway_coder.cmd"]
    assert differences(manager.render(spec())) == []
    manager.start("gateway-coder")
    status = manager.status("gateway-coder")
    assert status.ready
    assert "Startup folder" in status.detail
    assert "refused" in status.detail
    pid = status.pid
    manager.restart("gateway-coder")
    assert manager.status("gateway-coder").pid not in (None, pid)
    manager.stop("gateway-coder")
    manager.uninstall("gateway-coder")
    assert list(machine.startup.iterdir()) == []


def test_a_logon_starts_what_lies_in_the_startup_folder(machine: Machine) -> None:
    machine.refuse()
    manager = machine.manager()
    manager.install(spec())
    machine.init.run("fake-logon", os.fspath(machine.startup))
    until(lambda: manager.status("gateway-coder").ready, "ready after the logon")


def test_permission_that_comes_later_makes_it_a_task(machine: Machine) -> None:
    machine.refuse()
    manager = machine.manager()
    manager.install(spec())
    (machine.init.directory / "denied").unlink()
    manager.install(spec())
    assert list(machine.startup.iterdir()) == []
    assert "scheduled task" in manager.status("gateway-coder").detail
    manager.start("gateway-coder")


def test_a_task_and_a_startup_file_are_a_conflict_that_installing_ends(machine: Machine) -> None:
    manager = machine.manager()
    manager.install(spec())
    manager.startup_path("gateway-coder").write_text("@echo off\r\n")
    for verb in (manager.start, manager.stop):
        with pytest.raises(ConflictingInstallError):
            verb("gateway-coder")
    assert not manager.status("gateway-coder").answering
    manager.install(spec())
    manager.start("gateway-coder")


def test_not_at_a_logon_means_neither(machine: Machine) -> None:
    machine.refuse()
    manager = machine.manager()
    manager.install(spec(start_at_boot=False))
    assert list(machine.startup.iterdir()) == []
    manager.start("gateway-coder")
    assert manager.status("gateway-coder").ready


# what goes wrong


def test_what_was_changed_by_hand_is_kept_unless_forced(machine: Machine) -> None:
    manager = machine.manager()
    manager.install(spec())
    path = manager.directory("gateway-coder") / "spec.json"
    path.write_text(path.read_text().replace('"stop_timeout": 5.0', '"stop_timeout": 6.0'))
    with pytest.raises(ServiceEditedError):
        manager.install(spec())
    manager.install(spec(), force=True)
    assert differences(manager.render(spec())) == []


@pytest.mark.parametrize("how", ["running", "stopped", "missing", "task gone"])
def test_uninstalling_leaves_nothing_whatever_there_was(machine: Machine, how: str) -> None:
    manager = machine.manager()
    pid = None
    if how != "missing":
        manager.install(spec())
    if how == "running":
        manager.start("gateway-coder")
        pid = manager.status("gateway-coder").pid
    if how == "task gone":
        machine.init.run("/Delete", "/TN", "Hermes_Gateway_coder", "/F")
        assert not manager.status("gateway-coder").registered
    for _ in range(2):
        manager.uninstall("gateway-coder")
    assert not manager.directory("gateway-coder").exists()
    assert not machine.init.find("hermes_gateway_coder")["found"]
    assert pid is None or start_of(pid) is None


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "logs"])
def test_a_verb_on_what_is_not_installed_says_how_to_install_it(machine: Machine, verb: str) -> None:
    with pytest.raises(GatewayNotRegisteredError, match="gateway install"):
        getattr(machine.manager(), verb)("gateway-nobody")


def test_no_schtasks_at_all_is_said(machine: Machine) -> None:
    manager = WindowsServiceManager(
        schtasks="/nonexistent/schtasks", local_data=machine.base / "x", startup=machine.startup, user="x"
    )
    with pytest.raises(NoBusError, match="not there"):
        manager.install(spec())
    assert not manager.status("gateway-coder").answering


def test_what_schtasks_says_arrives_readable_whatever_its_language(machine: Machine) -> None:
    manager = machine.manager()
    monstrous = "#!/bin/sh\nprintf 'FEHLER: Ung\\201ltig - f\\201r \\201\\n' >&2\nexit 1\n"
    broken = machine.base / "broken"
    broken.write_text(monstrous)
    broken.chmod(0o755)
    manager = WindowsServiceManager(
        schtasks=os.fspath(broken), local_data=machine.base / "x", startup=machine.startup, code_page="cp850"
    )
    with pytest.raises(HostCommandError, match="FEHLER: Ungültig - für ü"):
        manager.install(spec())


@pytest.mark.parametrize(
    "encoding", ["cp437", "cp850", "cp1252", "utf-8", "utf-8-sig", "utf-16", "utf-16-le"]
)
def test_console_output_is_decoded_whatever_the_code_page(encoding: str) -> None:
    text = "ERFOLGREICH: für ö ä\r\n"
    assert decode_console(text.encode(encoding), encoding if encoding.startswith("cp") else None) == text


def test_rubbish_from_a_console_is_decoded_too() -> None:
    assert decode_console(b"\x80\xff\xfe") != ""
    assert decode_console(b"\xff\xfe\x00") is not None
    assert decode_console(b"\x84", "no such code page") == "ä"
    assert decode_console(b"") == ""


def test_the_status_of_fifty_asks_once(machine: Machine) -> None:
    manager = machine.manager()
    manager.install(spec())
    calls: list[tuple[str, ...]] = []
    real = manager._schtasks._run

    def count(*arguments: str) -> Any:
        calls.append(arguments)
        return real(*arguments)

    manager._schtasks._run = count  # type: ignore[method-assign]
    names = ["gateway-coder", *(f"gateway-p{number}" for number in range(49))]
    found = manager.status_all(names)
    assert [status.registered for status in found.values()] == [True] + [False] * 49
    assert len(calls) == 1


def test_it_is_a_service_manager(machine: Machine) -> None:
    manager: ServiceManager = machine.manager()
    assert isinstance(manager, ServiceManager)
    assert manager.kind == "windows"
    assert not manager.supports_runtime_registration()
