"""The control socket: one request line at a time on a connection, one answer line for each.

write MS N      then N bytes: into stdin within MS milliseconds  ->  ok N | partial N | closed
close           end of file on stdin                             ->  ok 1 | ok 0 (it was closed already)
resize R C      the terminal's rows and columns                  ->  ok 0 | error no terminal
signal N        to the command's process group                   ->  ok 0 | gone
kill MS         TERM, MS milliseconds later KILL, to the last descendant  ->  ok N (processes ended) | left N
ping                                                             ->  ok PID
"""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
else:
    import _socket as socket

NAME = "control.sock"
_BACKLOG = 16
_MAX_CONNECTIONS = 16
_MAX_LINE = 128
MAX_PAYLOAD = 1 << 20


class Request:
    """One parsed request. `answer` may be called later, once."""

    def __init__(self, connection: Connection, words: list[str], payload: bytes) -> None:
        self._connection = connection
        self.verb = words[0] if words else ""
        self.numbers = [int(word) for word in words[1:]]
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
            words = self._data[:end].decode("ascii").split()
            size = int(words[2]) if words and words[0] == "write" else 0
            if not 0 <= size <= MAX_PAYLOAD or end > _MAX_LINE:
                raise ValueError(size)
            [int(word) for word in words[1:]]
        except (ValueError, IndexError):
            self._busy = True
            self.answer("error not a request")
            self.close()
            return None
        if len(self._data) < end + 1 + size:
            return None
        payload = bytes(self._data[end + 1 : end + 1 + size])
        del self._data[: end + 1 + size]
        self._busy = True
        return Request(self, words, payload)

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
    """The socket in the process's own directory, or in `fallback` where that cannot hold one."""

    def __init__(self, fallback: bytes, process_id: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self.path = ""
        self._bound = ""
        for path, shown in ((NAME, NAME), (os.fsdecode(fallback) + f"/{process_id}.sock", "")):
            try:
                self._socket.bind(path)
                os.chmod(path, 0o600)
            except OSError:
                continue
            self._socket.listen(_BACKLOG)
            self._socket.setblocking(False)
            self._bound, self.path = path, shown or path
            break

    @property
    def descriptor(self) -> int:
        return self._socket.fileno()

    def accept(self) -> Connection | None:
        """A client of this user or root; None where it has gone again, or is somebody else."""
        try:
            descriptor, _ = self._socket._accept()  # type: ignore[attr-defined]
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                raise
            return None
        os.set_inheritable(descriptor, False)
        os.set_blocking(descriptor, False)
        peer = socket.socket(fileno=descriptor)
        try:
            uid = int.from_bytes(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)[4:8], "little")
        finally:
            peer.detach()
        if uid not in (0, os.geteuid()):
            os.close(descriptor)
            return None
        return Connection(descriptor)

    def close(self) -> None:
        self._socket.close()
        if self._bound:
            try:
                os.unlink(self._bound)
            except OSError:
                return
