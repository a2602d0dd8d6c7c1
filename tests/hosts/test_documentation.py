"""The examples of docs/service-manager.md do what they say on a real host."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.hosts.backends import Backend
from tests.hosts.backends.systemd import SystemdBackend

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs/service-manager.md").read_text("utf-8")

EXAMPLES: dict[str, str] = dict(re.findall(r"^```python\n# (.*?)\n(.*?)^```", PAGE, re.M | re.S))


def test_every_example_is_run_somewhere() -> None:
    assert len(EXAMPLES) == len(re.findall(r"^```python$", PAGE, re.M))
    assert set(EXAMPLES) == {
        "a host: systemd, launchd or Windows", "in the service", "a host: drift", "s6", "s6, and the hosts",
    }  # fmt: skip


@pytest.mark.only("systemd-user", "systemd-system")
@pytest.mark.parametrize("heading", [heading for heading in EXAMPLES if not heading.startswith("s6")])
def test_an_example_runs(backend: Backend, heading: str) -> None:
    assert isinstance(backend, SystemdBackend)
    program = f"import sys; sys.path.insert(0, {str(REPOSITORY)!r})\n{EXAMPLES[heading]}"
    user = "alice" if backend.name == "systemd-user" else "root"
    done = backend.container.exec("python3", "-B", "-c", program, user=user)
    assert done.returncode == 0, done.stderr
    if heading == "a host: drift":
        assert "outdated" in done.stdout
        assert "+ExecStart=:/bin/sleep 2000" in done.stdout
