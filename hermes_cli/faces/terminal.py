"""The terminal that a process is attached to: its mode and how it comes back, its size, the detach keys."""

from __future__ import annotations

import contextlib
import os
import select
import termios
import tty
from types import TracebackType

from hermes_cli.processes.modes import ModeTracker

_CONTROLS = "abcdefghijklmnopqrstuvwxyz@[\\]^_"


class DetachKeys:
    """Finds the keys that end the attachment among those that go to the process."""

    def __init__(self, given: str) -> None:
        """`given`: keys with commas between them, each a character or `ctrl-` and one. Raises ValueError."""
        self.name = given
        self.sequence = bytes(_key(word.strip()) for word in given.split(","))
        self._pending = b""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What goes to the process, and whether the keys were pressed; what is typed behind them is lost."""
        passed = bytearray()
        for number in data:
            self._pending += bytes([number])
            if self._pending == self.sequence:
                return bytes(passed), True
            while not self.sequence.startswith(self._pending):
                passed.append(self._pending[0])
                self._pending = self._pending[1:]
        return bytes(passed), False


class Terminal:
    """A terminal in another mode for as long as the context lasts. It always gets its own back."""

    def __init__(self, source: int, target: int) -> None:
        """`source`: what is typed; `target`: what is shown."""
        self.source = source
        self.target = target
        self.modes = ModeTracker()
        self._before = termios.tcgetattr(source)

    def raw(self) -> None:
        """Every key as it is pressed, nothing shown by itself, output untouched."""
        tty.setraw(self.source, termios.TCSANOW)

    def by_line(self, keys: DetachKeys) -> None:
        """Lines as they were, but the keys that detach are heard without Enter."""
        mode = termios.tcgetattr(self.source)
        for place, number in zip((termios.VEOL, termios.VEOL2), keys.sequence, strict=False):
            mode[6][place] = bytes([number])
        termios.tcsetattr(self.source, termios.TCSANOW, mode)

    def size(self) -> tuple[int, int]:
        """Rows and columns; 24 and 80 where it does not know."""
        with contextlib.suppress(OSError):
            columns, rows = os.get_terminal_size(self.target)
            if columns and rows:
                return rows, columns
        return 24, 80

    def show(self, data: bytes) -> None:
        """Write all of it. Raises OSError where the terminal has gone."""
        self.modes.feed(data)
        write_all(self.target, data)

    def restore(self) -> None:
        """Mode, screen, cursor and mouse as they were. Twice is harmless; a terminal that is gone is none."""
        with contextlib.suppress(OSError, termios.error):
            write_all(self.target, self.modes.undo())
        self.modes = ModeTracker()
        with contextlib.suppress(OSError, termios.error):
            # Not TCSADRAIN: a terminal that was stopped would never be restored.
            termios.tcsetattr(self.source, termios.TCSANOW, self._before)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.restore()


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it, also to a descriptor that somebody made non-blocking. Raises OSError."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            select.select([], [descriptor], [], 5.0)


def _key(word: str) -> int:
    name = word.lower()
    if name.startswith("ctrl-") and len(name) == 6 and name[5] in _CONTROLS:
        return ord(name[5].upper()) ^ 0x40
    if len(word) == 1 and word.isascii() and word.isprintable():
        return ord(word)
    raise ValueError(f"{word!r} is no key; give one character, or ctrl- and one of {_CONTROLS}")
