"""The command's stdin: what is written waits, in order, until the command reads; and so does its end."""

from __future__ import annotations

import os
import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .control import Request

_END_PATIENCE = 5.0
"""Seconds that the end-of-file character of a terminal waits for room."""

_END_OF_FILE = b"\x04"
_LINE_ENDS = (0x0A, 0x0D, 0x04)


class _Write:
    def __init__(self, request: Request, data: bytes, deadline: float, ending: bool) -> None:
        self.request = request
        self.data = memoryview(data)
        self.written = 0
        self.deadline = deadline
        self.ending = ending
        self.ended = False


class Stdin:
    """`descriptor`: -1 where there is none, or none any more. `terminal`: output comes from it, too."""

    def __init__(self, descriptor: int, poll: select.poll, *, terminal: bool) -> None:
        self.descriptor = descriptor
        self.terminal = terminal
        self._poll = poll
        self._waiting: list[_Write] = []
        self._in_a_line = False

    def write(self, request: Request, data: bytes, patience: float) -> None:
        """Answered `ok N`, `partial N` after `patience` seconds, or `closed`."""
        self._waiting.append(_Write(request, data, time.monotonic() + patience, False))
        self.feed()

    def end(self, request: Request) -> None:
        """After what waits. A terminal gets its end-of-file character: it cannot be closed one way."""
        self._waiting.append(_Write(request, b"", time.monotonic() + _END_PATIENCE, True))
        self.feed()

    def deadline(self) -> float | None:
        return self._waiting[0].deadline if self._waiting else None

    def feed(self) -> None:
        """Write what there is room for, and answer what is done."""
        while self._waiting:
            first = self._waiting[0]
            if first.ending:
                self._end(first)
            try:
                while self.descriptor >= 0 and first.written < len(first.data):
                    first.written += os.write(self.descriptor, first.data[first.written :])
                    self._in_a_line = first.data[first.written - 1] not in _LINE_ENDS
            except BlockingIOError:
                if time.monotonic() < first.deadline:
                    self._watch(True)
                    return
            except OSError:  # nobody reads any more
                self._close()
            self._answer(self._waiting.pop(0))
        self._watch(False)

    def over(self) -> None:
        """The command has ended: what waits is answered, what others of it read ends."""
        if not self.terminal:
            self._close()
        self.descriptor = -1
        self.feed()

    def _end(self, write: _Write) -> None:
        if self.descriptor < 0 or write.ended:
            return
        write.ended = True
        if self.terminal:
            # In a line the first one only hands over what there is of it.
            write.data = memoryview(_END_OF_FILE * (2 if self._in_a_line else 1))
        else:
            self._close()

    def _answer(self, write: _Write) -> None:
        done = write.written == len(write.data)
        if write.ending:
            write.request.answer(f"ok {int(write.ended and done)}")
        elif self.descriptor < 0 and not write.written:
            write.request.answer("closed")
        else:
            write.request.answer(f"{'ok' if done else 'partial'} {write.written}")

    def _close(self) -> None:
        if self.descriptor >= 0:
            self._watch(False)
            if not self.terminal:
                os.close(self.descriptor)
            self.descriptor = -1

    def _watch(self, wanted: bool) -> None:
        if self.descriptor < 0:
            return
        if self.terminal:
            self._poll.register(self.descriptor, select.POLLIN | (select.POLLOUT if wanted else 0))
        elif wanted:
            self._poll.register(self.descriptor, select.POLLOUT)
        else:
            try:
                self._poll.unregister(self.descriptor)
            except KeyError:
                return
