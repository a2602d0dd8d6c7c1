"""`hermes setup` on a host with systemd: from nothing to a gateway that comes back after a reboot."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.hosts.test_gateway_commands import Host
from tests.hosts.waiting import until

pytestmark = [pytest.mark.xdist_group("hosts-commands"), pytest.mark.timeout(150)]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    made = Host(tmp_path_factory.mktemp("host"))
    yield made
    made.container.close()


def test_one_command_makes_a_gateway_that_stays(host: Host) -> None:
    said = json.loads(host.ok("setup", "--json"))
    assert (said["supervisor"], said["gateway"]["actual"]) == ("systemd", "ready")
    assert said["problems"] == []
    assert json.loads(host.ok("setup", "--json"))["changed"] == []
    assert host.ok("chat", "-q", "echo hello").startswith("hello\n")
    host.container.reboot()
    until(lambda: host.status("default")["actual"] == "ready", "it is back after the boot", 30)


def test_not_installed_is_an_answer(host: Host) -> None:
    said = json.loads(host.ok("-p", "loose", "setup", "--json", "--no-install"))
    assert said["gateway"]["actual"] == "not registered"
    assert said["changed"][-1] == "the profile loose"


def test_with_sudo_it_says_whose_it_is_to_be(host: Host) -> None:
    refused = host.run("setup", "--yes", user="root", SUDO_USER="alice")
    assert refused.returncode == 2
    assert "run it as alice, without sudo" in refused.stderr
