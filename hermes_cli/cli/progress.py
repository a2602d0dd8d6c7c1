"""What a command waits for, on a line of its own, once that takes long."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

PATIENCE = 2.0
"""Seconds in which nothing is said: most commands are done by then."""

_STEP = 0.12
_SPINNER = "|/-\\"
_CLEAR = "\r\x1b[K"


class Progress:
    """The line. What is said on it is safe to show; everything else goes over `note` while it is there."""

    def __init__(self, what: str, shown: bool) -> None:
        self._what = what
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._visible = False
        self._done = threading.Event()
        self._thread: threading.Thread | None = None
        if shown:
            self._thread = threading.Thread(target=self._spin, name="progress", daemon=True)
            self._thread.start()

    def say(self, what: str) -> None:
        """It waits for something else now."""
        with self._lock:
            self._what = what

    def note(self, text: str) -> None:
        """A line on stderr that stays, whether the progress is shown or not."""
        with self._lock:
            self._clear()
            click.echo(text, err=True)

    def end(self) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _spin(self) -> None:
        step = 0
        if self._done.wait(PATIENCE):
            return
        while True:
            with self._lock:
                self._draw(_SPINNER[step % len(_SPINNER)])
            step += 1
            if self._done.wait(_STEP):
                break
        with self._lock:
            self._clear()

    def _draw(self, mark: str) -> None:
        text = f"{mark} {self._what}, {time.monotonic() - self._began:.0f} s"
        self._write(f"{_CLEAR}{text[: _columns() - 1]}")
        self._visible = True

    def _clear(self) -> None:
        if self._visible:
            self._write(_CLEAR)
            self._visible = False

    @staticmethod
    def _write(text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError):  # nobody looks any more
            pass


@contextmanager
def waiting(what: str, *, quiet: bool = False) -> Iterator[Progress]:
    """Show, after two seconds, `what` is waited for and for how long, until the context ends.

    Nothing is shown where stderr is no terminal, or one that can do nothing (TERM=dumb), or if `quiet`:
    with --json.
    """
    shown = not quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    progress = Progress(what, shown)
    try:
        yield progress
    finally:
        progress.end()


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except OSError:
        return 80
