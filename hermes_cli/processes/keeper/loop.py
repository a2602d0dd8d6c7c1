"""The keeper's loop: output to disk, input to the command, requests answered, the end written down."""

from __future__ import annotations

import errno
import os
import select
import time

from . import cgroup, kernel
from .control import MAX_CONNECTIONS, Connection, Listener, Request
from .ending import ask_to_end, end_all, signal_group
from .launch import LAUNCHING, Launched, LaunchError, launch, set_size
from .status import append_event, set_aside, write_status
from .stdin import Stdin
from .writer import SpoolWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable

    from hermes_cli.processes.watching import Found, Watcher

    from .settings import Settings
else:
    import _signal as signal

_READ = 1 << 17
_DRAIN = 64
"""Reads that empty a pipe or a terminal, whatever else is still writing to it."""
_STATUSES = 32 << 10
"""Bytes of the cap for what is neither output nor events, a block of the disk each."""
_LAST_EVENT = 8 << 10
"""Bytes kept for the word that there will be no more matches, and for the completion."""
_KILL_PATIENCE = 5.0
"""Seconds between SIGKILL and giving up on a process that the kernel does not let go."""
_KILL_AGAIN = 0.5
"""Seconds until the next SIGKILL: what the kernel held in a call may show up late."""
_LISTEN_AGAIN = 1.0
"""Seconds without new clients where there was no descriptor for one."""
_LOOKS = 4
"""How often there must be no descendant before there is none."""


