"""What `status` says of gateways, whatever the supervisor, the files and the processes are like."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest

from hermes_cli import status
from hermes_cli.config import inspect_config
from hermes_cli.gateway.activity import ActivityRecord
from hermes_cli.gateway.identity import ProcessIdentity
from hermes_cli.gateway.records import Intent, IntentRecord, ParkedRecord, State, StateRecord
from hermes_cli.home import Home, Record, save
from hermes_cli.profiles import create_profile
from hermes_cli.service_manager import ServiceError, ServiceManagerKind, ServiceStatus
from hermes_cli.status import ServiceReport, StatusReport, collect, collecting
from hermes_cli.status.exits import logged_exits


class ScriptedS6:
    """Stands for an s6 whose services are in a given state; only looking is possible."""

    kind: ServiceManagerKind = "s6"

    def __init__(self, *services: ServiceStatus) -> None:
        self.services = {service.name: service for service in services}
        self.broken = False

    def status_all(self, names: list[str]) -> dict[str, ServiceStatus]:
        if self.broken:
            raise ServiceError("s6-svstat is not here")
        return {name: self.services.get(name, ServiceStatus(name, registered=False)) for name in names}

    def supports_runtime_registration(self) -> bool:
        return True

    def list_profile_gateways(self) -> list[str]:
        return [name.removeprefix("gateway-") for name in self.services if name.startswith("gateway-")]


@pytest.fixture(autouse=True)
def no_image(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("FLAVOUR_FILE", "VOLUME_HELD_FILE", "DASHBOARD_FILE"):
        monkeypatch.setattr(collecting, name, tmp_path / "none")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "home"
    root.mkdir()
    monkeypatch.setenv("HERMES_HOME", str(root))
    create_profile("coder", root=root)
    return root


def row(report: StatusReport, service: str = "gateway-coder") -> ServiceReport:
    return next(one for one in report.services if one.service == service)


def look(root: Path, *services: ServiceStatus) -> StatusReport:
    manager = ScriptedS6(ServiceStatus("gateway-default", registered=True), *services)
    return collect(root, manager)  # type: ignore[arg-type]


def write(root: Path, record: Record) -> None:
    home = Home.of("coder", root)
    path = {IntentRecord: home.intent, StateRecord: home.state, ParkedRecord: home.parked}[type(record)]
    save(path, record)


def intent(value: Intent) -> IntentRecord:
    return IntentRecord(intent=value, requested_at=time.time())


def state(value: State, identity: ProcessIdentity | None = None, **more: object) -> StateRecord:
    identity = identity or ProcessIdentity.own()
    return StateRecord(
        state=value,
        pid=identity.pid,
        pid_start=identity.start,
        boot_id=identity.boot_id,
        started_at=time.time() - 5,
        **more,  # type: ignore[arg-type]
    )


def up(*, ready: bool = True, pid: int = 77) -> ServiceStatus:
    return ServiceStatus(
        "gateway-coder",
        registered=True,
        running=True,
        ready=ready,
        wanted=True,
        pid=pid,
        since=time.time() - 60,
        restarts=0,
    )


def test_a_wanted_and_ready_gateway_is_healthy(root: Path) -> None:
    write(root, intent("running"))
    report = look(root, up())
    coder = row(report)
    assert (coder.wanted, coder.actual, coder.ready, coder.pid) == ("up", "ready", True, 77)
    assert coder.uptime_seconds == pytest.approx(60, abs=2)
    assert (coder.port, coder.url) == (8643, "http://127.0.0.1:8643")
    assert (report.healthy, report.problems) == (True, [])


def test_a_running_gateway_has_its_memory_its_time_and_its_runs(root: Path) -> None:
    write(root, intent("running"))
    write(root, state("running"))
    home, me = Home.of("coder", root), ProcessIdentity.own()
    home.run_dir.mkdir(exist_ok=True)
    record = ActivityRecord(pid=me.pid, pid_start=me.start, boot_id=me.boot_id, active_runs=2)
    save(home.activity, record)
    coder = row(look(root, up(pid=me.pid)))
    (resident,) = re.findall(r"VmRSS:\s*(\d+) kB", Path("/proc/self/status").read_text())
    assert coder.memory_bytes == pytest.approx(int(resident) * 1024, rel=0.2)
    assert coder.cpu_seconds == pytest.approx(time.process_time(), rel=0.2, abs=0.5)
    assert coder.active_runs == 2


def test_a_gateway_that_is_down_uses_nothing(root: Path) -> None:
    write(root, state("stopped", ProcessIdentity(1 << 22, 1, "another boot")))
    coder = row(look(root, ServiceStatus("gateway-coder", registered=True)))
    assert (coder.memory_bytes, coder.cpu_seconds, coder.active_runs) == (None, None, None)


def test_a_gateway_that_only_starts_is_not_healthy_yet(root: Path) -> None:
    write(root, intent("running"))
    report = look(root, up(ready=False))
    assert report.problems == ["gateway-coder: wanted up, but starting"]


def test_a_stopped_gateway_is_healthy_when_nobody_wants_it(root: Path) -> None:
    write(root, intent("stopped"))
    report = look(root, ServiceStatus("gateway-coder", registered=True))
    assert report.healthy
    assert row(report).actual == "down"


def test_a_wanted_gateway_that_is_down_is_a_problem(root: Path) -> None:
    write(root, intent("running"))
    report = look(root, ServiceStatus("gateway-coder", registered=True))
    assert report.problems == ["gateway-coder: wanted up, but down"]


def test_a_wanted_gateway_without_a_slot_is_a_problem(root: Path) -> None:
    write(root, intent("running"))
    assert look(root).problems == ["gateway-coder: wanted up, but not registered"]


@pytest.mark.parametrize("by_supervisor", [True, False], ids=["parked by s6", "parked before this boot"])
def test_a_parked_gateway_stays_wanted_and_says_why(root: Path, by_supervisor: bool) -> None:
    write(root, intent("running"))
    write(root, ParkedRecord(kind="config", reason="port 8643 is taken", parked_at=1.0))
    slot = ServiceStatus("gateway-coder", registered=True, parked=by_supervisor, exit_code=78)
    report = look(root, slot)
    coder = row(report)
    assert (coder.wanted, coder.actual) == ("up", "parked")
    assert coder.last_exit == "exit 78 (configuration)"
    assert report.problems == ["gateway-coder: parked: port 8643 is taken"]


def test_a_parked_gateway_that_was_then_stopped_is_no_problem(root: Path) -> None:
    write(root, intent("stopped"))
    write(root, ParkedRecord(kind="config", reason="port 8643 is taken", parked_at=1.0))
    report = look(root, ServiceStatus("gateway-coder", registered=True))
    assert report.healthy
    assert (row(report).actual, row(report).parked_reason) == ("down", "port 8643 is taken")


def test_a_gateway_waiting_before_its_next_start_says_so_with_its_last_end(root: Path) -> None:
    write(root, intent("running"))
    write(root, state("backing_off", restarts=3))
    log = root / "logs" / "supervision.jsonl"
    log.parent.mkdir(exist_ok=True)
    log.write_text(
        '{"ts":"2026-11-21T06:23:52Z","profile":"coder","event":"crashed","signal":"SIGSEGV"}\n'
        '{"ts":"2026-11-21T06:23:53Z","profile":"other","event":"exited","code":0}\n'
        '{"ts":"2026-11-21T06:2'
    )
    coder = row(look(root, up(ready=False, pid=os.getpid())))
    assert (coder.actual, coder.restarts, coder.last_exit) == ("backing off", 3, "killed by SIGSEGV")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b'{"intent": 7}', b"null"])
@pytest.mark.parametrize("name", ["gateway_intent.json", "gateway_state.json", "parked.json"])
def test_a_corrupt_file_is_a_message_on_its_row_and_no_more(root: Path, name: str, content: bytes) -> None:
    (Home.of("coder", root).path / name).write_bytes(content)
    report = look(root, up())
    assert name in row(report).message
    assert row(report).ready
    assert row(report, "gateway-default").message == ""


def test_a_broken_configuration_is_a_message_on_its_row(root: Path) -> None:
    Home.of("coder", root).config.write_text("gateway:\n  port: many\n")
    report = look(root, ServiceStatus("gateway-coder", registered=True))
    assert "config.yaml:2" in row(report).message
    assert (row(report).port, row(report).url) == (None, None)


def test_the_reason_of_a_parking_is_not_said_twice(root: Path) -> None:
    home = Home.of("coder", root)
    home.config.write_text("gateway:\n  port: many\n")
    reason = str(inspect_config(home).errors[0])
    write(root, intent("running"))
    write(root, ParkedRecord(kind="config", reason=reason, parked_at=time.time(), exit_code=78))
    own = ProcessIdentity.own()
    write(root, state("failed", ProcessIdentity(own.pid, own.start - 1, own.boot_id), message=reason))
    coder = row(look(root, ServiceStatus("gateway-coder", registered=True, parked=True)))
    assert (coder.actual, coder.parked_reason, coder.message) == ("parked", reason, "")


def test_a_gateway_without_a_supervisor_is_known_by_its_own_state(root: Path) -> None:
    write(root, state("running", host="0.0.0.0", port=9000))
    report = collect(root)
    coder = row(report)
    assert (coder.wanted, coder.actual, coder.ready, coder.pid) == ("up", "ready", True, os.getpid())
    assert coder.url == "http://127.0.0.1:9000"


def test_a_recycled_pid_is_not_taken_for_the_gateway(root: Path) -> None:
    own = ProcessIdentity.own()
    write(root, intent("running"))
    write(root, state("running", ProcessIdentity(own.pid, own.start - 1, own.boot_id)))
    report = collect(root)
    assert (row(report).actual, row(report).pid) == ("down", None)
    assert not report.healthy


def test_a_gateway_that_lives_while_its_slot_is_down_is_pointed_out(root: Path) -> None:
    write(root, state("running"))
    report = look(root, ServiceStatus("gateway-coder", registered=True))
    assert f"nothing supervises runs as pid {os.getpid()}" in row(report).message


def test_a_held_volume_is_unhealthy_and_names_the_holder(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    held = tmp_path / "held"
    held.write_text("container 12ab since noon\n")
    monkeypatch.setattr(collecting, "VOLUME_HELD_FILE", held)
    report = look(root, ServiceStatus("gateway-coder", registered=True))
    assert report.volume_held == "container 12ab since noon"
    assert not report.healthy


def test_a_supervisor_that_cannot_be_asked_is_a_problem_and_no_exception(root: Path) -> None:
    manager = ScriptedS6()
    manager.broken = True
    report = collect(root, manager)  # type: ignore[arg-type]
    assert "s6-svstat is not here" in report.problems


def test_static_services_appear_where_they_exist(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    toggle = tmp_path / "dashboard"
    toggle.write_text("off: HERMES_DASHBOARD is not set to 1\n")
    monkeypatch.setattr(collecting, "DASHBOARD_FILE", toggle)
    report = look(root, ServiceStatus("dashboard", registered=True, wanted=True))
    dashboard = row(report, "dashboard")
    assert (dashboard.kind, dashboard.wanted) == ("dashboard", "down")
    assert dashboard.message == "HERMES_DASHBOARD is not set to 1"
    assert report.healthy
    assert "slot-registrar" not in {one.service for one in report.services}


def test_asking_for_health_alone_reads_no_configuration(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Home.of("coder", root).config.write_text("gateway: [")
    report = collect(root, ScriptedS6(), configs=False)  # type: ignore[arg-type]
    assert row(report).message == ""


def test_the_package_offers_what_the_faces_use() -> None:
    assert set(status.__all__) == {
        "FLAVOUR_FILE",
        "GatewayList",
        "GatewayReport",
        "ServiceReport",
        "StatusReport",
        "collect",
        "exit_in_words",
    }


def test_a_pipe_in_the_place_of_the_log_holds_nobody_up(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    os.mkfifo(tmp_path / "logs" / "supervision.jsonl")
    assert logged_exits(tmp_path) == {}
