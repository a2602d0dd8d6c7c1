"""The installation's metrics: what no gateway can say of itself once it is down."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from hermes_cli.cli.main import cli
from hermes_cli.status import ServiceReport, StatusReport
from hermes_cli.status.metrics import PARKED_REASONS, status_metrics


def report(*services: ServiceReport, home: Path | str = "/", **fields: object) -> StatusReport:
    values = {"healthy": True, "problems": [], "home": str(home), "services": list(services), **fields}
    return StatusReport(**values)  # type: ignore[arg-type]


def samples(report: StatusReport) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(status_metrics(report))
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def of(found: dict[tuple[str, frozenset[tuple[str, str]]], float], name: str, **labels: str) -> float | None:
    """The one sample of `name` that has these labels among its own."""
    wanted = set(labels.items())
    matching = [value for (one, has), value in found.items() if one == name and wanted <= has]
    assert len(matching) <= 1, f"{name} {labels} is ambiguous"
    return matching[0] if matching else None


READY = ServiceReport(
    service="gateway-default",
    profile="default",
    wanted="up",
    actual="ready",
    ready=True,
    uptime_seconds=12.5,
    restarts=2,
    last_exit="killed by SIGKILL",
    memory_bytes=30 << 20,
    cpu_seconds=1.25,
    active_runs=2,
    processes=3,
)
PARKED = ServiceReport(
    service="gateway-coder",
    profile="coder",
    wanted="up",
    actual="parked",
    restarts=5,
    parked_reason="crash loop: it ended uncleanly 5 times",
    parked_kind="crash_loop",
)
DASHBOARD = ServiceReport(service="dashboard", kind="dashboard", wanted="down")


def test_a_parked_gateway_is_told_apart_from_a_ready_one(tmp_path: Path) -> None:
    found = samples(report(READY, PARKED, DASHBOARD, home=tmp_path, healthy=False, problems=["parked"]))
    assert of(found, "hermes_installation_healthy") == 0
    assert of(found, "hermes_installation_problems") == 1
    assert of(found, "hermes_service_wanted", profile="coder") == 1
    assert of(found, "hermes_service_ready", profile="coder") == 0
    assert of(found, "hermes_service_parked", profile="coder", reason="crash_loop") == 1
    assert of(found, "hermes_service_parked", profile="coder", reason="config") == 0
    assert of(found, "hermes_service_state", profile="coder", state="parked") == 1
    assert of(found, "hermes_service_restarts_total", profile="coder") == 5
    assert of(found, "hermes_service_uptime_seconds", profile="coder") is None
    assert of(found, "hermes_service_ready", profile="default") == 1
    assert [of(found, "hermes_service_parked", profile="default", reason=one) for one in PARKED_REASONS] == [
        0,
        0,
        0,
    ]
    assert of(found, "hermes_service_last_exit_info", profile="default", exit="killed by SIGKILL") == 1
    assert of(found, "hermes_service_background_processes", profile="default") == 3
    assert of(found, "hermes_service_memory_bytes", profile="default") == 30 << 20
    assert of(found, "hermes_service_cpu_seconds_total", profile="default") == 1.25
    assert of(found, "hermes_service_active_runs", profile="default") == 2
    assert of(found, "hermes_service_active_runs", profile="coder") is None
    assert of(found, "hermes_service_wanted", service="dashboard", kind="dashboard") == 0
    free, size = of(found, "hermes_volume_free_bytes"), of(found, "hermes_volume_size_bytes")
    assert free is not None
    assert size is not None
    assert 0 <= free <= size


def test_parked_by_the_supervisor_alone_has_a_reason_too() -> None:
    found = samples(report(ServiceReport(service="gateway-default", profile="default", actual="parked")))
    assert of(found, "hermes_service_parked", reason="other") == 1


def test_a_held_volume_and_a_home_that_is_not_there_are_no_error(tmp_path: Path) -> None:
    found = samples(report(READY, home=tmp_path / "gone", volume_held="container 0123"))
    assert of(found, "hermes_volume_held") == 1
    assert of(found, "hermes_volume_free_bytes") is None


def test_what_a_file_says_cannot_forge_a_sample() -> None:
    hostile = 'x"} 1\nhermes_installation_healthy 1\n\\'
    found = samples(report(READY, flavour=hostile, healthy=False, problems=["x"]))
    assert of(found, "hermes_installation_healthy") == 0
    assert of(found, "hermes_installation_info", flavour=hostile) == 1


def test_every_family_has_help_a_type_and_a_name_by_the_conventions() -> None:
    families = list(text_string_to_metric_families(status_metrics(report(READY, PARKED, DASHBOARD))))
    assert len({family.name for family in families}) == len(families) > 10
    for family in families:
        assert family.documentation.endswith(".")
        assert family.type in ("gauge", "counter")
        assert all(sample.name.endswith("_total") == (family.type == "counter") for sample in family.samples)


@pytest.mark.parametrize("profiles", [1, 50])
def test_the_series_grow_with_the_profiles_alone(profiles: int) -> None:
    rows = [ServiceReport(service=f"gateway-p{n}", profile=f"p{n}") for n in range(profiles)]
    per_service = {
        name: count / profiles
        for name, count in _counted(samples(report(*rows))).items()
        if name.startswith("hermes_service_")
    }
    assert set(per_service.values()) <= {1, len(PARKED_REASONS)}


def _counted(found: dict[tuple[str, frozenset[tuple[str, str]]], float]) -> dict[str, int]:
    names = [name for name, _ in found]
    return {name: names.count(name) for name in names}


def test_the_command_prints_them_and_goes_with_no_other_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERMES_HOME", str(tmp_path))
    done = CliRunner().invoke(cli, ["status", "--metrics"], catch_exceptions=False)
    names = {family.name for family in text_string_to_metric_families(done.stdout)}
    assert {"hermes_service_wanted", "hermes_volume_free_bytes"} <= names
    refused = CliRunner().invoke(cli, ["status", "--metrics", "--json"])
    assert (refused.exit_code, refused.stdout) == (2, "")
