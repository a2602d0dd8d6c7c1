"""The control socket: one request line at a time on a connection, one answer line for each.

write MS N      then N bytes: into stdin within MS milliseconds  ->  ok N | partial N | closed
close           end of file on stdin                             ->  ok 1 | ok 0 (it was closed already)
resize R C      the terminal's rows and columns                  ->  ok 0 | error no terminal
signal N        to the command's process group                   ->  ok 0 | gone
kill MS         TERM, MS milliseconds later KILL, to the last descendant  ->  ok N (processes ended) | left N
ping                                                             ->  ok PID

Numbers are from 0 to 2^31 - 1.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
else:
    import _socket as socket

NAME = "control.sock"
_BACKLOG = 64
MAX_CONNECTIONS = 16
_MAX_LINE = 128
MAX_PAYLOAD = 1 << 20
_LARGEST = (1 << 31) - 1


class Request:
    """One parsed request. `answer` may be called later, once."""

    def __init__(self, connection: Connection, verb: str, numbers: list[int], payload: bytes) -> None:
        self._connection = connection
        self.verb = verb
        self.numbers = numbers
        self.payload = payload

    def answer(self, text: str) -> None:
        self._connection.answer(text)


class Connection:
    """A client. Its next request is read when the last one has been answered."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._data = bytearray()
        self._busy = False
        self.open = True

    @property
    def idle(self) -> bool:
        return not self._busy

    def fill(self) -> None:
        """Read what has come; closes at the end of file and for more than any request has."""
        try:
            part = os.read(self.descriptor, 1 << 16)
        except BlockingIOError:
            return
        except OSError:
            part = b""
        self._data += part
        if not part or len(self._data) > MAX_PAYLOAD + _MAX_LINE:
            self.close()

    def request(self) -> Request | None:
        """The next whole request, or None. One that makes no sense is answered, and ends the connection."""
        if self._busy or not self.open:
            return None
        end = self._data.find(b"\n")
        if end < 0:
            if len(self._data) > _MAX_LINE:
                self.close()
            return None
        try:
            verb, *words = self._data[:end].decode("ascii").split()
            numbers = [int(word) for word in words]
            size = numbers[1] if verb == "write" else 0
            if end > _MAX_LINE or size > MAX_PAYLOAD or not all(0 <= n <= _LARGEST for n in numbers):
                raise ValueError(verb)
        except (ValueError, IndexError):
            self.answer("error not a request")
            self.close()
            return None
        if len(self._data) < end + 1 + size:
            return None
        payload = bytes(self._data[end + 1 : end + 1 + size])
        del self._data[: end + 1 + size]
        self._busy = True
        return Request(self, verb, numbers, payload)

    def answer(self, text: str) -> None:
        self._busy = False
        if self.open:
            try:
                os.write(self.descriptor, text.encode() + b"\n")
            except OSError:
                self.close()

    def close(self) -> None:
        """Mark it; the loop closes the descriptor when it has let go of it."""
        self.open = False


class Listener:
    """The socket in the process's own directory; where the file system has none, one without a file."""

    def __init__(self, process_id: str) -> None:
        """Raises OSError."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self.path = NAME
        try:
            self._socket.bind(NAME)
            os.chmod(NAME, 0o600)
        except OSError:
            # unix(7): abstract. Who connects is looked at either way, and who listens by the client.
            self._socket.close()
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            self.path = f"@hermes-{process_id}"
            self._socket.bind("\0" + self.path[1:])
        self._socket.listen(_BACKLOG)
        self._socket.setblocking(False)
        self.descriptor = self._socket.fileno()

    def accept(self) -> Connection | None:
        """A client of this user or root; None where it has gone again, or is somebody else.

        Raises OSError with EMFILE or ENFILE where there is no descriptor for it.
        """
        try:
            descriptor, _ = self._socket._accept()  # type: ignore[attr-defined]
        except (BlockingIOError, ConnectionError):
            return None
        os.set_blocking(descriptor, False)
        peer = socket.socket(fileno=descriptor)
        try:
            credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        finally:
            peer.detach()
        if int.from_bytes(credentials[4:8], sys.byteorder) not in (0, os.geteuid()):
            os.close(descriptor)
            return None
        return Connection(descriptor)

    def close(self) -> None:
        self._socket.close()
        if self.path == NAME:
            try:
                os.unlink(NAME)
            except OSError:
                return
