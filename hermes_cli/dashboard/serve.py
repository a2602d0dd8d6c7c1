"""The dashboard as a process: one listener, readiness, and an end without delay."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket

from hermes_cli.gateway.port_holder import describe_holder
from hermes_cli.home import Home
from hermes_cli.serving.limits import BACKLOG
from hermes_cli.serving.notify import Supervisor
from hermes_cli.serving.protocol import Connections
from hermes_cli.serving.server import HttpServer

from .app import Dashboard
from .settings import RefusedError, Settings

FLUSH = 0.05
"""Seconds for the last bytes of the open streams. It holds nothing that could be lost."""


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; the exit code. Raises `RefusedError` where it cannot listen."""
    supervisor = Supervisor()
    listener = listen(settings)
    asyncio.run(_serve(settings, listener, supervisor))
    return 0


async def _serve(settings: Settings, listener: socket.socket, supervisor: Supervisor) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    dashboard = Dashboard(settings)
    server = HttpServer(dashboard.asgi(), Connections())
    await server.open([listener])
    print(f"Hermes dashboard: {settings.url} ({_who(settings)})", flush=True)
    supervisor.ready()
    await stop.wait()
    supervisor.stopping()
    dashboard.close()
    await server.drain(FLUSH, asyncio.Event())


def listen(settings: Settings) -> socket.socket:
    """The listening socket; raises `RefusedError` with the holder of a taken port."""
    host, port = settings.host, settings.port
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        cause = getattr(error, "strerror", None) or error
        raise RefusedError(f"dashboard.host {host!r} is no address of this machine ({cause})") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise RefusedError(_why_not(settings, error)) from error
    listener.setblocking(False)
    return listener


def _why_not(settings: Settings, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        holder = describe_holder(Home.of(root=settings.root), settings.port)
        return (
            f"port {settings.port} on {settings.host} is taken by {holder}; "
            "choose another with 'hermes config set dashboard.port PORT'"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"port {settings.port} needs privileges this user does not have; choose one above 1023"
    return f"the dashboard cannot listen on {settings.host}:{settings.port}: {error.strerror or error}"


def _who(settings: Settings) -> str:
    return "sign in with the password or token" if settings.guarded else "this machine only, no password"
