"""The modes of a terminal that a program has switched on: how to switch them on again, or off."""

from __future__ import annotations

import re


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
