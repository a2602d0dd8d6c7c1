"""What /metrics of a real gateway says, idle and at work, as Prometheus' own parser reads it."""

from __future__ import annotations

import re
import time
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from hermes_cli.gateway.records import IntentRecord
from hermes_cli.gateway.run_api import RunBody
from hermes_cli.home import Home, save
from hermes_cli.processes.profile import registry_of
from hermes_cli.processes.types import Owner, StartRequest

from .harness import Gateway, Yard, until

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"
BASE_UNITS = ("_seconds", "_bytes")


def families(gateway: Gateway) -> dict[str, Metric]:
    status, headers, body = gateway.get("/metrics")
    assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    found = list(text_string_to_metric_families(body.decode()))
    assert len({family.name for family in found}) == len(found), "a family is there twice"
    return {family.name: family for family in found}


def value(gateway: Gateway, name: str, **labels: str) -> float | None:
    """The sum of the samples called `name` that have these labels; None where there is none."""
    found = [
        sample.value
        for family in families(gateway).values()
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    return sum(found) if found else None


def start(home: Home, command: str, **more: object) -> str:
    request = StartRequest(command=command, owner=Owner(session_key="me"), **more)  # type: ignore[arg-type]
    return registry_of(home).start(request).session_id


def test_an_idle_gateway_has_every_family_by_the_conventions_and_loads_nothing_for_it(yard: Yard) -> None:
    gateway = yard.start(yard.profile()).ready()
    found = families(gateway)
    for name, family in found.items():
        assert re.fullmatch("[a-z][a-z0-9_]*", name), name
        assert family.documentation.endswith("."), name
        assert family.type in ("gauge", "counter", "histogram"), name
        if family.type == "histogram":
            assert name.endswith(BASE_UNITS), name
    maps = Path(f"/proc/{gateway.process.pid}/maps").read_text()
    assert "apsw" not in maps
    assert value(gateway, "hermes_process_outbox_events") == 0
    assert value(gateway, "hermes_runs") == 0


def test_the_life_of_the_gateway_and_the_operators_wish_are_there(yard: Yard) -> None:
    home = yard.profile("coder")
    save(home.intent, IntentRecord(intent="running", requested_at=time.time()))
    gateway = yard.start(home).ready()
    assert value(gateway, "hermes_gateway_info", profile="coder") == 1
    assert value(gateway, "hermes_gateway_wanted") == 1
    assert value(gateway, "hermes_gateway_state", state="running") == 1
    assert value(gateway, "hermes_gateway_state") == 1
    began, ready = (
        value(gateway, name)
        for name in ("process_start_time_seconds", "hermes_gateway_ready_timestamp_seconds")
    )
    assert began is not None
    assert ready is not None
    assert began <= ready <= time.time()
    assert value(gateway, "hermes_gateway_restarts_total") == 0
    gateway.kill()
    gateway.ended()
    again = yard.start(home).ready()
    assert value(again, "hermes_gateway_restarts_total") == 1
    assert value(again, "hermes_gateway_recent_crashes") == 1
    assert value(again, "hermes_gateway_recent_crashes_limit") == 5


def test_requests_are_counted_by_route_and_timed(yard: Yard) -> None:
    gateway = yard.start(yard.profile()).ready()
    for _ in range(3):
        gateway.get("/v1/processes/proc_000000000000")
    gateway.get("/nothing", token="wrong")
    assert value(gateway, "hermes_gateway_requests_total", route="processes", status="404") == 3
    assert value(gateway, "hermes_gateway_requests_total", route="other", status="401") == 1
    assert value(gateway, "hermes_gateway_request_seconds_count", route="processes") == 3
    assert value(gateway, "hermes_gateway_request_seconds_bucket", route="processes", le="+Inf") == 3


def test_runs_are_counted_while_they_go_on_and_when_they_have_ended(yard: Yard) -> None:
    gateway = yard.start(yard.profile()).ready()
    held = gateway.client.runs.start(RunBody(message="while ! [ -e go ]; do sleep 0.05; done; exit 3"))
    until("it runs", lambda: value(gateway, "hermes_runs", state="running") == 1)
    (gateway.home.workspace / "go").touch()
    until("it failed", lambda: value(gateway, "hermes_runs_ended_total", outcome="failed") == 1)
    assert value(gateway, "hermes_runs") == 0
    assert value(gateway, "hermes_run_queue_seconds_count") == 1
    assert (value(gateway, "hermes_run_duration_seconds_sum") or 0) > 0
    assert (value(gateway, "hermes_run_store_bytes") or 0) > 1000
    assert held.run_id not in gateway.get("/metrics")[2].decode()


def test_processes_are_counted_whoever_started_them(yard: Yard) -> None:
    gateway = yard.start(yard.profile()).ready()
    identity = start(gateway.home, "printf 0123456789; exit 1", notify_on_complete=True)
    until("it ended", lambda: value(gateway, "hermes_processes_ended_total", state="exited") == 1)
    until("its word waits", lambda: value(gateway, "hermes_process_outbox_events") == 1)
    assert value(gateway, "hermes_processes_started_total") == 1
    assert value(gateway, "hermes_process_output_bytes_total") == 10
    assert value(gateway, "hermes_process_events_total", type="completion") == 1
    assert identity not in gateway.get("/metrics")[2].decode()


def test_suppressed_matches_are_counted(yard: Yard) -> None:
    gateway = yard.start(yard.profile()).ready()
    start(gateway.home, "for i in $(seq 50); do echo match; done; sleep 1000", watch_patterns=("match",))
    until(
        "one is told", lambda: (value(gateway, "hermes_process_events_total", type="watch_match") or 0) >= 1
    )
    registry_of(gateway.home).kill_all()


def test_a_broken_outbox_leaves_the_other_numbers(yard: Yard) -> None:
    home = yard.profile()
    home.processes.mkdir(mode=0o700)
    (home.processes / "outbox.db").write_bytes(b"rubbish" * 1000)
    gateway = yard.start(home).ready()
    start(home, "true", notify_on_complete=True)
    until("the problem is told", lambda: (value(gateway, "hermes_gateway_problems") or 0) >= 1)
    assert value(gateway, "hermes_process_outbox_events") is None
    assert value(gateway, "hermes_gateway_ready") == 1


def test_the_page_lists_what_a_gateway_exposes(yard: Yard) -> None:
    gateway = yard.start(yard.profile()).ready()
    gateway.get("/healthz")
    found = {
        name + ("_total" if family.type == "counter" else ""): (
            family.type,
            {label for sample in family.samples for label in sample.labels} - {"le"},
            family.documentation.removesuffix("."),
        )
        for name, family in families(gateway).items()
    }
    rows = re.findall(
        r"^\| `([a-z_]+)` \| (gauge|counter|histogram) \| (.*?) \| (.+?) \|$", PAGE.read_text(), re.M
    )
    of_the_page = {
        name: (kind, set(re.findall("`([a-z]+)`", labels)), meaning)
        for name, kind, labels, meaning in rows
        if not name.startswith(("hermes_installation_", "hermes_service_", "hermes_volume_"))
    }
    assert of_the_page == found
