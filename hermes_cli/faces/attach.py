"""Being at a process's terminal: what is typed goes in, what comes out is shown, until it ends or is left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hermes_cli.processes.errors import NotRunningError, ProcessError, StdinClosedError
from hermes_cli.processes.frames import STDERR

from .background import in_thread
from .terminal import DetachKeys, Terminal, write_all

if TYPE_CHECKING:
    from hermes_cli.processes.environments import Environment
    from hermes_cli.processes.recorded import Beginning, Recorded
    from hermes_cli.processes.types import Polled, Spec

_MOST_WAITING = 256 << 10
"""Bytes typed or pasted that wait for a process which does not read; then the bell rings."""
_REDRAW = 0.15
"""Seconds a program gets to answer the first of two sizes: with one alone, or both at once, it may see no
change and draw nothing."""
_LAST_WORDS = 1.0
"""Seconds for what was typed just before the keys that detach."""
_SIGNALS = (*(signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT), signal.SIGINT, signal.SIGWINCH)
_NO_MORE = b""
"""What is typed is never empty."""
_LOOK = 15.0
"""Seconds until another look where nothing was heard of."""


@dataclass(frozen=True)
class Left:
    """How being at a terminal ended."""

    polled: Polled
    """The process, looked at afterwards: `running` where it was left to itself."""
    signal: int
    """Number of the signal that ended it here, or 0."""


def spec_of_running(environment: Environment, given: str) -> Spec:
    """What there is to attach to. Raises `NotRunningError` for one that has ended, else `ProcessError`."""
    spec = environment.spec(given)
    state = environment.poll(spec.id).status
    if state != "running":
        raise NotRunningError(spec.id, state)
    return spec


async def attach(environment: Environment, spec: Spec, terminal: Terminal, keys: DetachKeys) -> Left:
    """Be at the terminal of a running process until it ends or `keys` are pressed; needs the main thread.

    Handles SIGINT, SIGTERM, SIGHUP, SIGQUIT and SIGWINCH meanwhile: who had handlers in this loop sets them
    again. The terminal has its mode back on return. Raises `ProcessError`.
    """
    beginning = await in_thread(lambda: environment.beginning(spec.id, terminal.size()[0]))
    attachment = _Attachment(environment, spec, terminal, keys)
    ended_by = await attachment.run(beginning)
    if attachment.failure is not None:
        raise attachment.failure
    return Left(await in_thread(lambda: environment.poll(spec.id)), ended_by)


class _Attachment:
    """What is typed goes in, what comes out is shown, sizes are passed on."""

    def __init__(self, environment: Environment, spec: Spec, terminal: Terminal, keys: DetachKeys) -> None:
        self.failure: ProcessError | None = None
        """Why it could not go on."""
        self._environment = environment
        self._id = spec.id
        self._pty = spec.pty
        self._terminal = terminal
        self._keys = keys
        self._typed: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._orders: queue.SimpleQueue[tuple[Callable[[], None], asyncio.Event] | None]
        """Sizes and signals, which do not wait behind what is typed; None at the end."""
        self._orders = queue.SimpleQueue()
        self._taken = 0
        """Bytes that were typed."""
        self._passed = 0
        """Bytes of them that went in, or were dropped because the process ended."""
        self._shown = threading.Semaphore(0)
        self._input_closed = False
        self._ended = False
        self._signal = 0

    async def run(self, beginning: Beginning) -> int:
        """Return at the process's end or when the keys were pressed; the number of a signal that ended it."""
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._heard = asyncio.Event()
        self._progress = asyncio.Event()
        loop = self._loop
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            loop.add_signal_handler(number, self._end, number)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        if self._pty:
            self._terminal.raw()
            self._terminal.show(beginning.modes)
        else:
            self._terminal.by_line(self._keys)
        # Daemons: a process that does not read holds a write up for seconds, and nobody waits for that.
        for work in (self._carry_out, lambda: self._follow(beginning.cursor)):
            threading.Thread(target=work, daemon=True).start()
        begun = asyncio.ensure_future(self._begin())
        try:
            if self._pty:
                loop.add_signal_handler(signal.SIGWINCH, self._resize)
            loop.add_reader(self._terminal.source, self._read)
            await self._over.wait()
            if not self._ended:
                await self._flush()
        finally:
            self._over.set()
            loop.remove_reader(self._terminal.source)
            self._terminal.restore()
            begun.cancel()
            for number in _SIGNALS:
                loop.remove_signal_handler(number)
            self._orders.put(None)
            self._typed.put(_NO_MORE)
        return self._signal

    async def _begin(self) -> None:
        """What is typed goes in when the program knows the size; the keys that detach are heard before."""
        if self._pty:
            await self._redraw()
        threading.Thread(target=self._write, daemon=True).start()

    # What is shown

    def _follow(self, cursor: int) -> None:
        """In a thread: get the output, one piece after the other has been shown."""
        while not self._over.is_set():
            try:
                page = self._environment.recorded(self._id, cursor, _LOOK)
            except (ProcessError, OSError) as error:
                self._tell_loop(self._fail, error)
                return
            cursor = page.cursor
            if not self._tell_loop(self._show, page) or page.is_all:
                return
            self._shown.acquire()

    def _show(self, page: Recorded) -> None:
        try:
            for record in page.records if not self._over.is_set() else ():
                if record.stream == STDERR:
                    write_all(sys.stderr.fileno(), record.data)
                else:
                    self._terminal.show(record.data)
        except OSError:  # the terminal has gone
            self._end(signal.SIGHUP)
        self._heard.set()
        if page.is_all:
            self._ended = True
            self._over.set()
        self._shown.release()

    def _fail(self, error: Exception) -> None:
        if self._over.is_set():
            return
        self.failure = error if isinstance(error, ProcessError) else ProcessError(str(error))
        self._ended = True
        self._over.set()

    def _tell_loop(self, call: Callable[..., None], *given: Any) -> bool:
        try:
            self._loop.call_soon_threadsafe(call, *given)
        except RuntimeError:  # the loop is closed: it is over
            return False
        return True

    # What is typed

    def _read(self) -> None:
        try:
            data = os.read(self._terminal.source, 4096)
        except BlockingIOError:
            return
        except OSError:
            self._end(signal.SIGHUP)
            return
        if not data:
            if self._pty:
                self._end(signal.SIGHUP)
            else:
                self._typed.put(None)
            return
        passed, detached = self._keys.feed(data)
        if passed and self._taken - self._passed + len(passed) > _MOST_WAITING:
            with contextlib.suppress(OSError):
                self._terminal.show(b"\a")
        elif passed:
            self._taken += len(passed)
            self._typed.put(passed)
        if detached:
            self._over.set()

    async def _flush(self) -> None:
        """What was typed before the keys that detach still goes in, if the process reads."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS):
                while self._passed < self._taken and not self._signal:
                    self._progress.clear()
                    await self._progress.wait()

    def _write(self) -> None:
        while True:
            data = self._typed.get()
            if data == _NO_MORE:
                return
            self._pass_on(data)
            self._passed += len(data or b"")
            if not self._tell_loop(self._progress.set):
                return

    def _pass_on(self, data: bytes | None) -> None:
        try:
            if data is None:
                if not self._input_closed:
                    self._input_closed = True
                    self._environment.close(self._id)
                return
            while data:
                data = data[self._environment.write(self._id, data).bytes_written :]
        except StdinClosedError as error:
            if not self._pty:
                print(f"hermes: {error}", file=sys.stderr)
        except ProcessError:
            return  # it ended just now, which its output's end will show

    # Signals and sizes

    def _end(self, number: int) -> None:
        self._signal = number
        self._over.set()

    def _interrupt(self) -> None:
        self._order(lambda: self._environment.signal(self._id, signal.SIGINT))

    async def _redraw(self) -> None:
        """Have the program draw its screen anew: it does so when it hears of another size (SIGWINCH)."""
        rows, columns = self._terminal.size()
        await self._tell_size(rows - 1 if rows > 1 else rows + 1, columns).wait()
        self._heard.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_REDRAW):
                await self._heard.wait()
        await self._tell_size(*self._terminal.size()).wait()

    def _resize(self) -> None:
        self._tell_size(*self._terminal.size())

    def _tell_size(self, rows: int, columns: int) -> asyncio.Event:
        return self._order(lambda: self._environment.resize(self._id, rows, columns))

    def _order(self, call: Callable[[], None]) -> asyncio.Event:
        """Have it done by the thread for it; the event is set then."""
        done = asyncio.Event()
        self._orders.put((call, done))
        return done

    def _carry_out(self) -> None:
        while True:
            order = self._orders.get()
            if order is None:
                return
            call, done = order
            with contextlib.suppress(ProcessError, OSError):
                call()
            if not self._tell_loop(done.set):
                return
