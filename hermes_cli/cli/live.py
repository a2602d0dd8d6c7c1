"""`--watch`: what a command shows, again and again, until q or ^C."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import click

from .table import screen_width

ShownT = TypeVar("ShownT")

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
"""The other screen, no cursor, no wrapping: a line too long is cut by the terminal itself."""
_LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"
_TOP, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"


def watch(
    look: Callable[[], ShownT],
    lines: Callable[[ShownT, int | None], list[str]],
    lasting: Callable[[ShownT], object],
    *,
    interval: float,
    as_json: bool,
) -> int:
    """Show what `look` gives until it is ended; the exit code.

    `lines` makes it readable in so many columns (None: any). `lasting` is what of it does not change by
    itself: off a terminal, and as JSON (one document a line), it is shown when that has changed.
    """
    if as_json or not sys.stdout.isatty():
        return _in_turn(look, lines, lasting, interval, as_json)
    title = click.get_current_context().command_path
    with _Screen() as screen:
        value, event = look(), ""
        while event != "end":
            head = click.style(f"{time.strftime('%H:%M:%S')}  {title}  (q ends)", dim=True)
            screen.draw([head, "", *lines(value, screen_width())])
            event = screen.wait(interval)
            if not event:
                value = look()
    click.echo("\n".join(lines(value, screen_width())))
    return 0


def _in_turn(
    look: Callable[[], ShownT],
    lines: Callable[[ShownT, int | None], list[str]],
    lasting: Callable[[ShownT], object],
    interval: float,
    as_json: bool,
) -> int:
    import msgspec

    pause, before = threading.Event(), None
    while True:
        value = look()
        now = lasting(value)
        if now != before:
            if as_json:
                click.echo(msgspec.json.encode(value).decode())
            else:
                between = "" if before is None else "\n"
                click.echo(f"{between}{time.strftime('%Y-%m-%dT%H:%M:%S%z')}")
                click.echo("\n".join(lines(value, None)))
            sys.stdout.flush()
            before = now
        pause.wait(interval)


class _Screen:
    """The whole terminal, for as long as the context lasts. It gets its own back however that ends."""

    def __init__(self) -> None:
        self._colour = click.get_current_context().color is not False
        self._keys = sys.stdin.fileno() if sys.platform != "win32" and sys.stdin.isatty() else None
        self._mode: list[Any] | None = None
        self._handlers: dict[int, Any] = {}
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)

    def __enter__(self) -> _Screen:
        self._take()
        if sys.platform != "win32":
            for number, handler in (
                (signal.SIGWINCH, self._resized),
                (signal.SIGTSTP, self._stopped),
                (signal.SIGTERM, _ended),
                (signal.SIGHUP, _ended),
            ):
                self._handlers[number] = signal.signal(number, handler)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._give_back()
        os.close(self._woken)
        os.close(self._wake)

    def draw(self, lines: list[str]) -> None:
        """One write: what did not change does not flicker."""
        height = max(2, _height())
        if len(lines) > height:
            lines = [*lines[: height - 1], f"… {len(lines) - height + 1} lines more: make the window higher"]
        lines = lines if self._colour else [click.unstyle(line) for line in lines]
        body = f"{_REST_OF_LINE}\r\n".join(lines)
        _write(f"{_TOP}{body}{_REST_OF_LINE}{_REST_OF_SCREEN}")

    def wait(self, seconds: float) -> Literal["", "end", "resized"]:
        """What happened within `seconds`."""
        if sys.platform == "win32":
            threading.Event().wait(seconds)
            return ""
        deadline = time.monotonic() + seconds
        sources = [self._woken] if self._keys is None else [self._woken, self._keys]
        while (left := deadline - time.monotonic()) > 0:
            ready, _, _ = select.select(sources, [], [], left)
            if self._woken in ready:
                os.read(self._woken, 512)
                return "resized"
            if self._keys in ready:
                typed = os.read(self._keys, 64) if self._keys is not None else b""
                if not typed or typed in (b"q", b"Q", b"\x04"):
                    return "end"
        return ""

    def _take(self) -> None:
        if self._keys is not None:
            import termios
            import tty

            self._mode = termios.tcgetattr(self._keys)
            tty.setcbreak(self._keys, termios.TCSANOW)  # ^C stays a signal
        _write(_ENTER)

    def _give_back(self) -> None:
        with contextlib.suppress(OSError):
            _write(_LEAVE)
        if self._keys is not None and self._mode is not None:
            import termios

            with contextlib.suppress(OSError, termios.error):
                termios.tcsetattr(self._keys, termios.TCSANOW, self._mode)

    def _resized(self, *_: object) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake, b"w")

    def _stopped(self, *_: object) -> None:
        """^Z: the shell has its screen until it brings us back."""
        self._give_back()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._stopped)
        self._take()
        self._resized()


def _ended(number: int, _frame: object) -> None:
    sys.exit(128 + number)


def _height() -> int:
    with contextlib.suppress(OSError):
        return os.get_terminal_size(sys.stdout.fileno()).lines or 24
    return 24


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
