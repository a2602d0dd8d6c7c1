"""An installation in which nothing moves: the same gateways, runs, processes and words at any time."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from hermes_cli.config import ConfigError, Inspection
from hermes_cli.config.schema import Key
from hermes_cli.doctor import DoctorReport, Finding
from hermes_cli.gateway.process_api import Processes
from hermes_cli.gateway.run_api import EventPage, RunEvent, Runs, RunView, Sessions, SessionView
from hermes_cli.home import Home
from hermes_cli.processes.answers import answer
from hermes_cli.processes.types import Listing, Polled
from hermes_cli.status import ServiceReport, StatusReport
from tests.fakes.gateway import FakeGateway
from tests.unit.tui.stage import Stage

NOW = 1_800_000_000.0
HOSTILE = "\x1b[2J\x1b]0;hijacked\x07[bold red]no markup[/] <b>no html</b> \u202ebackwards"

RUN = "run_00000000000000a1"
ASKING = "run_00000000000000a2"
SESSION = "ses_00000000000000c1"
PROCESS = "proc_00000000aaa1"


def still_stage(root: Path) -> Stage:
    """Gateways in every state, for a person to look at."""
    stage = Stage(root, "coder", "writer", clock=lambda: NOW)
    stage.look = report
    for name in ("default", "coder"):
        stage.log(name, "".join(f"2026-01-02T03:04:{n:02} {name} took request {n}\n" for n in range(30)))
    stage.log("coder", f"{HOSTILE}\n")
    return stage


def report() -> StatusReport:
    return StatusReport(
        healthy=False,
        problems=["gateway-writer: it is parked", "the disk is nearly full"],
        supervisor="s6",
        services=[
            ServiceReport(
                service="gateway-default",
                profile="default",
                wanted="up",
                actual="ready",
                ready=True,
                pid=4711,
                uptime_seconds=99_000.0,
                restarts=0,
                port=8642,
                memory_bytes=28_400_000,
                cpu_seconds=990.0,
                active_runs=2,
                processes=3,
            ),
            ServiceReport(
                service="gateway-coder",
                profile="coder",
                wanted="up",
                actual="ready",
                ready=True,
                pid=4712,
                uptime_seconds=42.0,
                restarts=3,
                last_exit="killed by SIGKILL",
                port=8643,
                memory_bytes=31_000_000,
                cpu_seconds=2.1,
                active_runs=1,
                processes=1,
            ),
            ServiceReport(
                service="gateway-writer",
                profile="writer",
                wanted="up",
                actual="parked",
                last_exit="exit 78",
                parked_reason=f"config.yaml:3: gateway.port: 99999 is no port {HOSTILE}",
                parked_kind="config",
                port=8644,
                problem="it is parked",
            ),
            ServiceReport(
                service="dashboard", kind="dashboard", wanted="up", actual="ready", ready=True, pid=99
            ),
        ],
    )


def still_gateway(stage: Stage) -> AbstractContextManager[FakeGateway]:
    """What the gateway of `coder` answers."""
    fake = FakeGateway(Home.of("coder", stage.root))
    runs = [asking_run(), ended_run()]
    fake.answer("GET /v1/runs", Runs(runs=runs))
    for run in runs:
        fake.answer(f"GET /v1/runs/{run.run_id}", run)
    fake.waiting(f"GET /v1/runs/{RUN}/events", _page(ended_run(), _told(RUN, "failed")))
    fake.waiting(f"GET /v1/runs/{ASKING}/events", _page(asking_run(), _asks()))
    session = _session()
    fake.answer("GET /v1/sessions", Sessions(sessions=[session]))
    fake.answer(f"GET /v1/sessions/{SESSION}", session)
    fake.answer(f"GET /v1/sessions/{SESSION}/runs", Runs(runs=[ended_run()]))
    fake.answer(f"GET /v1/sessions/{SESSION}/log", _log())
    listing = [_listing(PROCESS, "running", 0), _listing("proc_00000000aaa2", "exited", 3)]
    fake.answer("GET /v1/processes", answer(Processes(environment="local", processes=listing)))
    polled = answer(_polled())
    fake.answer(f"GET /v1/processes/{PROCESS}", polled)
    fake.waiting(f"GET /v1/processes/{PROCESS}/output", polled)
    return fake.serving()


def findings(*_given: Any, **_named: Any) -> DoctorReport:
    """What `doctor.diagnose` finds."""
    bad = Finding(
        id="ports coder",
        status="error",
        message=f"port 8643 belongs to two profiles {HOSTILE}",
        remedy="choose another with 'hermes config set gateway.port'",
        fixable=True,
    )
    odd = Finding(id="disk", status="warning", message="the disk is nearly full", remedy="free some space")
    fine = [Finding(id=f"check-{n}", status="ok", message=f"what is number {n} is fine") for n in range(20)]
    return DoctorReport(ok=False, findings=[*fine, odd, bad])


SETTINGS = {
    "gateway.host": Key(str, "a host name or address as text", "127.0.0.1"),
    "gateway.port": Key(int, "a port number from 1 to 65535", 8642),
    "agent.command": Key(str, "a program and its arguments in one line, or nothing", ""),
}


def inspection(*_given: Any, **_named: Any) -> Inspection:
    """What `config_file.check_file` finds."""
    wrong = ConfigError(Path("config.yaml"), f"expected a port, got {HOSTILE}", line=3, key="gateway.port")
    return Inspection(
        values={"gateway.host": "127.0.0.1", "gateway.port": 8643, "agent.command": f"run {HOSTILE}"},
        sources={"gateway.host": "default", "gateway.port": "config.yaml", "agent.command": "environment"},
        errors=[wrong],
        warnings=[f".env: others may read it {HOSTILE}"],
    )


def asking_run() -> RunView:
    return _run(ASKING, "awaiting_approval", "rm -rf build/*", pending_approval_id="apr_1")


def ended_run() -> RunView:
    return _run(RUN, "failed", f"make test {HOSTILE}", exit_code=2, reason="it exited with 2")


def _run(run_id: str, status: Any, message: str, **more: Any) -> RunView:
    ended = status == "failed"
    return RunView(
        run_id=run_id,
        session_id=SESSION,
        status=status,
        last_event_id=f"{run_id}:{4 if ended else 2}",
        terminal_state="failed" if ended else None,
        active_controls=[] if ended else ["cancel", "approval"],
        pending_approval_id=more.get("pending_approval_id"),
        pending_clarify_id=None,
        agent="shell",
        message=message,
        workspace=None,
        attachments=[],
        provider=None,
        model=None,
        toolsets=[],
        source="tui",
        metadata={},
        created_at=NOW - 200,
        started_at=NOW - 199,
        ended_at=NOW - 100 if ended else None,
        deadline_at=None,
        cancel_requested_at=None,
        stalled=False,
        stalled_since=None,
        retry_of=None,
        exit_code=more.get("exit_code"),
        reason=more.get("reason", ""),
    )


def _events(run_id: str, *told: tuple[str, bool, dict[str, Any]]) -> list[RunEvent]:
    return [
        RunEvent(
            event_id=f"{run_id}:{seq}",
            seq=seq,
            run_id=run_id,
            session_id=SESSION,
            type=kind,
            created_at=NOW - 150 + seq,
            terminal=terminal,
            payload=payload,
        )
        for seq, (kind, terminal, payload) in enumerate(told, 1)
    ]


def _told(run_id: str, end: str) -> list[RunEvent]:
    return _events(
        run_id,
        ("started", False, {"agent": "shell"}),
        ("delta", False, {"text": "collecting\r\nrunning 12 tests: "}),
        ("delta", False, {"text": f"11 passed, 1 failed\n{HOSTILE}\n"}),
        (end, True, {"exit_code": 2, "reason": "it exited with 2"}),
    )


def _asks() -> list[RunEvent]:
    asked = {"approval_id": "apr_1", "description": "deletes files", "command": "rm -rf build/*"}
    return _events(ASKING, ("started", False, {"agent": "shell"}), ("approval_requested", False, asked))


def _page(run: RunView, events: list[RunEvent]) -> EventPage:
    return EventPage(
        run_id=run.run_id,
        events=events,
        cursor=events[-1].event_id,
        last_event_id=run.last_event_id,
        status=run.status,
        terminal_state=run.terminal_state,
    )


def _session() -> SessionView:
    return SessionView(
        session_id=SESSION,
        title=f"make test {HOSTILE}",
        runs=1,
        created_at=NOW - 200,
        last_active_at=NOW - 100,
        reset_at=None,
        active_run_id=None,
        latest_run_id=RUN,
    )


def _log() -> bytes:
    import msgspec

    said = (
        {"type": "message", "at": NOW - 200, "run_id": RUN, "text": f"make test {HOSTILE}\nand tell me"},
        {
            "type": "answer",
            "at": NOW - 100,
            "run_id": RUN,
            "status": "failed",
            "exit_code": 2,
            "reason": "it exited with 2",
            "text": f"11 passed, 1 failed\n{HOSTILE}\n",
        },
    )
    return b"".join(msgspec.json.encode(line) + b"\n" for line in said)


def _listing(process_id: str, status: Any, exit_code: int) -> Listing:
    return Listing(
        session_id=process_id,
        command=f"tail -f build.log {HOSTILE}",
        cwd="/srv/project",
        pid=815,
        started_at=NOW - 3700,
        uptime_seconds=3700.0,
        status=status,
        output_preview=f"one\ntwo {HOSTILE}\n",
        exit_code=exit_code if status == "exited" else None,
    )


def _polled() -> Polled:
    output = f"compiling\nlinking {HOSTILE}\nhalf a li"
    return Polled(
        session_id=PROCESS,
        command=f"tail -f build.log {HOSTILE}",
        status="running",
        pid=815,
        uptime_seconds=3700.0,
        output_preview=output,
        cursor=len(output.encode()),
        output=output,
        end_of_output=len(output.encode()),
    )
