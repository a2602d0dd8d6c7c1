"""A small init behind the fakes of launchctl and schtasks: it really runs their jobs, and restarts them.

`init_daemon.py DIRECTORY` listens on DIRECTORY/socket for one JSON object a line. The jobs' own times
(throttle, restart interval, logon delay, exit timeout) are multiplied by $FAKE_INIT_SCALE.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SCALE = float(os.environ.get("FAKE_INIT_SCALE", "1"))
_PR_SET_CHILD_SUBREAPER = 36


@dataclass
class Job:
    """One job of either kind."""

    key: str
    argv: list[str]
    directory: str | None = None
    output: str | None = None
    restart_after: float | None = None
    """Seconds after its start (launchd) or its end (a task) until it is run again when it failed."""
    from_start: bool = False
    restarts_left: int = 1 << 30
    exit_timeout: float = 20.0
    facts: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    runs: int = 0
    last_exit: int | None = None
    due: float | None = None
    kill_at: float | None = None
    leaving: bool = False


class Daemon:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.jobs: dict[str, Job] = {}
        self.selector = selectors.DefaultSelector()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(os.fspath(directory / "socket"))
        self.listener.listen(32)
        self.woken, wake = os.pipe()
        for end in (self.woken, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.selector.register(self.woken, selectors.EVENT_READ)
        # Reboots end everything, also what has left its parent.
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def run(self) -> None:
        while True:
            for key, _ in self.selector.select(self.next_timer()):
                if key.fileobj is self.listener:
                    connection, _ = self.listener.accept()
                    with connection:
                        connection.settimeout(5)
                        with contextlib.suppress(OSError, ValueError):
                            line = connection.makefile().readline()
                            answer = self.serve(json.loads(line))
                            connection.sendall(json.dumps(answer).encode() + b"\n")
                else:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self.woken, 4096)
            self.reap()
            self.fire()

    def serve(self, request: dict[str, Any]) -> dict[str, Any]:
        verb = request.pop("verb")
        self.reap()
        answer: dict[str, Any] = getattr(self, f"do_{verb}")(**request)
        return answer

    # Verbs

    def do_load(self, job: dict[str, Any], begin: bool, delay: float = 0.0) -> dict[str, Any]:
        old = self.jobs.get(job["key"])
        new = Job(**job)
        if old is not None:  # a task that is replaced goes on running
            new.process, new.started, new.runs, new.last_exit = (
                old.process,
                old.started,
                old.runs,
                old.last_exit,
            )
        self.jobs[new.key] = new
        if begin and new.process is None:
            new.due = time.monotonic() + delay * SCALE
            self.fire()
        return {}

    def do_find(self, key: str) -> dict[str, Any]:
        job = self.jobs.get(key)
        if job is None:
            return {"found": False}
        return {
            "found": True,
            "pid": job.process.pid if job.process else None,
            "runs": job.runs,
            "last_exit": job.last_exit,
            "leaving": job.leaving,
            "facts": job.facts,
            "argv": job.argv,
        }

    def do_list(self) -> dict[str, Any]:
        return {"jobs": sorted(self.jobs)}

    def do_start(self, key: str) -> dict[str, Any]:
        job = self.jobs[key]
        if job.process is None:
            self.begin(job)
        return {}

    def do_unload(self, key: str) -> dict[str, Any]:
        """Forget a job: at once, or when it has ended."""
        job = self.jobs[key]
        job.due = None
        if job.process is None:
            del self.jobs[key]
            return {"gone": True}
        job.leaving = True
        job.kill_at = time.monotonic() + job.exit_timeout * SCALE
        job.process.terminate()
        return {"gone": False}

    def do_delete(self, key: str) -> dict[str, Any]:
        """Forget a job and leave what runs of it."""
        del self.jobs[key]
        return {}

    def do_end(self, key: str) -> dict[str, Any]:
        """End a task's processes, all of them."""
        job = self.jobs[key]
        job.due, job.restarts_left = None, 0
        if job.process is not None:
            for pid in [*descendants(job.process.pid), job.process.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        return {}

    def do_power_off(self) -> dict[str, Any]:
        """Everything ends at once, and nothing is loaded any more; returns what was."""
        keys = sorted(self.jobs)
        self.jobs.clear()
        deadline = time.monotonic() + 10
        while (pids := descendants(os.getpid())) and time.monotonic() < deadline:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.reap()
            time.sleep(0.005)
        return {"jobs": keys}

    def do_quit(self) -> dict[str, Any]:
        self.do_power_off()
        os._exit(0)

    # What runs

    def begin(self, job: Job) -> None:
        job.due = None
        output = os.open(job.output or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        try:
            job.process = subprocess.Popen(
                job.argv,
                cwd=job.directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        except OSError:
            job.last_exit = 78
            return
        finally:
            os.close(output)
        job.started, job.runs = time.monotonic(), job.runs + 1

    def reap(self) -> None:
        known = {job.process.pid: job for job in self.jobs.values() if job.process}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            job = known.get(pid)
            if job is not None and job.process is not None:
                job.process.returncode = os.waitstatus_to_exitcode(status)
                self.ended(job, job.process.returncode)

    def ended(self, job: Job, code: int) -> None:
        job.process, job.last_exit, job.kill_at = None, code, None
        if job.leaving:
            del self.jobs[job.key]
        elif code != 0 and job.restart_after is not None and job.restarts_left > 0:
            job.restarts_left -= 1
            base = job.started if job.from_start else time.monotonic()
            job.due = base + job.restart_after * SCALE

    def fire(self) -> None:
        now = time.monotonic()
        for job in list(self.jobs.values()):
            if job.due is not None and job.due <= now and job.process is None:
                self.begin(job)
            if job.kill_at is not None and job.kill_at <= now and job.process is not None:
                job.process.kill()
                job.kill_at = None

    def next_timer(self) -> float | None:
        times = [at for job in self.jobs.values() for at in (job.due, job.kill_at) if at is not None]
        return max(0.0, min(times) - time.monotonic()) if times else None


def descendants(root: int) -> list[int]:
    """Every process below `root` that is alive, deepest first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_bytes().rpartition(b") ")[2].split()
                if fields[0] != b"Z":
                    children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: list[int] = []
    queue = [root]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found[::-1]


def ask(directory: Path, **request: Any) -> dict[str, Any]:
    """One request to the daemon of `directory`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(20)
        connection.connect(os.fspath(directory / "socket"))
        connection.sendall(json.dumps(request).encode() + b"\n")
        answer: dict[str, Any] = json.loads(connection.makefile().readline())
        return answer


if __name__ == "__main__":
    Daemon(Path(sys.argv[1])).run()
