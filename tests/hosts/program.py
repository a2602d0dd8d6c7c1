"""The service of the conformance suite: a real program, which does what a file says and notes each start.

Usage: program.py DIRECTORY [ARGUMENT…], below $HERMES_TEST_DIRECTORY if DIRECTORY is relative. There it reads
`behaviours.json`, a list of objects, one for each start (the last for all further ones), and writes
`record.jsonl`. Standard library only, one file, Python 3.11 or newer: it runs wherever a service may.

A behaviour's keys, all of them optional (tests/hosts/backends has their type):
  ready        "now", "never", or seconds until readiness is announced
  exit         the exit code; "crash" is SIGKILL to itself (abort where there is none)
  exit_after   seconds until that end: from the start if it is not to get ready, else from its readiness
  ignore_term  go on at SIGTERM
  fork         start a child that stays, and note its pid
  lines        print these
  tick         then print "tick N" every so many seconds
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

LONG = 3600.0
"""Seconds: nothing here lasts longer, whatever a test forgets."""


def main() -> int:
    directory = Path(os.environ.get("HERMES_TEST_DIRECTORY", "/"), sys.argv[1])
    behaviour = _behaviour(directory)
    ended = Ending(ignored=bool(behaviour.get("ignore_term")))
    child = _fork() if behaviour.get("fork") else None
    _note(
        directory,
        event="start",
        argv=sys.argv,
        cwd=str(Path.cwd()),
        env=dict(os.environ),
        uid=os.getuid() if hasattr(os, "getuid") else None,
        child=child,
    )
    for line in behaviour.get("lines", ()):
        print(line, flush=True)

    ready = behaviour.get("ready", "now")
    if ready == "never":
        _stay(behaviour, ended)
    elif not (isinstance(ready, (int, float)) and ended.wait(ready)):
        _announce()
        _note(directory, event="ready")
        _stay(behaviour, ended)
    _note(directory, event="end")
    return 0


class Ending:
    """The request to end. A socket, not an Event, whose lock the interrupted thread itself may hold."""

    def __init__(self, *, ignored: bool) -> None:
        self._ignored = ignored
        self._came, write = socket.socketpair()
        self._write = write
        for end in (self._came, write):
            end.setblocking(False)
        signal.set_wakeup_fd(write.fileno())
        for name in ("SIGTERM", "SIGBREAK"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), lambda _number, _frame: None)

    def wait(self, seconds: float) -> bool:
        """Whether it came, within so many seconds."""
        deadline = time.monotonic() + seconds
        while (remaining := deadline - time.monotonic()) > 0:
            if select.select([self._came], [], [], remaining)[0]:
                if not self._ignored:
                    return True
                self._came.recv(64)
        return False


def _behaviour(directory: Path) -> dict[str, Any]:
    """The one for this start: they are counted by what is on record."""
    try:
        behaviours = json.loads((directory / "behaviours.json").read_text("utf-8"))
    except FileNotFoundError:
        return {}
    try:
        record = (directory / "record.jsonl").read_text("utf-8")
    except FileNotFoundError:
        record = ""
    starts = record.count('{"event": "start"')
    chosen: dict[str, Any] = behaviours[min(starts, len(behaviours) - 1)] if behaviours else {}
    return chosen


def _note(directory: Path, *, event: str, **facts: object) -> None:
    """Append a line, in one write: another instance may do the same."""
    line = json.dumps({"event": event, "pid": os.getpid(), "time": time.time(), **facts}) + "\n"
    with (directory / "record.jsonl").open("ab", buffering=0) as file:
        file.write(line.encode())


def _stay(behaviour: dict[str, Any], ended: Ending) -> None:
    """Until told to end, or until the behaviour's own end, which does not return."""
    ends = "exit" in behaviour
    deadline = time.monotonic() + (float(behaviour.get("exit_after", 0)) if ends else LONG)
    tick, count = behaviour.get("tick"), 0
    while (remaining := deadline - time.monotonic()) > 0:
        if ended.wait(min(remaining, tick) if tick else remaining):
            return
        if tick:
            print(f"tick {count}", flush=True)
            count += 1
    if ends:
        _end(behaviour["exit"])


def _end(how: int | str) -> None:
    sys.stdout.flush()
    if how != "crash":
        os._exit(int(how))
    if hasattr(signal, "SIGKILL"):
        os.kill(os.getpid(), signal.SIGKILL)
    os.abort()


def _fork() -> int:
    """A child that outlives its parent, unless somebody ends it, and holds no descriptor of it."""
    code = f"import time; time.sleep({LONG})"
    null = subprocess.DEVNULL
    return subprocess.Popen([sys.executable, "-c", code], stdin=null, stdout=null, stderr=null).pid


def _announce() -> None:
    """In every way there is: sd_notify(3), a newline on a descriptor, a line in a file."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"READY=1", "\0" + address[1:] if address.startswith("@") else address)
    number = os.environ.get("HERMES_NOTIFY_FD")
    if number:
        os.write(int(number), b"\n")
        os.close(int(number))
    path = os.environ.get("HERMES_NOTIFY_FILE")
    if path:
        with Path(path).open("w") as file:
            file.write("\n")


if __name__ == "__main__":
    sys.exit(main())
