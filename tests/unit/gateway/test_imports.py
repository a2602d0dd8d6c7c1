"""What each part may import: a start that fails must fail fast, and commands must answer fast."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"asyncio", "starlette", "uvicorn", "anyio", "h11", "ssl", "yaml", "ruamel", "rich", "textual"}


def imported_by(statement: str) -> set[str]:
    program = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        "hermes_cli.gateway.run",
        "hermes_cli.gateway.lifecycle",
        "hermes_cli.gateway.client",
        "hermes_cli.gateway.supervision_log",
        "hermes_cli.gateway.lock",
        "hermes_cli.config",
    ],
)
def test_what_runs_before_the_server_or_without_it_imports_nothing_heavy(module: str) -> None:
    assert not imported_by(f"import {module}") & HEAVY


def test_the_command_imports_only_click() -> None:
    found = imported_by("import hermes_cli.cli.gateway")
    assert "click" in found
    assert not found & (HEAVY | {"msgspec"})


def test_the_server_leaves_out_what_it_does_not_use() -> None:
    found = imported_by("import hermes_cli.gateway.serve")
    assert {"uvicorn.server", "starlette.routing"} <= found
    unused = {"click", "multiprocessing", "uvicorn.main", "uvicorn.supervisors", "starlette.applications"}
    assert not found & (unused | {"yaml", "rich", "textual", "websockets", "httptools", "uvloop"})


def test_the_bare_uvicorn_serves_only_the_gateway() -> None:
    """Whoever imports the real one first keeps it, and the server works with that too."""
    found = imported_by("import uvicorn, hermes_cli.gateway.serve; assert uvicorn.run")
    assert "uvicorn.main" in found
