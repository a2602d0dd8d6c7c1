"""`hermes logs` where systemd keeps the logs: of all gateways, in order, going on; the other faces, too."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.test_gateway_commands import HERMES, Host
from tests.hosts.waiting import until

pytestmark = [pytest.mark.xdist_group("hosts-commands"), pytest.mark.timeout(150)]

STAMPED = re.compile(r"(one|two) +\| \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}  \S")

TAIL = """
import sys
from hermes_cli.faces.log_tail import Cursor, gateway_tail
from hermes_cli.home import Home
tail = gateway_tail(Home.of("one"), cursor=Cursor.parse(sys.argv[1]) if sys.argv[1:] else None)
found = tail.read()
while not found and sys.argv[1:]:
    tail.reader.arm()
    tail.reader.wait(1)
    found = tail.read()
print(tail.cursor)
print("\\n".join(found))
tail.close()
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    made = Host(tmp_path_factory.mktemp("host"))
    for profile in ("one", "two"):
        made.ok("profile", "create", profile)
        made.ok("-p", profile, "gateway", "install")
        made.ok("-p", profile, "gateway", "start")
    yield made
    made.container.close()


def test_the_journal_is_merged_and_has_times(host: Host) -> None:
    lines = host.ok("logs", "one", "two").splitlines()
    assert {line.split()[0] for line in lines} == {"one", "two"}
    assert all(STAMPED.match(line) for line in lines), lines
    assert [line.partition(" | ")[2][:23] for line in lines] == sorted(
        line.partition(" | ")[2][:23] for line in lines
    )
    told = [json.loads(line) for line in host.ok("logs", "--json", "--since", "1h").splitlines()]
    assert [one["line"] for one in told] == [line.split("  ", 1)[1] for line in lines]
    assert host.ok("logs", "one", "--since", "1h", "--grep", "no such words") == ""


def test_following_goes_on_through_a_restart(host: Host) -> None:
    with subprocess.Popen(
        ["docker", "exec", "-u", "alice", host.container.name, HERMES, "logs", "-f", "-n", "0"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            seen: list[str] = []
            for profile in ("two", "one"):
                host.ok("-p", profile, "gateway", "restart")
                while not any(line.startswith(profile) for line in seen):
                    seen.append(process.stdout.readline())
        finally:
            process.kill()
    assert all(STAMPED.match(line) for line in seen), seen


def test_the_other_faces_read_it_and_go_on_from_their_cursor(host: Host) -> None:
    def tail(*cursor: str) -> list[str]:
        done = host.container.exec(
            "/opt/hermes/venv/bin/python", "-c", TAIL, *cursor, user="alice", timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    cursor, *lines = tail()
    assert lines
    host.ok("-p", "one", "gateway", "restart")
    _, *later = tail(cursor)
    assert later
    assert not set(later) & set(lines)


def test_who_may_not_read_is_told(host: Host, tmp_path: Path) -> None:
    until(lambda: host.run("logs", "one").returncode == 0, "alice reads her own", 20)
    refused = host.run("logs", user="bob")
    assert refused.returncode == 0, "bob has no gateway, and no logs"
    assert refused.stdout == ""
