"""`hermes setup` in the container, where s6 keeps gateways up."""

from __future__ import annotations

import pytest

from tests.docker.containers import Docker


def test_it_ends_with_a_supervised_gateway_and_a_second_time_changes_nothing(engine: Docker) -> None:
    box = engine.boot("sleep", "infinity")
    first = box.json("setup", "--yes")
    assert (first["supervisor"], first["profile"]) == ("s6", "default")
    assert first["changed"] == ["the gateway of default is started"]
    assert first["gateway"]["actual"] == "ready"
    assert first["problems"] == []
    assert box.json("setup", "--yes")["changed"] == []
    assert box.hermes("chat", "-q", "echo hello").ok() == "hello\n"


@pytest.mark.timeout(90)
def test_another_profile_gets_its_agent_and_a_running_gateway_hears_of_a_change(engine: Docker) -> None:
    box = engine.boot("sleep", "infinity")
    made = box.json("-p", "coder", "setup", "--yes", "--command", "echo one")
    assert made["gateway"]["actual"] == "ready"
    assert box.hermes("-p", "coder", "chat", "-q", "two").ok() == "one two\n"
    changed = box.json("-p", "coder", "setup", "--yes", "--command", "echo three")["changed"]
    assert changed == ["the gateway of coder is restarted", "agent.command is echo three"]
    assert box.hermes("-p", "coder", "chat", "-q", "two").ok() == "three two\n"


def test_the_dashboard_gets_a_password_that_is_told_once(engine: Docker) -> None:
    box = engine.boot("sleep", "infinity")
    said = box.json("setup", "--yes", "--dashboard")
    assert len(said["dashboard_password"]) == 16
    assert box.json("setup", "--yes", "--dashboard")["dashboard_password"] is None
    assert "HERMES_DASHBOARD=1" in box.hermes("setup", "--yes").ok()
