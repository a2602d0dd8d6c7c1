"""How a supervised program tells that it is ready: a newline on a descriptor, sd_notify(3), or a file."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from .supervisor_files import READY, Supervised

_LOOK = 0.05
"""Seconds between two looks at the file: Windows has nothing in the standard library to wait for one by."""
_SETTLED = 0.5
"""Seconds that a program which announces nothing must last to count as up: its pid is stable."""
_PREFIX = "hermes-notify-"


class Readiness:
    """The channels of one life of the program. Reports `ready`, and `extend` with more seconds for it."""

    def __init__(self, spec: Supervised, directory: Path, report: Callable[..., None]) -> None:
        """Make the channels; OSError where they cannot be had."""
        self._spec, self._report = spec, report
        self._file = directory / READY
        self._closing = threading.Event()
        self.descriptors: tuple[int, ...] = ()
        self.environment: dict[str, str] = {}
        self.socket_directory: str | None = None
        self._reader = -1
        self._socket: socket.socket | None = None
        if spec.notify == "file":
            self._file.unlink(missing_ok=True)
            self.environment = {"HERMES_NOTIFY_FILE": os.fspath(self._file)}
        elif spec.notify == "descriptor":
            self._open_channels()

    def started(self) -> None:
        """The program has its ends: close ours, and listen."""
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors = ()
        listen = {"descriptor": self._listen, "file": self._look, "none": self._settle}[self._spec.notify]
        threading.Thread(target=listen, daemon=True, name="readiness").start()

    def close(self) -> None:
        """This life is over, or never began; what is still said is not heard."""
        self._closing.set()
        if self.descriptors:
            os.close(self._reader)
            if self._socket:
                self._socket.close()
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors = ()
        remove_socket(self.socket_directory)

    def _open_channels(self) -> None:
        self._reader, writer = os.pipe()
        os.set_inheritable(writer, True)
        self.descriptors = (writer,)
        self.environment = {"HERMES_NOTIFY_FD": str(writer)}
        if sys.platform == "win32":
            return
        with contextlib.suppress(OSError):
            # Not in the state directory: a socket's path has 104 bytes on macOS.
            self.socket_directory = tempfile.mkdtemp(prefix=_PREFIX)
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            address = os.path.join(self.socket_directory, "s")  # noqa: PTH118 - a socket's address is text
            self._socket.bind(address)
            self.environment["NOTIFY_SOCKET"] = address

    def _listen(self) -> None:
        sources = [self._reader] + ([self._socket.fileno()] if self._socket else [])
        try:
            while not self._closing.is_set():
                found, _, _ = select.select(sources, [], [], _SETTLED)
                if self._reader in found:
                    data = os.read(self._reader, 256)
                    if b"\n" in data:
                        self._report("ready")
                    if not data:
                        sources.remove(self._reader)
                if self._socket and self._socket.fileno() in found:
                    self._hear(self._socket.recv(4096))
        except OSError:
            return
        finally:
            os.close(self._reader)
            if self._socket:
                self._socket.close()

    def _hear(self, message: bytes) -> None:
        for line in message.split(b"\n"):
            key, _, value = line.partition(b"=")
            if line == b"READY=1":
                self._report("ready")
            elif key == b"EXTEND_TIMEOUT_USEC" and value.isdigit():
                self._report("extend", int(value[:12]) / 1_000_000)

    def _look(self) -> None:
        while not self._closing.wait(_LOOK):
            with contextlib.suppress(OSError):
                if self._file.stat().st_size > 0:
                    self._report("ready")
                    return

    def _settle(self) -> None:
        began = time.monotonic()
        if not self._closing.wait(_SETTLED) and time.monotonic() - began >= _SETTLED:
            self._report("ready")


def remove_socket(directory: str | None) -> None:
    """Remove a notify socket's directory; also one that a killed supervisor left."""
    if directory and Path(directory).name.startswith(_PREFIX):
        shutil.rmtree(directory, ignore_errors=True)
