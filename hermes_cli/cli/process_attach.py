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

    from hermes_cli.processes.changes import Changes
    from hermes_cli.processes.collection import Kept
    from hermes_cli.processes.registry import Registry

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
_CHUNK = 256 << 10


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
def attach(registry: Registry, as_json: bool, process_id: str, keys: DetachKeys) -> int:
    """Be at a process's terminal, until it ends or you press the detach key; then it goes on without you.

    A process without a terminal gets what you type line by line: ctrl-d closes its stdin, ctrl-c
    interrupts it.
    """
    import asyncio

    from hermes_cli.processes.errors import NotRunningError

    from .process_terminal import Terminal

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("attach needs a terminal; in a script use 'write', 'submit' and 'log -f'")
    kept = registry.look(process_id)
    if kept.status.state != "running":
        raise NotRunningError(kept.spec.id, kept.status.state)
    if not as_json:
        click.echo(f"hermes: attached to {kept.spec.id}; {keys.name} detaches", err=True)
    sys.stdout.flush()
    with Terminal(sys.stdin.fileno(), sys.stdout.fileno()) as terminal:
        ended_by = asyncio.run(_Attachment(registry, kept, terminal, keys).run())
    status = registry.look(kept.spec.id).status
    if as_json:
        word = status.state if ended_by == DETACHED and status.state != "running" else "detached"
        print_answer({"session_id": kept.spec.id, "status": word, "exit_code": status.exit_code})
    elif status.state == "running":
        click.echo(f"hermes: detached from {kept.spec.id}; it goes on", err=True)
    else:
        state = how_it_is(status.state, status.exit_code, status.reason)
        click.echo(f"hermes: {kept.spec.id} {state}", err=True)
    if ended_by:
        return 128 + ended_by
    return DETACHED if status.state == "running" else exit_code_of(status.state, status.exit_code)


class _Attachment:
    """What is typed goes in, what comes out is shown, sizes are passed on."""

    def __init__(self, registry: Registry, kept: Kept, terminal: Terminal, keys: DetachKeys) -> None:
        self._registry = registry
        self._kept = kept
        self._id = kept.spec.id
        self._pty = kept.spec.pty
        self._terminal = terminal
        self._keys = keys
        self._typed: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._taken = 0
        """Bytes that were typed."""
        self._passed = 0
        """Bytes of them that went in, or were dropped because the process ended."""
        self._input_closed = False
        self._signal = 0

    async def run(self) -> int:
        """Return at the process's end or when the keys were pressed; the number of a signal that ended it."""
        import asyncio

        from hermes_cli.processes.changes import Changes

        loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._progress = asyncio.Event()
        # A daemon: a process that does not read holds a write up for seconds, and nobody waits for that.
        threading.Thread(target=self._write, args=(loop,), daemon=True).start()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            loop.add_signal_handler(number, self._end, number)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        if self._pty:
            self._terminal.raw()
        else:
            self._terminal.by_line(self._keys)
        changes = Changes()
        shown = asyncio.ensure_future(self._show(changes))
        over = asyncio.ensure_future(self._over.wait())
        try:
            if self._pty:
                loop.add_signal_handler(signal.SIGWINCH, self._resize)
                await self._redraw(changes)
            loop.add_reader(self._terminal.source, self._read)
            await asyncio.wait({shown, over}, return_when=asyncio.FIRST_COMPLETED)
            if shown.done():
                shown.result()
            else:
                await self._flush()
        finally:
            loop.remove_reader(self._terminal.source)
            self._terminal.restore()
            for task in (shown, over):
                task.cancel()
            await asyncio.wait({shown, over})
            changes.close()
        return self._signal

    async def _show(self, changes: Changes) -> None:
        from hermes_cli.processes.lines import start_of_last_lines

        rows, _ = self._terminal.size()
        cursor = start_of_last_lines(self._kept.spool, rows)
        if self._pty:
            self._terminal.show(_modes_at(self._kept, cursor))
        with changes.watch(self._kept) as subscription:
            while True:
                subscription.changed.clear()
                kept = self._registry.look(self._id)
                before = cursor
                cursor = self._show_from(kept, cursor)
                if cursor == before:
                    if kept.status.state != "running":
                        return
                    await subscription.wait(_LOOK)
                else:
                    await _let_others_run()

    def _show_from(self, kept: Kept, cursor: int) -> int:
        try:
            if self._pty:
                chunk = kept.spool.read(cursor, _CHUNK)
                self._terminal.show(chunk.data)
                return chunk.end
            from hermes_cli.processes.frames import STDERR

            from .process_terminal import write_all

            for record in kept.spool.records(cursor):
                data = record.behind(cursor).data
                if record.stream == STDERR:
                    write_all(sys.stderr.fileno(), data)
                else:
                    self._terminal.show(data)
                cursor = record.end
        except OSError:  # the terminal has gone
            self._end(signal.SIGHUP)
        return cursor

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

    def _write(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            data = self._typed.get()
            self._pass_on(data)
            self._passed += len(data or b"")
            try:
                loop.call_soon_threadsafe(self._progress.set)
            except RuntimeError:  # the loop is closed: it is over
                return

    def _pass_on(self, data: bytes | None) -> None:
        from hermes_cli.processes.errors import ProcessError, StdinClosedError

        try:
            if data is None:
                if not self._input_closed:
                    self._input_closed = True
                    self._registry.close(self._id)
                return
            while data:
                data = data[self._registry.write(self._id, data).bytes_written :]
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
        from hermes_cli.processes.errors import ProcessError

        with contextlib.suppress(ProcessError):
            self._registry.signal(self._id, signal.SIGINT)

    async def _redraw(self, changes: Changes) -> None:
        """Have the program draw its screen anew: it does so when it hears of another size (SIGWINCH)."""
        rows, columns = self._terminal.size()
        with changes.watch(self._kept) as subscription:
            self._tell_size(rows - 1 if rows > 1 else rows + 1, columns)
            await subscription.wait(_REDRAW)
        self._resize()

    def _resize(self) -> None:
        self._tell_size(*self._terminal.size())

    def _tell_size(self, rows: int, columns: int) -> None:
        from hermes_cli.processes.errors import ProcessError

        with contextlib.suppress(ProcessError):
            self._registry.resize(self._id, rows, columns)


def _modes_at(kept: Kept, cursor: int) -> bytes:
    """What switches the terminal to the modes that the program has set before `cursor`."""
    from .process_terminal import ModeTracker

    modes = ModeTracker()
    for record in kept.spool.records():
        if record.offset >= cursor:
            break
        modes.feed(record.data[: cursor - record.offset])
    return modes.redo()


async def _let_others_run() -> None:
    import asyncio

    await asyncio.sleep(0)
