"""Whatever fits the description is answered as described, and what does not is refused: asked by a machine.

schemathesis reads the gateway's own /openapi.json and makes requests of it: the edges of every schema,
random ones, and chains that follow the links. It is a program of its own, beside pytest: there is no schema
before there is a gateway.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from hermes_cli.home import Home
from hermes_cli.processes.profile import registry_of

from .harness import TOKEN, Gateway, Yard, until

EXAMPLES = os.environ.get("EXAMPLES", "8")
"""Random requests for each operation, and random chains; more by hand."""

CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    *("response_headers_conformance", "response_schema_conformance", "negative_data_rejection"),
    *("positive_data_acceptance", "missing_required_header", "unsupported_method", "ignored_auth"),
    *("use_after_free", "allow_header_conformance", "ensure_resource_availability"),
)
"""All but two: one is about one user's things in another's hands, and a gateway has one owner; the other is
about how long an answer takes, and this machine does other things too."""

PROGRAMS = ("sh", "bash", "true", "echo", "sleep", "cat", "seq", "rm")
"""All that a command finds."""

HERE = Path(__file__).parent


@pytest.mark.timeout(960)
def test_the_gateway_does_what_its_description_says(yard: Yard, tmp_path: Path) -> None:
    # Nobody asks for waits of minutes of a process, and no command finds more than it needs.
    gateway = yard.start(yard.profile(), PATH=_programs(tmp_path / "bin"), TERMINAL_TIMEOUT="0.2").ready()
    try:
        told = _fuzz(gateway, tmp_path)
        assert gateway.client.readyz(), "it is as well as before"
        assert "a request failed" not in gateway.words()
        gateway.kill(signal.SIGTERM)
        assert gateway.ended() == 0
    finally:
        registry_of(Home.of(root=yard.root)).kill_all(grace=0)
    until("nobody is left", lambda: not _left(yard.root))
    never = {name for name, statuses in told.items() if not any(status < 300 for status in statuses)}
    assert never == set(), "an operation that was only ever refused was not looked at"


def _programs(directory: Path) -> str:
    directory.mkdir()
    for name in PROGRAMS:
        found = shutil.which(name)
        assert found is not None, name
        (directory / name).symlink_to(found)
    return str(directory)


def _fuzz(gateway: Gateway, scratch: Path) -> dict[str, set[int]]:
    """Let schemathesis ask; the statuses that each operation was answered with."""
    report = scratch / "asked.ndjson"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "openapi_fuzz.toml")),
            *("run", f"http://127.0.0.1:{gateway.port}/openapi.json"),
            *("--checks", ",".join(CHECKS), "--max-examples", EXAMPLES, "--continue-on-failure"),
            *("--report-ndjson-path", str(report)),
        ],
        cwd=scratch,
        env={
            **os.environ,
            "TOKEN": TOKEN,
            "SCHEMATHESIS_HOOKS": str(HERE / "openapi_hooks.py"),
            "NO_COLOR": "1",
        },
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return _statuses(report)


def _statuses(report: Path) -> dict[str, set[int]]:
    found: dict[str, set[int]] = defaultdict(set)
    for line in report.read_text("utf-8").splitlines():
        scenario = json.loads(line).get("ScenarioFinished")
        if scenario is None or scenario["phase"] not in ("coverage", "fuzzing"):
            continue
        recorder = scenario["recorder"]
        for asked in recorder["interactions"].values():
            if asked["response"] is not None:
                found[recorder["label"]].add(asked["response"]["status_code"])
    return found


def _left(root: Path) -> list[str]:
    """Processes that have to do with this home: gateways, keepers, commands."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str(root).encode() in (entry / "environ").read_bytes() and entry.name != str(os.getpid()):
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found
