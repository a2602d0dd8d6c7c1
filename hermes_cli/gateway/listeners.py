"""The two doors of a gateway, its TCP address and its control socket: opened before the heavy imports."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

from hermes_cli.home import Home
from hermes_cli.serving.limits import BACKLOG

from .naming import command_for
from .port_holder import describe_holder
from .reasons import reason_of

_NO_SOCKETS_HERE = {
    errno.EPERM,
    errno.EACCES,
    errno.EOPNOTSUPP,
    errno.ENOTSUP,
    errno.EINVAL,
    errno.ENAMETOOLONG,
}
"""What bind(2) answers on file systems that hold no sockets (9p, some FUSE and network mounts)."""


class AddressError(Exception):
    """The configured address cannot be served. The message names the holder, or what is wrong with it."""


def open_tcp(home: Home, host: str, port: int) -> socket.socket:
    """Listen on `host`:`port`; raises `AddressError`.

    Listening begins here, not with the server: two sockets bound with SO_REUSEADDR would both succeed.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        cause = getattr(error, "strerror", None) or error
        raise AddressError(f"gateway.host {host!r} is no address of this machine: {cause}") from error
    listener = socket.socket(family, kind, protocol)
    try:
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise AddressError(_why_not(home, host, port, error)) from error
    listener.setblocking(False)
    return listener


def open_control_socket(home: Home) -> tuple[socket.socket, Path]:
    """Listen on the control socket, for its owner only; raises OSError where no place for it can be found.

    Called with the home's lock held, so that a socket that exists is nobody's any more.
    """
    try:
        return _open_unix(home.socket), home.socket
    except OSError as error:
        if home.socket == home.fallback_socket or error.errno not in _NO_SOCKETS_HERE:
            raise
    return _open_unix(home.fallback_socket), home.fallback_socket


def url_of(host: str, port: int) -> str:
    """Where a client on this machine finds a gateway that listens on `host`:`port`."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(host)
    return f"http://{reachable or (f'[{host}]' if ':' in host else host)}:{port}"


def _open_unix(path: Path) -> socket.socket:
    if not hasattr(socket, "AF_UNIX"):
        raise OSError(errno.EAFNOSUPPORT, "this system has no Unix sockets")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # bind(2) makes the file with the umask's mode: between it and a chmod, others could connect.
    umask = os.umask(0o177)
    try:
        listener.bind(os.fspath(path))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(umask)
    listener.setblocking(False)
    return listener


def _why_not(home: Home, host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} on {host} is taken by {describe_holder(home, port)}; "
            f"choose another with '{command_for(home.profile)} config set gateway.port PORT'"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return f"gateway.host {host!r} is no address of this machine"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"port {port} needs privileges this user does not have; choose one above 1023"
    return f"cannot listen on {host}:{port}: {reason_of(error)}"
