"""`hermes gateway …` on a host with real systemd, and the real gateway: what a person does, end to end."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docker.containers import IMAGE
from tests.hosts.systemd.container import SystemdContainer
from tests.hosts.waiting import until

HERMES = "/opt/hermes/venv/bin/hermes"


class Host:
    """A machine with systemd and Hermes on it, as its image has it: alice lingers, bob does not."""

    def __init__(self, scratch: Path) -> None:
        self.container = SystemdContainer(scratch)
        # The image's own environment of Python fits: both are Debian's.
        copy = f"docker create {IMAGE} true | tee {scratch}/id | xargs -I% docker cp %:/opt/hermes/venv - "
        put = f"docker exec -i {self.container.name} tar -C /opt/hermes -x"
        self.container.exec("mkdir", "-p", "/opt/hermes")
        subprocess.run(
            ["sh", "-c", f"{copy} | {put}; docker rm $(cat {scratch}/id)"], check=True, timeout=120
        )

    def run(self, *words: str, user: str = "alice", **environment: str) -> subprocess.CompletedProcess[str]:
        return self.container.exec(HERMES, *words, user=user, environment=environment, timeout=90)

    def ok(self, *words: str, user: str = "alice", **environment: str) -> str:
        done = self.run(*words, user=user, **environment)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def status(self, profile: str, **environment: str) -> dict[str, Any]:
        done = self.run("-p", profile, "gateway", "status", "--json", **environment)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    made = Host(tmp_path_factory.mktemp("host"))
    yield made
    made.container.close()


pytestmark = [pytest.mark.xdist_group("hosts-commands"), pytest.mark.timeout(150)]


def test_a_gateway_lives_as_a_service_of_its_user(host: Host) -> None:
    host.ok("profile", "create", "coder")
    refused = host.run("-p", "coder", "gateway", "start")
    assert refused.returncode == 1
    assert "'hermes -p coder gateway install'" in refused.stderr

    said = host.ok("-p", "coder", "gateway", "install")
    assert "'hermes -p coder gateway start' does that" in said
    assert "linger" not in said
    assert host.status("coder")["actual"] == "down"
    assert "Nothing would change" in host.ok("-p", "coder", "gateway", "install", "--dry-run")

    assert "is ready at http://127.0.0.1:" in host.ok("-p", "coder", "gateway", "start")
    first = host.status("coder")
    assert (first["wanted"], first["actual"]) == ("up", "ready")

    host.container.exec("sh", "-c", f"kill -KILL {first['pid']}")

    def back() -> dict[str, Any] | None:
        row = host.status("coder")
        return row if row["actual"] == "ready" and row["pid"] != first["pid"] else None

    second = until(back, "another process is ready", 20)
    assert second is not None
    assert second["restarts"] == 1

    host.ok("-p", "coder", "gateway", "restart")
    assert host.status("coder")["pid"] != second["pid"]
    assert host.ok("-p", "coder", "gateway", "logs")
    assert host.run("status", "--healthy").returncode == 0
    host.ok("doctor")

    host.container.reboot()
    until(lambda: host.status("coder")["actual"] == "ready", "it is back after the boot", 30)

    host.ok("-p", "coder", "gateway", "stop")
    host.container.reboot()
    until(lambda: host.status("coder")["actual"] == "down", "it stays down", 30)
    assert host.status("coder")["parked_reason"] is None
    assert host.run("status", "--healthy").returncode == 0
    host.ok("-p", "coder", "gateway", "start")

    host.ok("profile", "rename", "coder", "writer")
    assert host.status("writer")["actual"] == "ready"
    host.ok("profile", "delete", "writer", "--yes")
    units = host.container.exec(
        "sh", "-c", "ls ~/.config/systemd/user ~/.config/hermes-services", user="alice"
    )
    assert "hermes" not in units.stdout.replace("/home/alice/.config/hermes-services:", "")


def test_a_configuration_error_parks_it_with_its_reason_through_a_reboot(host: Host) -> None:
    host.ok("profile", "create", "broken")
    host.ok("-p", "broken", "gateway", "install")
    host.container.exec(
        "sh", "-c", "echo 'gateway: {port: lots}' >~/.hermes/profiles/broken/config.yaml", user="alice"
    )
    refused = host.run("-p", "broken", "gateway", "start")
    assert refused.returncode == 1
    assert "gateway.port: expected a port number" in refused.stderr
    host.container.reboot()
    assert host.status("broken")["actual"] == "parked"
    assert "expected a port number" in host.status("broken")["parked_reason"]
    host.container.exec(
        "sh", "-c", "echo 'gateway: {port: 8777}' >~/.hermes/profiles/broken/config.yaml", user="alice"
    )
    host.ok("-p", "broken", "gateway", "start")
    assert host.status("broken")["actual"] == "ready"
    host.ok("profile", "delete", "broken", "--yes")


def test_a_gateway_of_the_whole_system_runs_as_its_user_and_root_gives_the_orders(host: Host) -> None:
    host.ok("profile", "create", "server", user="bob")
    host.ok("-p", "server", "config", "set", "gateway.port", "8765", user="bob")  # alice has gateways too
    denied = host.run("-p", "server", "gateway", "install", "--system", "--run-as", "bob", user="bob")
    assert denied.returncode == 1
    assert "sudo" in denied.stderr
    said = host.ok("-p", "server", "gateway", "install", "--system", "--run-as", "bob", user="root")
    assert "sudo env HERMES_HOME=/home/bob/.hermes hermes -p server gateway start" in said
    root = {"user": "root", "HERMES_HOME": "/home/bob/.hermes"}
    host.ok("-p", "server", "gateway", "start", **root)
    row = host.status("server", user="bob")
    assert row["actual"] == "ready"
    owner = host.container.exec("sh", "-c", f"stat -c %U /proc/{row['pid']}")
    assert owner.stdout.strip() == "bob"
    owners = host.container.exec("sh", "-c", "stat -c %U /home/bob/.hermes/profiles/server/*.json | sort -u")
    assert owners.stdout.split() == ["bob"]
    forbidden = host.run("-p", "server", "gateway", "stop", user="bob")
    assert (forbidden.returncode, "sudo" in forbidden.stderr) == (1, True), forbidden.stderr
    assert host.status("server", user="bob")["wanted"] == "up", "who may not stop it has wanted nothing"
    host.container.reboot()
    until(lambda: host.status("server", user="bob")["actual"] == "ready", "it is back, without a login", 30)
    host.ok("-p", "server", "gateway", "uninstall", **root)
    assert host.status("server", user="bob")["actual"] == "not registered"


def test_without_a_bus_the_sentence_says_what_to_do(host: Host) -> None:
    host.ok("profile", "create", "lonely", user="bob")
    done = host.run("-p", "lonely", "gateway", "install", user="bob", XDG_RUNTIME_DIR="")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
