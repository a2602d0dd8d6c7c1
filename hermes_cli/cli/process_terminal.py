"""The terminal that a process is attached to: its mode and how it comes back, its size, the detach keys."""

from __future__ import annotations

import contextlib
import os
import re
import select
import termios
import tty
from types import TracebackType

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


class ModeTracker:
    """Remembers what a program has switched on in the terminal, to switch it off when it is left."""

    _SWITCH = re.compile(rb"\x1b(?:\[\?([\d;]{1,32})([hl])|\[([<>])[\d;]{0,8}u|([=>c])|(\[!p))")
    _KEPT = 40
    """Bytes at the end of a chunk that may begin a sequence."""
    _WHEN_OFF = frozenset([7, 25])
    """Modes that are on in a fresh terminal: wrapping of lines, the cursor."""
    _SAME_SCREEN = (1049, 1047, 47)

    def __init__(self) -> None:
        self._changed: set[int] = set()
        self._keypad = False
        self._keyboard = 0
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take note of what is sent to the terminal."""
        text = self._rest + data
        end = 0
        for match in self._SWITCH.finditer(text):
            end = match.end()
            numbers, switch, keyboard, keypad, reset = match.groups()
            if numbers is not None:
                for number in (int(word) for word in numbers.split(b";") if word):
                    on = switch == b"h"
                    (self._changed.discard if on == (number in self._WHEN_OFF) else self._changed.add)(number)
            elif keyboard is not None:
                self._keyboard = max(0, self._keyboard + (1 if keyboard == b">" else -1))
            elif reset is not None or keypad == b"c":
                self._changed.clear()
                self._keypad = False
            else:
                self._keypad = keypad == b"="
        self._rest = text[max(end, len(text) - self._KEPT) :]

    def redo(self) -> bytes:
        """What brings a fresh terminal to where the program has it."""
        first = sorted(self._changed, key=lambda mode: (mode not in self._SAME_SCREEN, mode))
        modes = b"".join(b"\x1b[?%d%s" % (mode, b"l" if mode in self._WHEN_OFF else b"h") for mode in first)
        return modes + (b"\x1b=" if self._keypad else b"")

    def undo(self) -> bytes:
        """What brings the terminal back; nothing where nothing was changed."""
        parts = [b"\x1b[<u" * min(self._keyboard, 8)]
        # The other screen last: leaving it also brings back what was on the first one.
        for number in sorted(self._changed, key=lambda mode: (mode in self._SAME_SCREEN, mode)):
            parts.append(b"\x1b[?%d%s" % (number, b"h" if number in self._WHEN_OFF else b"l"))
        if self._keypad:
            parts.append(b"\x1b>")
        found = b"".join(parts)
        return found + b"\x1b[m\x1b(B" if found else b""


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
