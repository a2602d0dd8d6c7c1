"""The supervisor's loop: start the program, wait for what happens to it, and do what the policy says."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from .filelock import open_lock_file, try_lock
from .process_identity import Process, boot_id
from .supervisor_child import Child, end_leftover, environment_for
from .supervisor_control import Control
from .supervisor_files import (
    LIVE,
    LOCK,
    WORDS,
    Order,
    Phase,
    State,
    Supervised,
    forget,
    read_hold,
    read_order,
)
from .supervisor_ledger import Ledger
from .supervisor_log import Pump, RotatingLog
from .supervisor_readiness import Readiness, remove_socket

_DOWN: tuple[Phase, ...] = ("backing_off", "stopped", "parked")
_LATE = 90.0
"""Seconds after an ordered stop in which the init may still begin a supervisor for one that was killed: the
Task Scheduler waits a minute. So a login that soon after the stop starts nothing either."""
_NO_PROCESS = 5.0
"""Seconds to the next try where the system has no process or descriptor left."""
_KILLED = 5.0
"""Seconds that what was killed has to be gone."""
_LAST_WORDS = 2.0
"""Seconds for the rest of the output to get into the log."""


class Supervisor:
    """Keeps one service up, in a directory of its own. Exits 0 unless it should be started again."""

    def __init__(self, directory: Path, spec: Supervised) -> None:
        self._directory, self._spec = directory, spec
        self._events: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
        self._life = 0
        self._ledger = Ledger.for_policy(spec.restart, keeps_own_ledger=spec.keeps_own_ledger)
        self._state = State()
        self._words = RotatingLog(directory / WORDS, part=1 << 17, parts=2)
        self._unsaved = ""

    def run(self) -> int:
        """Return when the service is stopped or parked: 0."""
        self._take_signals()
        lock = open_lock_file(self._directory / LOCK)
        if not try_lock(lock):
            self._say("another supervisor of this service runs; this one has nothing to do")
            return 0
        control = None
        try:
            try:
                control = Control(self._directory, self._report)
                control.start()
            except OSError as error:  # a full disk: signals reach it still
                self._say(f"takes no orders: {error.strerror}")
            if not self._begin():
                return 0
            pump = Pump(RotatingLog(Path(self._spec.log)))
            pump.start()
            self._supervise(pump)
            pump.drain(_LAST_WORDS)
            return 0
        finally:
            if control is not None:
                control.close()
            self._finish()
            os.close(lock)

    # What to do first

    def _begin(self) -> bool:
        """End what an earlier supervisor left, and decide whether the service is to be up."""
        try:
            return self._decide(read_order(self._directory), read_hold(self._directory))
        finally:
            forget(self._directory)

    def _decide(self, order: Order | None, held: bool) -> bool:
        previous = State.load(self._directory)
        self._end_leftover(previous)
        boot = boot_id()
        same_boot = previous is not None and previous.boot == boot
        self._state = previous or State()
        self._state.supervisor, self._state.child, self._state.boot = Process.of(os.getpid()), None, boot
        if order == "start":
            self._state.quiet_until = 0.0
            self._settle("starting")
            return True
        if previous is not None and same_boot:
            self._ledger.remember(previous.unclean, previous.restarts)
        if order == "stop":
            self._stopped_by_order()
            return False
        if previous is not None and previous.phase == "parked":
            self._settle("parked", previous.reason)
            return False
        if previous is not None and same_boot and previous.phase in (*LIVE, "stopping") and not held:
            return self._resume(previous)
        quiet = same_boot and 0 < self._state.quiet_until - time.monotonic() <= _LATE
        if held or quiet or not self._spec.start_at_boot:
            self._settle("stopped")
            return False
        return True

    def _resume(self, previous: State) -> bool:
        """Go on where a supervisor of this boot was killed."""
        if previous.phase == "stopping":
            self._settle("stopped")
            return False
        self._say(f"an earlier supervisor was killed while the service was {previous.phase}")
        if previous.phase != "backing_off" and previous.launched:  # it ended while nobody looked
            return self._ended(None, None) and not self._back_off(self._delay)
        return True

    def _end_leftover(self, previous: State | None) -> None:
        if previous is None:
            return
        remove_socket(previous.notify_directory)
        if previous.child is None or not previous.child.alive():
            return
        self._say(f"ends process {previous.child.pid}, which an earlier supervisor left")
        # On record before it is done: what this one ends, no later one takes for an end of its own.
        previous.launched = False
        with contextlib.suppress(OSError):
            previous.save(self._directory)
        try:
            end_leftover(previous.child, self._spec)
        except PermissionError as error:
            self._say(f"cannot end process {previous.child.pid}: {error.strerror}")

    # Its life

    def _supervise(self, pump: Pump) -> None:
        """Until it is stopped or parked."""
        while self._live_once(pump):
            pass

    def _live_once(self, pump: Pump) -> bool:
        """One life of the program, and the wait after it; False where there is to be no further one."""
        self._life += 1
        report = self._reporter(self._life)
        readiness = None
        try:
            readiness = Readiness(self._spec, self._directory, report)
            environment = environment_for(self._spec, readiness.environment)
            child = Child(self._spec, environment, pump.writer, readiness, report)
        except OSError as error:
            if readiness is not None:
                readiness.close()
            self._say(f"cannot start {self._spec.command[0]}: {error.strerror}")
            if not self._ended(None, None):
                return False
            return not self._back_off(max(self._delay, _NO_PROCESS))
        self._state.child, self._state.notify_directory = child.process, readiness.socket_directory
        self._state.launched, self._state.start_by = False, 0.0
        self._settle("starting")
        child.go()
        self._state.launched = True
        self._settle("starting")
        try:
            how = self._attend(child)
        finally:
            readiness.close()
        child.end_group()
        if how is None:
            return False
        if not self._ended(*how):
            return False
        return not self._back_off(self._delay)

    def _attend(self, child: Child) -> tuple[int | None, str | None] | None:
        """Wait for its end; how it ended, or None where it was asked to."""
        while True:
            event = self._next(None)
            if event[0] == "ready" and self._state.phase == "starting":
                self._state.ready_since = time.time()
                self._settle("ready")
            elif event[0] == "extend" and self._state.phase == "starting":
                self._state.start_by = time.monotonic() + event[1]
                self._settle("starting")
            elif event[0] == "exited":
                self._state.child = None
                return _in_words(event[1])
            elif event[0] == "stop":
                self._stop(child, ordered=len(event) == 1)
                return None

    def _stop(self, child: Child, *, ordered: bool) -> None:
        self._settle("stopping")
        child.ask_to_end()
        deadline = time.monotonic() + self._spec.stop_timeout
        killed = False
        while True:
            event = self._next(deadline - time.monotonic())
            if event[0] == "exited":
                break
            if time.monotonic() < deadline:
                continue
            if killed:
                self._say("does not end, not even by SIGKILL; it is left to itself")
                break
            self._say(f"did not end within {self._spec.stop_timeout:g} s and is killed")
            child.end()
            killed, deadline = True, time.monotonic() + _KILLED
        if event[0] == "exited":
            self._state.exit_code, self._state.exit_signal = _in_words(event[1])
        self._state.child = None
        if ordered:
            self._stopped_by_order()
        else:
            self._settle("stopped")

    def _stopped_by_order(self) -> None:
        """Down because somebody said so, and not because the init or the session ends."""
        self._state.quiet_until = time.monotonic() + _LATE
        self._settle("stopped")

    def _ended(self, code: int | None, by: str | None) -> bool:
        """It ended unasked: keep count; False where it is parked now."""
        self._state.exit_code, self._state.exit_signal = code, by
        verdict = self._ledger.ended(code)
        self._delay = verdict.delay
        how = f"exit code {code}" if code is not None else by or "nobody saw how"
        if verdict.parked:
            self._say(f"ended ({how}); it is parked: {verdict.parked}")
            self._settle("parked", verdict.parked)
            return False
        self._say(f"ended ({how}); it is started again in {verdict.delay:g} s")
        return True

    _delay = 0.0

    def _back_off(self, seconds: float) -> bool:
        """Wait before the next start; True where it was stopped meanwhile."""
        if seconds > 0:
            self._settle("backing_off", f"starts again {seconds:g} s after its end")
        deadline = time.monotonic() + seconds
        while True:
            event = self._next(deadline - time.monotonic())
            if event[0] == "stop":
                if len(event) == 1:
                    self._stopped_by_order()
                else:
                    self._settle("stopped")
                return True
            if event[0] == "start":
                self._ledger.clear()
                return False
            if time.monotonic() >= deadline:
                return False

    # What everything rests on

    def _take_signals(self) -> None:
        def stop(number: int, frame: object) -> None:
            self._events.put(("stop", number))

        for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), stop)
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _report(self, *event: Any) -> None:
        self._events.put(event)

    def _reporter(self, life: int) -> Any:
        def report(*event: Any) -> None:
            self._events.put((*event, _Life(life)))

        return report

    def _next(self, timeout: float | None) -> tuple[Any, ...]:
        """The next event of this life, or of none; ("timeout",) when there is none in time."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            remaining = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                event = self._events.get(timeout=remaining)
            except Empty:
                return ("timeout",)
            if not isinstance(event[-1], _Life) or event[-1].number == self._life:
                return event

    def _settle(self, phase: Phase, reason: str = "") -> None:
        """Report `phase`. A disk that takes nothing stops nothing: it is said once, and tried again."""
        state = self._state
        began = phase == "starting" and not state.launched
        if began or (phase in _DOWN and state.phase not in _DOWN):
            state.since = time.time()
        state.phase, state.reason = phase, reason
        if phase != "ready":
            state.ready_since = None
        state.unclean, state.restarts = list(self._ledger.unclean), self._ledger.restarts
        try:
            state.save(self._directory, durable=phase in ("parked", "stopped"))
            self._unsaved = ""
        except OSError as error:
            problem = f"cannot write its state: {error.strerror}"
            if problem != self._unsaved:
                self._say(problem)
            self._unsaved = problem

    def _finish(self) -> None:
        remove_socket(self._state.notify_directory)
        self._state.supervisor, self._state.notify_directory = None, None
        with contextlib.suppress(OSError):
            self._state.save(self._directory, durable=True)
        self._words.close()

    def _say(self, words: str) -> None:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        self._words.write(f"{stamp} {self._spec.service}: {words}\n".encode(errors="replace"))


class _Life:
    """Marks what is said of one life of the program, so that the dead are not heard."""

    def __init__(self, number: int) -> None:
        self.number = number


def _in_words(returncode: int) -> tuple[int | None, str | None]:
    if returncode >= 0 or sys.platform == "win32":
        return returncode, None
    try:
        return None, signal.Signals(-returncode).name
    except ValueError:
        return None, f"SIG{-returncode}"


def main(arguments: list[str]) -> int:
    """Supervise what the specification file names; the exit code for the init."""
    if len(arguments) != 1:
        print("usage: supervisor.py SPECIFICATION", file=sys.stderr)
        return 64
    path = Path(arguments[0])
    from .errors import ServiceError

    try:
        spec = Supervised.load(path)
    except ServiceError as error:
        # Nothing that another start would mend, so the init is told of success and leaves it.
        print(error, file=sys.stderr)
        return 0
    return Supervisor(path.parent, spec).run()
