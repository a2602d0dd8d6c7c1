"""Without a password the dashboard is its user's alone, whoever else is on the machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.dashboard.browser import Dashboard, running

CLIENT = """
import os, socket, sys
os.setuid(int(sys.argv[2]))
connection = socket.socket()
connection.connect(("127.0.0.1", int(sys.argv[1])))
connection.sendall(b"GET / HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n")
while data := connection.recv(65536):
    sys.stdout.write(data.decode())
"""
NOBODY = 65534

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="whose a connection is, is known on Linux")


@pytest.fixture
def dashboard(tmp_path: Path) -> Iterator[Dashboard]:
    with running(tmp_path) as dashboard:
        yield dashboard


def as_user(uid: int, dashboard: Dashboard) -> str:
    arguments = [sys.executable, "-I", "-c", CLIENT, str(dashboard.port), str(uid)]
    return subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=20).stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_another_user_of_the_machine_gets_nothing(dashboard: Dashboard) -> None:
    answer = as_user(NOBODY, dashboard)
    assert answer.startswith("HTTP/1.1 403 ")
    assert "Set HERMES_DASHBOARD_PASSWORD" in answer
    assert "Gateways" not in answer
    assert as_user(0, dashboard).startswith("HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-for", ""),
        ("x-real-ip", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1"),
        ("via", "1.1 proxy"),
    ],
)
def test_whoever_comes_through_a_proxy_gets_nothing(dashboard: Dashboard, header: str, value: str) -> None:
    """Also one who claims to be on this machine: the proxy may have believed it."""
    answer = dashboard.client().get("/", **{header: value})
    assert answer.status == 403
