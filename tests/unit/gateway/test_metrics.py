"""The gateway's tallies: what they count, and that labels stay bounded whatever clients send."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hermes_cli.gateway.process_metrics import ProcessTally
from hermes_cli.gateway.request_metrics import ROUTES, RequestTally, route_of
from hermes_cli.gateway.run_metrics import OUTCOMES, STATES, RunTally
from hermes_cli.processes.types import EventType, State
from hermes_cli.runs.types import ACTIVE, TERMINAL, Run, RunRequest
from hermes_cli.serving.exposition import Metric, render


def samples(metrics: list[Metric]) -> dict[str, float]:
    """`name{label="value",…}` with labels in alphabetical order, to the value."""
    return {
        sample.name
        + "".join(f" {name}={value}" for name, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(render(metrics))
        for sample in family.samples
    }


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/healthz", "probe"),
        ("/metrics", "metrics"),
        ("/v1/status", "status"),
        ("/v1/runs", "runs"),
        ("/v1/runs/run_0123/events", "runs"),
        ("/v1/sessions/ses_1/runs", "sessions"),
        ("/v1/processes/proc_1/output", "processes"),
        ("/v1/events", "events"),
        ("/", "other"),
        ("", "other"),
        ("/v1", "other"),
        ("/v1/" + "x" * 9000, "other"),
        ("/healthz/", "other"),
        ('/v1/runs"} 1\n', "other"),
    ],
)
def test_a_path_is_counted_by_its_class(path: str, route: str) -> None:
    assert route_of(path) == route
    assert route in ROUTES


def test_a_client_that_tries_every_path_makes_no_series() -> None:
    tally = RequestTally()
    for number in range(1000):
        tally.answered("GET", f"/v1/runs/run_{number:012x}", 404, 0.002)
        tally.answered("GET", f"/{number}", 404, 0.2)
    found = samples(tally.metrics())
    assert found["hermes_gateway_requests_total method=GET route=runs status=404"] == 1000
    assert found["hermes_gateway_request_seconds_count route=other"] == 1000
    assert found["hermes_gateway_request_seconds_bucket le=0.0025 route=runs"] == 1000
    assert found["hermes_gateway_request_seconds_bucket le=0.1 route=other"] == 0
    assert len(found) == 2 + 2 * 14


def run(**fields: Any) -> Run:
    defaults: dict[str, Any] = {
        "run_id": "run_1",
        "session_id": "ses_1",
        "status": "completed",
        "agent": "shell",
        "request": RunRequest(message="x"),
        "created_at": 100.0,
    }
    return Run(**(defaults | fields))


def test_an_ended_run_is_counted_by_its_outcome_with_its_times(tmp_path: Path) -> None:
    tally = RunTally()
    tally.ended(run(terminal_state="failed", started_at=100.2, ended_at=110.0))
    tally.ended(run(terminal_state="cancelled", ended_at=101.0))  # before it began
    tally.ended(run(terminal_state="completed", started_at=99.0, ended_at=98.0))  # the clock was set back
    store = tmp_path / "state.db"
    store.write_bytes(b"x" * 100)
    store.with_name("state.db-wal").write_bytes(b"x" * 11)
    found = samples(tally.metrics({"running": 2, "queued": 1, "completed": 1}, 1, 3, store))
    assert {name: value for name, value in found.items() if "_ended_" in name and value} == {
        "hermes_runs_ended_total outcome=failed": 1,
        "hermes_runs_ended_total outcome=cancelled": 1,
        "hermes_runs_ended_total outcome=completed": 1,
    }
    assert found["hermes_run_queue_seconds_count"] == found["hermes_run_duration_seconds_count"] == 2
    assert found["hermes_run_queue_seconds_sum"] == pytest.approx(0.2)
    assert found["hermes_run_duration_seconds_sum"] == pytest.approx(9.8)
    assert (found["hermes_runs state=running"], found["hermes_runs state=queued"]) == (2, 1)
    assert "hermes_runs state=completed" not in found
    assert (found["hermes_runs_stalled"], found["hermes_run_streams"]) == (1, 3)
    assert found["hermes_run_store_bytes"] == 111


def test_every_state_of_runs_processes_and_events_has_its_series(tmp_path: Path) -> None:
    assert set(STATES) == ACTIVE | {"queued"}
    assert set(OUTCOMES) == TERMINAL
    found = samples(ProcessTally().metrics(None, None))
    labels = {name.partition("=")[2] for name in found if "=" in name}
    assert labels == {*State.__args__, *EventType.__args__}  # type: ignore[attr-defined]


def kept(identity: str, state: str, output: int, *, at_end: bool = False) -> Any:
    """What a `Kept` is to a tally."""
    return SimpleNamespace(
        spec=SimpleNamespace(id=identity),
        status=SimpleNamespace(state=state, output_bytes=output if at_end else None),
        spool=SimpleNamespace(end=lambda: output),
    )


def test_processes_are_counted_once_however_often_one_looks() -> None:
    tally = ProcessTally(["old", "done"])
    tally.look(["old", "done"], [kept("old", "running", 1000), kept("done", "exited", 5, at_end=True)])
    assert samples(tally.metrics(None, 0))["hermes_processes_started_total"] == 0
    old, a, b = kept("old", "killed", 1010, at_end=True), kept("a", "running", 7), kept("b", "exited", 3)
    for seen in ([old, a, b], [old, a], [old, a, b]):  # b could not be read once
        tally.look(["old", "done", "a", "b"], seen)
    tally.look(["a"], [kept("a", "exited", 20, at_end=True)])  # the others are removed
    found = samples(tally.metrics(Counter(completion=2, suppressed=9), 4))
    assert found["hermes_processes_started_total"] == 2
    assert found["hermes_processes_ended_total state=killed"] == 1
    assert found["hermes_processes_ended_total state=exited"] == 2
    assert found["hermes_process_output_bytes_total"] == 10 + 20 + 3
    assert (found["hermes_processes state=exited"], found["hermes_processes state=running"]) == (1, 0)
    assert found["hermes_process_events_total type=completion"] == 2
    assert found["hermes_process_matches_suppressed_total"] == 9
    assert found["hermes_process_outbox_events"] == 4


def test_where_the_outbox_was_not_opened_its_size_is_missing_and_not_zero() -> None:
    assert "hermes_process_outbox_events" not in samples(ProcessTally().metrics(None, None))


def test_the_tallies_import_nothing_of_what_they_count() -> None:
    modules = "metrics, process_metrics, request_metrics, run_metrics"
    program = f"import sys; from hermes_cli.gateway import {modules}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "hermes_cli.serving.exposition" in loaded
    assert not {
        name for name in loaded if name.startswith(("apsw", "hermes_cli.runs", "hermes_cli.processes"))
    }
