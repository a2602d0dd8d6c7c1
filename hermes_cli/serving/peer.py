"""Who is at the other end of a Unix socket."""

from __future__ import annotations

import os
import socket
import struct
import sys


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
