"""Who is at the other end of a connection on this machine."""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
import sys
from pathlib import Path

Address = tuple[str, int]
"""An IP address as text, and a port."""

_TABLES = (Path("/proc/self/net/tcp"), Path("/proc/self/net/tcp6"))


def is_owner(connection: socket.socket) -> bool:
    """Whether the peer of a Unix socket is this user or root. Not every system heeds the file's mode."""
    if sys.platform != "linux":
        return True
    try:
        packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    except OSError:
        return False
    _, uid, _ = struct.unpack("3i", packed)
    return uid in (0, os.geteuid())


def is_owner_over_loopback(peer: Address, own: Address) -> bool:
    """Whether this user or root holds the other end of a TCP connection within this machine.

    False also for one that has been closed meanwhile. Beyond Linux it cannot be known, and is believed.
    """
    if sys.platform != "linux":
        return True
    return uid_over_loopback(peer, own) in (0, os.geteuid())


def uid_over_loopback(peer: Address, own: Address) -> int | None:
    """The user whose socket is at `peer` of a connection to `own`; None where it cannot be known.

    Source: proc_pid_net(5). A socket without an inode is one that nobody holds any more, and its uid says 0.
    """
    ends = [_normal(peer), _normal(own)]
    for table in _TABLES:
        try:
            lines = table.read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[9] != "0" and [_decoded(fields[1]), _decoded(fields[2])] == ends:
                return int(fields[7])
    return None


def _normal(address: Address) -> Address:
    found = ipaddress.ip_address(address[0].partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found), address[1]


def _decoded(text: str) -> Address:
    """`0100007F:1F90` as ("127.0.0.1", 8080): words of four bytes in this machine's order."""
    words, _, port = text.partition(":")
    data = bytes.fromhex(words)
    packed = b"".join(
        data[start : start + 4][:: -1 if sys.byteorder == "little" else 1] for start in range(0, len(data), 4)
    )
    return _normal((str(ipaddress.ip_address(packed)), int(port, 16)))
