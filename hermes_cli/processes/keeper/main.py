"""The keeper's loop: output to disk, input to the command, requests answered, the end written down."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import time

from . import kernel
from .control import Connection, Listener, Request
from .ending import ask_to_end, end_all, signal_group
from .launch import Launched, LaunchError, launch, set_size
from .settings import Settings, read_settings
from .status import append_event, set_aside, write_status
from .writer import SpoolWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal

    from hermes_cli.processes.watching import Found, Watcher
else:
    import _signal as signal

_READ = 1 << 17
_OWN_FILES = 128 << 10
"""Bytes of the cap that are not for output: specification, status, events."""
_KILL_PATIENCE = 5.0
"""Seconds between SIGKILL and giving up on a process that the kernel does not let go."""


class _Input:
    """A write that waits for the command to read."""

    def __init__(self, request: Request, deadline: float) -> None:
        self.request = request
        self.data = memoryview(request.payload)
        self.written = 0
        self.deadline = deadline


class Keeper:
    """One command and everything of it. Runs in the process's directory, whatever that is called later."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._poll = select.poll()
        self._connections: dict[int, Connection] = {}
        self._inputs: list[_Input] = []
        self._writer = SpoolWriter("output", max(settings.cap - _OWN_FILES, _OWN_FILES))
        self._cgroup = kernel.Cgroup(settings.id)
        self._watcher: Watcher | None = None
        self._events = 0
        self._kill_requests: list[Request] = []
        self._kill_at: float | None = None
        self._give_up_at: float | None = None
        self._asked_to_end = ""
        self._reaped = 0
        self._ended: int | None = None
        self._alone = False
        if settings.watch:
            from hermes_cli.processes.watching import Watcher

            self._watcher = Watcher(settings.watch)

    def start(self) -> int:
        """Start the command and say so in status.json; its pid. Raises `LaunchError`."""
        kernel.adopt_orphans()
        self._wakeup = _wake_on_signals()
        self._poll.register(self._wakeup, select.POLLIN)
        set_aside()
        self._oom_before = kernel.out_of_memory_kills()
        self._listener = Listener(self._settings.sockets, self._settings.id)
        if self._listener.path:
            self._poll.register(self._listener.descriptor, select.POLLIN)
        self._started_at = time.time()
        try:
            self._command: Launched = launch(self._settings, self._cgroup)
        except LaunchError:
            self._listener.close()
            self._cgroup.remove()
            raise
        for descriptor in self._command.outputs:
            self._poll.register(descriptor, select.POLLIN)
        if not self._write_status("running"):
            end_all(self._cgroup)
            raise LaunchError(errno.ENOSPC, "status")
        return self._command.pid

    def run(self) -> None:
        """Until the command and everything it started have ended, and all their output is on disk."""
        while not (self._alone and not self._command.outputs):
            for descriptor, events in self._poll.poll(self._timeout()):
                if descriptor in self._command.outputs:
                    self._read_output(descriptor)
                elif descriptor == self._wakeup:
                    self._signalled()
                elif descriptor == self._listener.descriptor:
                    self._accept()
                elif descriptor in self._connections:
                    self._serve(self._connections[descriptor], events)
            self._feed_input()
            self._keep_deadlines()
            self._reap()
            if self._alone:
                self._drain(to_the_end=True)
        self._finish()

    def _timeout(self) -> float | None:
        """Milliseconds until something is due, or None."""
        due = [at for at in (self._kill_at, self._give_up_at) if at is not None]
        due += [waiting.deadline for waiting in self._inputs[:1]]
        return max(0.0, (min(due) - time.monotonic()) * 1000 + 1) if due else None

    # Output

    def _read_output(self, descriptor: int) -> bool:
        """Take what is there; False at the end of file, and where there is nothing now."""
        try:
            data = os.read(descriptor, _READ)
        except BlockingIOError:
            return False
        except OSError as error:  # a terminal whose last user has gone
            if error.errno != errno.EIO:
                self._writer.failures += 1
            data = b""
        stream = self._command.outputs[descriptor]
        if not data:
            self._close_output(descriptor)
            return False
        self._writer.write(stream, data, time.time_ns() // 1000)
        if self._watcher is not None and self._ended is None:
            self._tell(self._watcher.feed(data, time.monotonic(), stream))
        return True

    def _drain(self, *, to_the_end: bool) -> None:
        """What the command wrote before it ended is in the pipes now: take that, and no endless rest."""
        for descriptor in list(self._command.outputs):
            taken = 0
            while descriptor in self._command.outputs and taken < 64 and self._read_output(descriptor):
                taken += 1
            if to_the_end and descriptor in self._command.outputs and taken < 64:
                self._close_output(descriptor)  # held open by nobody of ours

    def _close_output(self, descriptor: int) -> None:
        self._poll.unregister(descriptor)
        del self._command.outputs[descriptor]
        if descriptor == self._command.stdin:
            self._command.stdin = -1
        os.close(descriptor)

    # Notifications

    def _tell(self, found: list[Found]) -> None:
        for item in found:
            self._event(
                {
                    "type": item.type,
                    "pattern": item.pattern,
                    "output": item.line.decode("utf-8", "replace"),
                    "suppressed": item.suppressed,
                    "message": item.message,
                }
            )

    def _event(self, fields: dict[str, object]) -> None:
        if append_event({"seq": self._events + 1, "at": time.time(), **fields}):
            self._events += 1

    # Input

    def _feed_input(self) -> None:
        while self._inputs:
            waiting = self._inputs[0]
            if self._command.stdin < 0 or self._ended is not None:
                self._answer_input("partial" if waiting.written else "closed")
                continue
            try:
                while waiting.written < len(waiting.data):
                    waiting.written += os.write(self._command.stdin, waiting.data[waiting.written :])
            except BlockingIOError:
                if time.monotonic() >= waiting.deadline:
                    self._answer_input("partial")
                    continue
                self._want_writable(True)
                return
            except OSError:  # nobody reads any more
                self._close_stdin()
                self._answer_input("partial" if waiting.written else "closed")
                continue
            self._answer_input("ok")
        self._want_writable(False)

    def _answer_input(self, word: str) -> None:
        waiting = self._inputs.pop(0)
        waiting.request.answer(word if word == "closed" else f"{word} {waiting.written}")

    def _want_writable(self, wanted: bool) -> None:
        stdin = self._command.stdin
        if stdin < 0:
            return
        reading = select.POLLIN if stdin in self._command.outputs else 0
        if wanted or reading:
            self._poll.register(stdin, reading | (select.POLLOUT if wanted else 0))
        else:
            try:
                self._poll.unregister(stdin)
            except KeyError:
                return

    def _close_stdin(self) -> bool:
        """True if it was open. A terminal gets its end-of-file character: it cannot be closed one way."""
        stdin = self._command.stdin
        if stdin < 0 or self._ended is not None:
            return False
        if stdin in self._command.outputs:
            try:
                os.write(stdin, b"\x04")
            except OSError:
                return False
            return True
        self._want_writable(False)
        self._command.stdin = -1
        os.close(stdin)
        return True

    # Requests

    def _accept(self) -> None:
        connection = self._listener.accept()
        if connection is None:
            return
        if len(self._connections) >= 16:
            os.close(connection.descriptor)
            return
        self._connections[connection.descriptor] = connection
        self._poll.register(connection.descriptor, select.POLLIN)

    def _serve(self, connection: Connection, events: int) -> None:
        if events & select.POLLIN:
            connection.fill()
        elif events & (select.POLLHUP | select.POLLERR | select.POLLNVAL):
            connection.close()
        while (request := connection.request()) is not None:
            self._handle(request)
        if not connection.open:
            self._poll.unregister(connection.descriptor)
            del self._connections[connection.descriptor]
            os.close(connection.descriptor)

    def _handle(self, request: Request) -> None:
        verb, numbers = request.verb, request.numbers
        if verb == "write" and len(numbers) == 2:
            self._inputs.append(_Input(request, time.monotonic() + numbers[0] / 1000))
        elif verb == "close":
            request.answer(f"ok {int(self._close_stdin())}")
        elif verb == "resize" and len(numbers) == 2:
            request.answer(self._resize(*numbers))
        elif verb == "signal" and len(numbers) == 1:
            sent = self._ended is None and signal_group(self._command.pid, numbers[0])
            request.answer("ok 0" if sent else "gone")
        elif verb == "kill" and len(numbers) == 1:
            self._kill_requests.append(request)
            self._begin_to_end("asked to", numbers[0] / 1000)
        elif verb == "ping":
            request.answer(f"ok {self._command.pid}")
        else:
            request.answer("error not a request")

    def _resize(self, rows: int, columns: int) -> str:
        terminal = self._command.stdin
        if terminal not in self._command.outputs or not (0 < rows < 1 << 16 and 0 < columns < 1 << 16):
            return "error no terminal"
        set_size(terminal, rows, columns)
        return "ok 0"

    # The end

    def _signalled(self) -> None:
        """Asked by a signal to end: the machine or the container goes down."""
        try:
            numbers = os.read(self._wakeup, 256)
        except BlockingIOError:
            return
        if any(number in numbers for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)):
            self._begin_to_end("its keeper was told to end", 3.0)

    def _begin_to_end(self, why: str, grace: float) -> None:
        if self._ended is None:
            self._asked_to_end = why
        at = time.monotonic() + grace
        self._kill_at = at if self._kill_at is None else min(at, self._kill_at)
        ask_to_end(self._command.pid)

    def _keep_deadlines(self) -> None:
        now = time.monotonic()
        if self._kill_at is not None and now >= self._kill_at:
            end_all(self._cgroup)
            self._kill_at = now + 0.5  # until they are gone: what the kernel held in a call may show up again
            if self._give_up_at is None:
                self._give_up_at = now + _KILL_PATIENCE
        if self._give_up_at is not None and now >= self._give_up_at:
            left = len(kernel.descendants(os.getpid()))
            for request in self._kill_requests:
                request.answer(f"left {left}")
            self._kill_requests.clear()
            self._kill_at = self._give_up_at = None

    def _reap(self) -> None:
        while not self._alone:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self._alone = True
                break
            if pid == 0:
                break
            self._reaped += 1
            if pid == self._command.pid:
                self._ended = status
                self._command_ended()
        if self._alone:
            for request in self._kill_requests:
                request.answer(f"ok {self._reaped}")
            self._kill_requests.clear()
            self._kill_at = self._give_up_at = None

    def _command_ended(self) -> None:
        """All it wrote goes to disk first, then how it ended: who reads of the end finds everything."""
        self._ended_at = time.time()
        status, self._ended = self._ended, None
        self._drain(to_the_end=False)
        if self._watcher is not None:
            self._tell(self._watcher.finish(time.monotonic()))
        self._ended = status
        self._end = self._outcome()
        if self._settings.notify or (self._watcher is not None and self._watcher.promoted):
            self._event({"type": "completion", **self._end})
        left = len(kernel.descendants(os.getpid()))
        self._write_status(str(self._end["state"]), descendants=left, final=True)

    def _outcome(self) -> dict[str, object]:
        code = os.waitstatus_to_exitcode(self._ended or 0)
        state, reason = "exited", ""
        if self._asked_to_end:
            state, reason = "killed", self._asked_to_end
        elif code == -signal.SIGKILL and kernel.out_of_memory_kills() > self._oom_before:
            reason = "out of memory"
        elif code < 0:
            reason = f"ended by signal {-code}"
        return {
            "state": state,
            "exit_code": code if code >= 0 else 128 - code,
            "signal": -code if code < 0 else None,
            "reason": reason,
        }

    def _finish(self) -> None:
        for descriptor in list(self._command.outputs):
            self._close_output(descriptor)
        self._writer.close()
        self._listener.close()
        self._cgroup.remove()
        self._write_status(str(self._end["state"]), over=True)

    def _write_status(
        self, state: str, *, descendants: int = 0, final: bool = False, over: bool = False
    ) -> bool:
        keeper = os.getpid()
        fields: dict[str, object] = {
            "version": 1,
            "state": state,
            "pid": self._command.pid,
            "keeper": {
                "pid": keeper,
                "start": kernel.start_ticks(keeper),
                "boot_id": kernel.boot_id(),
                "init_start": kernel.start_ticks(1),
            },
            "started_at": self._started_at,
            "control": "" if over else self._listener.path,
            "descendants": descendants,
        }
        if state != "running":
            fields.update(self._end, ended_at=self._ended_at)
        return write_status(fields, final=final)


def _wake_on_signals() -> int:
    """A pipe that gets a byte, the signal's number, for each signal that concerns a keeper."""
    read, write = os.pipe()
    for descriptor in (read, write):
        os.set_blocking(descriptor, False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    return read


def main() -> None:
    """Settings come on descriptor 0; one line goes to descriptor 1: `ok PID` or `error ERRNO STAGE`."""
    directory = os.environb[b"HERMES_KEEPER_DIRECTORY"]
    os.environ.clear()
    try:
        os.chdir(directory)
        lock = os.open("keeper.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        _lock(lock)
        keeper = Keeper(read_settings(0))
        line = f"ok {keeper.start()}"
    except LaunchError as error:
        line = f"error {error.number} {error.stage}"
    except (OSError, ValueError) as error:
        line = f"error {getattr(error, 'errno', None) or errno.EINVAL} keeper"
    os.write(1, line.encode() + b"\n")
    nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
    if line.startswith("ok"):
        keeper.run()


def _lock(descriptor: int) -> None:
    """Held for as long as the keeper lives: that it is held is how others know."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
