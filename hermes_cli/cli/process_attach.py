"""`hermes process attach`: a process's terminal on this one, until it ends or the detach key is pressed."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import click

from .process_context import exit_code_of, how_it_is, id_argument, print_answer, verb

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from hermes_cli.processes.environments import Environment
    from hermes_cli.processes.errors import ProcessError
    from hermes_cli.processes.recorded import Beginning, Recorded
    from hermes_cli.processes.types import Spec

    from .process_terminal import DetachKeys, Terminal

DETACHED = 0

_MOST_WAITING = 256 << 10
"""Bytes typed or pasted that wait for a process which does not read; then the bell rings."""
_REDRAW = 0.15
"""Seconds a program gets to answer the first of two sizes: with one alone, or both at once, it may see no
change and draw nothing."""
_LAST_WORDS = 1.0
"""Seconds for what was typed just before the keys that detach."""
_LOOK = 15.0
"""Seconds until another look where nothing was heard of."""


class _Keys(click.ParamType["DetachKeys"]):
    name = "keys"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> DetachKeys:
        from .process_terminal import DetachKeys

        if isinstance(value, DetachKeys):
            return value
        try:
            return DetachKeys(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@id_argument
@click.option(
    "--detach-keys",
    "keys",
    type=_Keys(),
    default="ctrl-]",
    show_default=True,
    metavar="KEYS",
    help="What to press to leave the process to itself; several with commas: ctrl-p,ctrl-q.",
)
@verb
def attach(environment: Environment, as_json: bool, process_id: str, keys: DetachKeys) -> int:
    """Be at a process's terminal, until it ends or you press the detach key; then it goes on without you.

    A process without a terminal gets what you type line by line: ctrl-d closes its stdin, ctrl-c
    interrupts it.
    """
    import asyncio

    from hermes_cli.processes.errors import NotRunningError

    from .process_terminal import Terminal

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("attach needs a terminal; in a script use 'write', 'submit' and 'log -f'")
    spec = environment.spec(process_id)
    state = environment.poll(spec.id).status
    if state != "running":
        raise NotRunningError(spec.id, state)
    if not as_json:
        click.echo(f"hermes: attached to {spec.id}; {keys.name} detaches", err=True)
    sys.stdout.flush()
    with Terminal(sys.stdin.fileno(), sys.stdout.fileno()) as terminal:
        beginning = environment.beginning(spec.id, terminal.size()[0])
        attachment = _Attachment(environment, spec, terminal, keys)
        ended_by = asyncio.run(attachment.run(beginning))
    if attachment.failure is not None:
        raise attachment.failure
    found = environment.poll(spec.id)
    if as_json:
        word = found.status if ended_by == DETACHED and found.status != "running" else "detached"
        print_answer({"session_id": spec.id, "status": word, "exit_code": found.exit_code})
    elif found.status == "running":
        click.echo(f"hermes: detached from {spec.id}; it goes on", err=True)
    else:
        click.echo(f"hermes: {spec.id} {how_it_is(found.status, found.exit_code, found.reason)}", err=True)
    if ended_by:
        return 128 + ended_by
    return DETACHED if found.status == "running" else exit_code_of(found.status, found.exit_code)


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
        self._orders: queue.SimpleQueue[tuple[Callable[[], None], asyncio.Event]] = queue.SimpleQueue()
        """Sizes and signals, which do not wait behind what is typed."""
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
        import asyncio

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
            loop.remove_reader(self._terminal.source)
            self._terminal.restore()
            begun.cancel()
        return self._signal

    async def _begin(self) -> None:
        """What is typed goes in when the program knows the size; the keys that detach are heard before."""
        if self._pty:
            await self._redraw()
        threading.Thread(target=self._write, daemon=True).start()

    # What is shown

    def _follow(self, cursor: int) -> None:
        """In a thread: get the output, one piece after the other has been shown."""
        from hermes_cli.processes.errors import ProcessError

        while True:
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
        from hermes_cli.processes.frames import STDERR

        from .process_terminal import write_all

        if self._over.is_set():
            return
        try:
            for record in page.records:
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
        from hermes_cli.processes.errors import ProcessError

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
        import asyncio

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS):
                while self._passed < self._taken and not self._signal:
                    self._progress.clear()
                    await self._progress.wait()

    def _write(self) -> None:
        while True:
            data = self._typed.get()
            self._pass_on(data)
            self._passed += len(data or b"")
            if not self._tell_loop(self._progress.set):
                return

    def _pass_on(self, data: bytes | None) -> None:
        from hermes_cli.processes.errors import ProcessError, StdinClosedError

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
                click.echo(f"hermes: {error}", err=True)
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
        import asyncio

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
        import asyncio

        done = asyncio.Event()
        self._orders.put((call, done))
        return done

    def _carry_out(self) -> None:
        from hermes_cli.processes.errors import ProcessError

        while True:
            call, done = self._orders.get()
            with contextlib.suppress(ProcessError, OSError):
                call()
            if not self._tell_loop(done.set):
                return
