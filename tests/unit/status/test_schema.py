"""What scripts read has a schema in docs/, and what is printed obeys it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from hermes_cli.gateway.activity import ActivityRecord
from hermes_cli.gateway.identity import ProcessIdentity
from hermes_cli.gateway.records import IntentRecord, ParkedRecord, StateRecord
from hermes_cli.home import Home, save
from hermes_cli.profiles import create_profile, seed_home
from hermes_cli.status import GatewayList, GatewayReport, StatusReport

DOCS = Path(__file__).parents[3] / "docs"
SCHEMAS = {
    "status": (StatusReport, "hermes status --json"),
    "gateway-list": (GatewayList, "hermes gateway list --json"),
    "gateway-status": (GatewayReport, "hermes gateway status --json"),
}


def schema_of(kind: type, title: str) -> dict[str, Any]:
    """The schema of `kind`: every field is always there, and readers must bear with new ones."""
    schema = msgspec.json.schema(kind)
    for definition in schema["$defs"].values():
        definition["required"] = list(definition["properties"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **schema}


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_schema_in_the_papers_is_the_program_s(name: str) -> None:
    path, wanted = DOCS / f"{name}.schema.json", schema_of(*SCHEMAS[name])
    if os.environ.get("HERMES_WRITE_SCHEMAS") == "1":
        path.write_text(json.dumps(wanted, indent=2) + "\n")
    assert json.loads(path.read_text("utf-8")) == wanted, "HERMES_WRITE_SCHEMAS=1 writes it anew"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A stopped profile, one that runs, one that is parked, one that is broken."""
    root = tmp_path / "home"
    seed_home(Home.of(root=root), 18642)
    for name in ("up", "parked", "broken"):
        create_profile(name, root=root)
    me = ProcessIdentity.own()
    up = Home.of("up", root)
    up.run_dir.mkdir(exist_ok=True)
    identity = {"pid": me.pid, "pid_start": me.start, "boot_id": me.boot_id}
    save(up.intent, IntentRecord(intent="running", requested_at=1.0))
    save(up.state, StateRecord(state="running", started_at=time.time() - 5, **identity))  # type: ignore[arg-type]
    save(up.activity, ActivityRecord(active_runs=2, **identity))  # type: ignore[arg-type]
    parked = Home.of("parked", root)
    save(parked.intent, IntentRecord(intent="running", requested_at=1.0))
    save(parked.parked, ParkedRecord(kind="config", reason="port 1 is taken", parked_at=1.0))
    Home.of("broken", root).config.write_text("gateway: [\n")
    Home.of("broken", root).intent.write_text("{")
    return root


def hermes(root: Path, *words: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "hermes_cli.cli.main", *words],
        env={"PATH": os.environ["PATH"], "HERMES_HOME": str(root)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("status", ["status"]),
        ("gateway-list", ["gateway", "list"]),
        *(("gateway-status", ["-p", profile, "gateway", "status"]) for profile in ("up", "parked", "broken")),
    ],
    ids=str,
)
def test_what_is_printed_obeys_its_schema(root: Path, name: str, words: list[str]) -> None:
    schema = json.loads((DOCS / f"{name}.schema.json").read_text("utf-8"))
    said = hermes(root, *words, "--json")
    jsonschema_rs.validator_for(schema).validate(said)
    assert said["version"] == 1


def test_the_schema_refuses_what_a_script_could_not_read(root: Path) -> None:
    schema = json.loads((DOCS / "gateway-status.schema.json").read_text("utf-8"))
    validator = jsonschema_rs.validator_for(schema)
    said = hermes(root, "-p", "up", "gateway", "status", "--json")
    assert validator.is_valid(said)
    assert validator.is_valid(said | {"a_field_of_tomorrow": 1})
    assert not validator.is_valid(said | {"actual": "fine"})
    assert not validator.is_valid({name: value for name, value in said.items() if name != "pid"})


def test_the_three_tell_the_same_of_a_gateway(root: Path) -> None:
    lasting = ("uptime_seconds", "memory_bytes", "cpu_seconds")

    def still(one: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in one.items() if name not in (*lasting, "version")}

    (everywhere,) = [one for one in hermes(root, "status", "--json")["services"] if one["profile"] == "up"]
    listed = {one["profile"]: one for one in hermes(root, "gateway", "list", "--json")["gateways"]}
    alone = hermes(root, "-p", "up", "gateway", "status", "--json")
    assert still(everywhere) == still(listed["up"]) == still(alone)
    assert alone["active_runs"] == 2
    assert alone["memory_bytes"] > 1_000_000
    assert listed["parked"]["parked_reason"] == "port 1 is taken"
