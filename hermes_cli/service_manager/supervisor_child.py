"""The supervised program itself: started only once its pid is on record, told to end, ended."""

from __future__ import annotations

import contextlib
import marshal
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .process_identity import Process
from .supervisor_files import Supervised

if TYPE_CHECKING:
    from .supervisor_readiness import Readiness
    from .windows_process import Job

Report = Callable[..., None]
"""Takes the name of an event and what belongs to it; callable from any thread."""

_LAUNCHER = """
import marshal, os, signal, sys
read = open(int(sys.argv[1]), "rb")
try:
    argv, directory, environment = marshal.load(read)
except (EOFError, ValueError, TypeError):
    os._exit(111)
read.close()
for number in (signal.SIGPIPE, getattr(signal, "SIGXFSZ", signal.SIGPIPE)):
    signal.signal(number, signal.SIG_DFL)
code = 126
try:
    if directory is not None:
        os.chdir(directory)
    code = 127
    os.execve(argv[0], argv, environment)
except (OSError, ValueError) as error:
    os.write(2, b"supervisor: cannot run " + os.fsencode(argv[0]) + b": " + os.fsencode(str(error)) + b"\\n")
os._exit(code)
"""
"""Becomes the program when it is told to. It is told once its pid is on record: a supervisor that is killed
between the two leaves a launcher that ends, and no second service. The program's environment is exactly
what it is given, and not what an interpreter makes of it.
"""


class Child:
    """One life of the program. Reports `exited` (with its exit code, -N for signal N)."""

    def __init__(
        self,
        spec: Supervised,
        environment: Mapping[str, str],
        output: int,
        readiness: Readiness,
        report: Report,
    ) -> None:
        """Begin it, up to the point where `go` lets it run. OSError where no process can be had."""
        self._spec = spec
        self._report = report
        self._job: Job | None = None
        self._go = -1
        self._orders: Any = None
        if sys.platform == "win32":
            self._process = self._begin_windows(environment, output)
        else:
            self._orders = (
                list(map(os.fsencode, spec.command)),
                os.fsencode(spec.working_directory) if spec.working_directory else None,
                {os.fsencode(key): os.fsencode(value) for key, value in environment.items()},
            )
            read, self._go = os.pipe()
            try:
                launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(read)]
                self._process = subprocess.Popen(
                    launcher,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=(read, *readiness.descriptors),
                    start_new_session=True,
                )
            except BaseException:
                os.close(self._go)
                raise
            finally:
                os.close(read)
        self.process = Process.of(self._process.pid)
        readiness.started()

    def go(self) -> None:
        """Let it run, and wait for its end from now on."""
        if self._go >= 0:
            with contextlib.suppress(BrokenPipeError), os.fdopen(self._go, "wb") as write:
                marshal.dump(self._orders, write)
        threading.Thread(target=self._wait, daemon=True, name="child").start()

    def ask_to_end(self) -> None:
        """SIGTERM; on Windows Ctrl-Break, which a console program can catch."""
        if sys.platform == "win32":
            if not self._break():
                self._process.terminate()
            return
        self._process.send_signal(signal.SIGTERM)

    def end(self) -> None:
        """At once and for certain."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            self._process.kill()

    def end_group(self) -> None:
        """What it started and left, where the service is to take that along."""
        if not self._spec.kill_children:
            return
        if self._job is not None:
            self._job.end()
        end_session(self._process.pid)

    def _wait(self) -> None:
        self._report("exited", self._process.wait())

    def _begin_windows(self, environment: Mapping[str, str], output: int) -> subprocess.Popen[bytes]:
        if sys.platform != "win32":
            raise NotImplementedError
        from .windows_process import Job

        process = subprocess.Popen(
            list(self._spec.command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(environment),
            cwd=self._spec.working_directory,
            creationflags=subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP,
        )
        # A killed supervisor closes the job, and with it the program ends: there is no second one.
        self._job = Job(keep_children=not self._spec.kill_children)
        self._job.add(int(vars(process)["_handle"]))
        return process

    def _break(self) -> bool:
        if sys.platform != "win32":
            return False
        from .windows_process import send_break

        return send_break(self._process.pid)


def end_session(leader: int) -> None:
    """Kill the process group that a program and what it started are in."""
    if sys.platform != "win32":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)


def end_leftover(child: Process, spec: Supervised) -> bool:
    """End the program that a killed supervisor left, as orderly as it would have; True if it was there.

    Raises PermissionError where it belongs to somebody else by now.
    """
    if not child.alive():
        return False
    child.signal(signal.SIGTERM)
    if not child.gone_within(spec.stop_timeout):
        child.signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        child.gone_within(5.0)
    if spec.kill_children:
        end_session(child.pid)
    return True


def environment_for(spec: Supervised, readiness: Mapping[str, str]) -> dict[str, str]:
    """What the init gave the supervisor, the specification's own over it, and how to tell of readiness."""
    found = {key: value for key, value in os.environ.items() if key not in _OURS}
    return {**found, **spec.environment, **readiness}


_OURS = ("NOTIFY_SOCKET", "HERMES_NOTIFY_FD", "HERMES_NOTIFY_FILE", "WATCHDOG_USEC", "WATCHDOG_PID")
