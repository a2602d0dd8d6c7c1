"""What doctor says of a store of runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hermes_cli.doctor import stores
from hermes_cli.doctor.diagnosis import examine
from hermes_cli.doctor.model import Finding, Scene
from hermes_cli.runs.schema import VERSION
from hermes_cli.runs.store import Store, open_connection
from hermes_cli.runs.types import NewEvent, RunRequest
from hermes_cli.service_manager.process_identity import Process


def said(root: Path) -> list[Finding]:
    return examine(stores.CHECKS, lambda: Scene(root, None), fix=False).findings


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The default profile's, with one run at work."""
    (tmp_path / "config.yaml").write_text("")
    path = tmp_path / "state.db"
    connection = open_connection(path)
    made = Store(connection, clock=lambda: 1000.0)
    made.take_lease(_own(), lambda _: True)
    run, _ = made.create_run(
        "run_1", RunRequest(message="x"), agent="shell", on_conflict="queue", new_session_id="ses_1"
    )
    made.append(run, [NewEvent(type="started")] * 300, status="running")
    connection.close()
    return path


def _own() -> str:
    own = Process.of(os.getpid())
    return f"{own.pid}-{own.start}-{own.boot}"


def _beat(path: Path) -> None:
    connection = open_connection(path)
    Store(connection).beat()
    connection.close()


def test_a_sound_store_is_fine_and_none_at_all_too(store: Path, tmp_path: Path) -> None:
    _beat(store)
    assert [finding.status for finding in said(tmp_path)] == ["ok", "ok"]
    store.unlink()
    assert [finding.status for finding in said(tmp_path)] == ["ok", "ok"]


def test_a_damaged_page_and_a_missing_event_are_errors(store: Path, tmp_path: Path) -> None:
    _beat(store)
    connection = open_connection(store)
    connection.execute("DELETE FROM events WHERE seq = 7")
    connection.close()
    (finding, _) = said(tmp_path)
    assert (finding.id, finding.status, finding.fixable) == ("runs default", "error", False)
    assert "run_1 has 299 events" in finding.message
    data = bytearray(store.read_bytes())
    for at in range(8192, len(data), 4096):
        data[at : at + 64] = b"\xff" * 64
    store.write_bytes(data)
    assert said(tmp_path)[0].status == "error"
    store.write_bytes(b"no database at all, and long enough to be looked at" * 99)
    assert said(tmp_path)[0].status == "error"


def test_a_store_of_a_newer_hermes_is_said_to_be_that(store: Path, tmp_path: Path) -> None:
    _beat(store)
    connection = open_connection(store)
    connection.pragma("user_version", VERSION + 1)
    connection.close()
    assert f"version {VERSION + 1}" in said(tmp_path)[0].message


def test_a_gateway_that_lives_and_is_silent_about_its_runs_is_a_warning(store: Path, tmp_path: Path) -> None:
    (warning,) = [finding for finding in said(tmp_path) if finding.status == "warning"]
    assert warning.id == "runs-followed default"
    connection = open_connection(store)
    connection.execute("UPDATE lease SET holder = '1-1-another boot'")
    connection.close()
    assert [finding.status for finding in said(tmp_path)] == ["ok", "ok"], "a dead one is no gateway's fault"