class Keeper:
    """One command and everything of it. Runs in the process's directory, whatever that is called later."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._poll = select.poll()
        self._connections: dict[int, Connection] = {}
        room = settings.cap - _STATUSES
        self._event_room = room // 16
        self._writer = SpoolWriter("output", room - self._event_room)
        self._events = 0
        self._kill_requests: list[Request] = []
        self._kill_at: float | None = None
        self._give_up_at: float | None = None
        self._listen_at: float | None = None
        self._killed: set[int] = set()
        self._asked_to_end = ""
        self._ended: dict[str, object] = {}
        """How the command ended; empty while it runs."""
        self._alone = False
        self._over = False
        self._watcher: Watcher | None = None
        self._promoted = False
        if settings.watch:
            from hermes_cli.processes.watching import Watcher

            self._watcher = Watcher(settings.watch)

    def start(self, wanted: Callable[[], bool]) -> int:
        """Start the command, if it is still `wanted`, and say so in status.json; its pid.

        Raises `LaunchError`.
        """
        self._wakeup = _wake_on_signals()
        self._poll.register(self._wakeup, select.POLLIN)
        try:
            set_aside()
        except OSError as error:
            raise LaunchError(error.errno or errno.EIO, "status") from error
        try:
            self._listener = Listener(self._settings.id)
        except OSError as error:
            raise LaunchError(error.errno or errno.EIO, "socket") from error
        self._poll.register(self._listener.descriptor, select.POLLIN)
        if not wanted():
            raise LaunchError(errno.ECANCELED, "starter")
        self._oom_before = cgroup.out_of_memory_kills()
        self._cgroup = cgroup.make(self._settings.id)
        self._started_at, self._started_after_boot = time.time(), _after_boot()
        try:
            _make(LAUNCHING)
            self._command: Launched = launch(self._settings, self._cgroup)
            self._command_pid = self._command.pid
            if not self._write_status():
                end_all(self._cgroup, self._command_pid)
                os.waitpid(self._command_pid, 0)
                raise LaunchError(errno.ENOSPC, "status")
        except LaunchError:
            self._cgroup.remove()
            raise
        self._stdin = Stdin(self._command.stdin, self._poll, terminal=self._settings.pty)
        for descriptor in self._command.outputs:
            self._poll.register(descriptor, select.POLLIN)
        return self._command.pid

    def run(self) -> None:
        """Until the command and everything it started have ended, and all their output is on disk."""
        while not self._alone:
            for descriptor, events in self._poll.poll(self._timeout()):
                if descriptor in self._command.outputs:
                    if events & ~select.POLLOUT:
                        self._read_output(descriptor)
                elif descriptor == self._wakeup:
                    self._signalled()
                elif descriptor == self._listener.descriptor:
                    self._accept()
                elif descriptor in self._connections:
                    self._serve(self._connections[descriptor], events)
            self._stdin.feed()
            self._keep_deadlines()
        self._drain()
        self._finish()

    def fail(self, error: BaseException) -> None:
        """Something here broke: leave nothing running, and say what it was."""
        end_all(self._cgroup, 0 if self._ended else self._command_pid)
        if not self._ended:
            reason = f"its keeper failed: {type(error).__name__}: {error}"[:500]
            self._ended = self._end("lost", None, None, reason)
        self._over = True
        self._write_status(durable=True)

    def _timeout(self) -> float | None:
        """Milliseconds until something is due, or None."""
        times = (self._kill_at, self._give_up_at, self._listen_at, self._stdin.deadline())
        due = [at for at in times if at is not None]
        return max(0.0, (min(due) - time.monotonic()) * 1000 + 1) if due else None

    # Output

    def _read_output(self, descriptor: int) -> bool:
        """Take what is there; False at the end of file, and where there is nothing now."""
        try:
            data = os.read(descriptor, _READ)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._close_output(descriptor)
            return False
        stream = self._command.outputs[descriptor]
        self._writer.write(stream, data, time.time_ns() // 1000)
        self._look(data, stream)
        return True

    def _drain(self) -> None:
        """What was written until now is in the pipes: take that, and no endless rest."""
        for descriptor in list(self._command.outputs):
            for _ in range(_DRAIN):
                if not self._read_output(descriptor):
                    break

    def _close_output(self, descriptor: int) -> None:
        self._poll.unregister(descriptor)
        del self._command.outputs[descriptor]
        if descriptor == self._stdin.descriptor:
            self._stdin.over()
        os.close(descriptor)

    # Notifications

    def _look(self, data: bytes, stream: int) -> None:
        """Watch for patterns in new output; without any the command has ended."""
        watcher, now = self._watcher, time.monotonic()
        if watcher is None:
            return
        try:
            self._tell(watcher.feed(data, now, stream) if data else watcher.finish(now))
        except Exception as error:  # a command does not end because somebody watched it
            self._stop_watching("", f"looking for it failed: {error!r}")
        if not data:
            self._watcher = None

    def _tell(self, found: list[Found]) -> None:
        for item in found:
            fields: dict[str, object] = {
                "type": item.type,
                "pattern": item.pattern,
                "output": item.line.decode("utf-8", "replace"),
                "suppressed": item.suppressed,
                "message": item.message,
            }
            if self._event(fields, self._event_room - _LAST_EVENT):
                self._promoted = self._promoted or item.type == "watch_disabled"
                continue
            self._stop_watching(item.pattern, "there is no room for more matches")
            return

    def _stop_watching(self, pattern: str, why: str) -> None:
        self._watcher, self._promoted = None, True
        message = f"{why}. The end of the process will be told instead"
        self._event({"type": "watch_disabled", "pattern": pattern, "message": message}, self._event_room)

    def _event(self, fields: dict[str, object], room: int) -> bool:
        if append_event({"seq": self._events + 1, "at": time.time(), **fields}, room):
            self._events += 1
            return True
        return False

    # Requests

    def _accept(self) -> None:
        try:
            connection = self._listener.accept()
        except OSError:  # no descriptor for it
            self._poll.unregister(self._listener.descriptor)
            self._listen_at = time.monotonic() + _LISTEN_AGAIN
            return
        if connection is None:
            return
        if len(self._connections) >= MAX_CONNECTIONS:
            idle = next((one for one in self._connections.values() if one.idle), connection)
            self._drop(idle)
            if idle is connection:
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
            self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        connection.close()
        if self._connections.pop(connection.descriptor, None) is not None:
            self._poll.unregister(connection.descriptor)
        os.close(connection.descriptor)

    def _handle(self, request: Request) -> None:
        verb, numbers = request.verb, request.numbers
        if verb == "write" and len(numbers) == 2:
            self._stdin.write(request, request.payload, numbers[0] / 1000)
        elif verb == "close":
            self._stdin.end(request)
        elif verb == "resize" and len(numbers) == 2:
            request.answer(self._resize(*numbers))
        elif verb == "signal" and len(numbers) == 1:
            sent = not self._ended and signal_group(self._command_pid, numbers[0])
            request.answer("ok 0" if sent else "gone")
        elif verb == "kill" and len(numbers) == 1:
            self._kill_requests.append(request)
            self._begin_to_end("asked to", numbers[0] / 1000)
        elif verb == "ping":
            request.answer(f"ok {self._command_pid}")
        else:
            request.answer("error not a request")

    def _resize(self, rows: int, columns: int) -> str:
        if self._stdin.descriptor < 0 or not self._settings.pty:
            return "error no terminal"
        if not (0 < rows < 1 << 16 and 0 < columns < 1 << 16):
            return "error no size"
        set_size(self._stdin.descriptor, rows, columns)
        return "ok 0"

    # The end

    def _signalled(self) -> None:
        """A child has ended, or this keeper is asked to end: the machine or the container goes down."""
        try:
            numbers = os.read(self._wakeup, 256)
        except BlockingIOError:
            return
        if any(number in numbers for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)):
            self._begin_to_end("its keeper was told to end, as with a container", 3.0)
        self._reap()

    def _begin_to_end(self, why: str, grace: float) -> None:
        if not self._ended:
            self._asked_to_end = self._asked_to_end or why
        at = time.monotonic() + grace
        self._kill_at = at if self._kill_at is None else min(at, self._kill_at)
        self._killed |= ask_to_end(0 if self._ended else self._command_pid)

    def _keep_deadlines(self) -> None:
        now = time.monotonic()
        if self._listen_at is not None and now >= self._listen_at:
            self._listen_at = None
            self._poll.register(self._listener.descriptor, select.POLLIN)
        if self._kill_at is not None and now >= self._kill_at:
            self._killed |= end_all(self._cgroup, 0 if self._ended else self._command_pid)
            self._kill_at = now + _KILL_AGAIN
            if self._give_up_at is None:
                self._give_up_at = now + _KILL_PATIENCE
        if self._give_up_at is not None and now >= self._give_up_at:
            self._answer_kills(f"left {self._left()}")

    def _answer_kills(self, text: str) -> None:
        for request in self._kill_requests:
            request.answer(text)
        self._kill_requests.clear()
        self._kill_at = self._give_up_at = None

    def _reap(self) -> None:
        """Take leave of all children that have ended. Another keeper among them is left alone."""
        while not self._alone:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self._alone = True
                break
            if pid == 0:
                self._alone = bool(self._ended) and not self._left()
                break
            if pid == self._command_pid and not self._ended:
                self._command_ended(os.waitstatus_to_exitcode(status))

    def _command_ended(self, code: int) -> None:
        """All it wrote goes to disk first, then how it ended: who reads of the end finds everything."""
        state, reason = "exited", ""
        if self._asked_to_end:
            state, reason = "killed", self._asked_to_end
        elif code == -signal.SIGKILL and cgroup.out_of_memory_kills() > self._oom_before:
            reason = "out of memory"
        elif code < 0:
            reason = f"ended by signal {-code}"
        ended = self._end(state, code if code >= 0 else 128 - code, -code if code < 0 else None, reason)
        self._drain()
        self._look(b"", 0)
        self._ended = ended
        self._stdin.over()
        if self._settings.notify or self._promoted:
            told = {key: self._ended[key] for key in ("state", "exit_code", "signal", "reason")}
            self._event({"type": "completion", **told}, self._event_room)
        left = self._left()
        self._over = left == 0
        self._write_status(descendants=left, durable=True)

    def _left(self) -> int:
        """Living descendants; where /proc does not tell, 1 as long as there are children."""
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return 0
        if not os.path.exists("/proc/self"):
            return 1
        # One that forks and ends during a look hides its child from it, not from the next.
        for _ in range(_LOOKS):
            if found := len(kernel.descendants(os.getpid())):
                return found
        return 0

    def _end(self, state: str, code: int | None, number: int | None, reason: str) -> dict[str, object]:
        return {
            "state": state,
            "exit_code": code,
            "signal": number,
            "reason": reason,
            "ended_at": time.time(),
            "duration": _after_boot() - self._started_after_boot,
        }

    def _finish(self) -> None:
        self._writer.close()
        self._cgroup.remove()
        if not self._over:
            self._over = True
            self._write_status()
        self._answer_kills(f"ok {len(self._killed)}")
        self._listener.close()

    def _write_status(self, *, descendants: int = 0, durable: bool = False) -> bool:
        keeper = os.getpid()
        fields: dict[str, object] = {
            "version": 1,
            "state": "running",
            "pid": self._command_pid,
            "keeper": {
                "pid": keeper,
                "start": kernel.start_ticks(keeper),
                "boot_id": kernel.boot_id(),
                "init_start": kernel.start_ticks(1),
            },
            "started_at": self._started_at,
            "started_after_boot": self._started_after_boot,
            "control": "" if self._over else self._listener.path,
            "cgroup": self._cgroup.path,
            "descendants": descendants,
        }
        if self._ended:
            fields.update(self._ended, output_bytes=self._writer.offset)
        return write_status(fields, durable=durable)


def _make(path: str) -> None:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    except OSError as error:
        raise LaunchError(error.errno or errno.EIO, "status") from error


def _after_boot() -> float:
    """Seconds, those asleep included; not changed by setting the clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _wake_on_signals() -> int:
    """A pipe that gets a byte, the signal's number, for each signal that concerns a keeper."""
    read, write = os.pipe()
    for descriptor in (read, write):
        os.set_blocking(descriptor, False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    return read
