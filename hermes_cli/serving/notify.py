"""Tells the supervisor what it cannot see (ready, stopping): a notification fd, sd_notify(3), a file."""

from __future__ import annotations

import contextlib
import os
import socket


class Supervisor:
    """The ways of announcing readiness; any of them, or none, may be there."""

    def __init__(self) -> None:
        # Taken out of the environment at once: a child of the gateway must not speak in its name.
        self._socket = os.environ.pop("NOTIFY_SOCKET", "")
        self._descriptor = _descriptor(os.environ.pop("HERMES_NOTIFY_FD", ""))
        self._file = os.environ.pop("HERMES_NOTIFY_FILE", "")

    def ready(self) -> None:
        """A newline on the notification fd and in the notification file, READY=1 on the socket. Once."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.write(self._descriptor, b"\n")
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None
        if self._file:
            with contextlib.suppress(OSError), open(self._file, "wb") as file:  # noqa: PTH123 - pathlib costs time
                file.write(b"\n")
            self._file = ""
        self._tell("READY=1\nSTATUS=ready")

    def stopping(self) -> None:
        self._tell("STOPPING=1\nSTATUS=draining")

    def waiting(self, seconds: float, why: str) -> None:
        """Ask systemd not to count the back-off as a start that hangs."""
        self._tell(f"STATUS={why}\nEXTEND_TIMEOUT_USEC={int((seconds + 30) * 1_000_000)}")

    def _tell(self, message: str) -> None:
        if not self._socket or not hasattr(socket, "AF_UNIX"):
            return
        address = "\0" + self._socket[1:] if self._socket.startswith("@") else self._socket
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(1.0)
            sender.sendto(message.encode(), address)


def _descriptor(text: str) -> int | None:
    if not text.isascii() or not text.isdecimal() or int(text) < 3:
        return None
    try:
        os.set_inheritable(int(text), False)
    except OSError:
        return None
    return int(text)
