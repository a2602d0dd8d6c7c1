"""Whose socket is at the other end of a connection within this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import closing

import pytest

from hermes_cli.serving.peer import is_owner_over_loopback, uid_over_loopback

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="known on Linux alone")

NOBODY = 65534

CLIENT = """
import os, socket, sys
os.setuid(int(sys.argv[2]))
connection = socket.socket()
connection.connect(("127.0.0.1", int(sys.argv[1])))
sys.stdin.read()
"""


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_our_own_connection_is_known(family: socket.AddressFamily, host: str) -> None:
    with (
        closing(socket.create_server((host, 0), family=family)) as server,
        socket.create_connection(server.getsockname()[:2]) as client,
        server.accept()[0] as accepted,
    ):
        ends = accepted.getpeername()[:2], accepted.getsockname()[:2]
        assert uid_over_loopback(*ends) == os.geteuid()
        assert is_owner_over_loopback(*ends)
        client.close()
        # Nobody holds it now, and the kernel says 0 for its user: that is not root.
        assert uid_over_loopback(*ends) is None
        assert not is_owner_over_loopback(*ends)


def test_a_client_over_both_families_is_known() -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    with (
        closing(socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)) as server,
        socket.create_connection(("127.0.0.1", server.getsockname()[1])),
        server.accept()[0] as accepted,
    ):
        assert is_owner_over_loopback(accepted.getpeername()[:2], accepted.getsockname()[:2])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_somebody_else_is_told_apart() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        arguments = [sys.executable, "-I", "-c", CLIENT, str(port), str(NOBODY)]
        with subprocess.Popen(arguments, stdin=subprocess.PIPE) as client:
            with server.accept()[0] as accepted:
                ends = accepted.getpeername()[:2], accepted.getsockname()[:2]
                assert uid_over_loopback(*ends) == NOBODY
                assert not is_owner_over_loopback(*ends)
            assert client.stdin is not None
            client.stdin.close()


def test_a_connection_that_is_not_there_is_nobodys() -> None:
    assert uid_over_loopback(("127.0.0.1", 1), ("127.0.0.1", 2)) is None
