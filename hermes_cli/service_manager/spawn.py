"""Running s6's small programs: many at once, each with a deadline, each reaped."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_EXTRA_PATH = "/command:/usr/local/bin:/usr/bin:/bin"
"""s6-overlay keeps its programs in /command, which is not on the PATH that `docker exec` gives."""

_AT_ONCE = 16
"""Programs that run at the same time: enough to hide the wait for each, few enough for any pid limit."""

_MAX_OUTPUT = 1 << 16
NOT_FOUND = 127
NOT_EXECUTABLE = 126
TIMED_OUT = 124

_found: dict[tuple[str, str], str] = {}


class Completed(NamedTuple):
    """How a program ended: 127 or 126 if it could not be run, 124 past the deadline, -N for signal N."""

    returncode: int
    stdout: str
    stderr: str


class _Child(NamedTuple):
    pid: int
    stdout: int
    stderr: int


def run(
    argv: Sequence[str],
    *,
    timeout: float = 5.0,
    environment: Mapping[str, str] | None = None,
    max_output: int = _MAX_OUTPUT,
) -> Completed:
    """Run one program to its end, or `timeout` seconds. Never raises for what the program does.

    Of its output and of its errors, about `max_output` bytes are kept each.
    """
    return run_all([argv], timeout=timeout, environment=environment, max_output=max_output)[0]


def run_all(
    argvs: Sequence[Sequence[str]],
    *,
    timeout: float = 5.0,
    environment: Mapping[str, str] | None = None,
    max_output: int = _MAX_OUTPUT,
) -> list[Completed]:
    """Run programs side by side; results in the order of `argvs`. Each has `timeout` seconds.

    posix_spawn, not subprocess: importing subprocess alone takes longer than asking s6 about ten services.
    """
    results: list[Completed] = []
    for first in range(0, len(argvs), _AT_ONCE):
        deadline = time.monotonic() + timeout
        children: list[_Child | Completed] = []
        try:
            for argv in argvs[first : first + _AT_ONCE]:
                children.append(_spawn(argv, environment))
            while children:
                child = children.pop(0)
                results.append(_collect(child, deadline, max_output) if isinstance(child, _Child) else child)
        finally:
            for child in children:
                if isinstance(child, _Child):
                    _end(child)
    return results


def _spawn(argv: Sequence[str], environment: Mapping[str, str] | None) -> _Child | Completed:
    program = _find(argv[0])
    if program is None:
        return Completed(NOT_FOUND, "", f"{argv[0]} is not installed")
    out, out_child = os.pipe()
    err, err_child = os.pipe()
    try:
        pid = os.posix_spawn(
            program,
            list(argv),
            os.environ if environment is None else {**os.environ, **environment},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, out_child, 1),
                (os.POSIX_SPAWN_DUP2, err_child, 2),
            ],
            setsigdef=[signal.SIGPIPE],
        )
    except OSError as error:
        os.close(out)
        os.close(err)
        return Completed(NOT_EXECUTABLE, "", f"{program}: {error.strerror}")
    finally:
        os.close(out_child)
        os.close(err_child)
    return _Child(pid, out, err)


def _find(program: str) -> str | None:
    if "/" in program:
        return program if os.access(program, os.X_OK) else None
    path = os.environ.get("PATH", os.defpath)
    known = _found.get((program, path))
    if known is not None:
        return known
    for directory in f"{path}:{_EXTRA_PATH}".split(":"):
        candidate = os.path.join(directory or ".", program)  # noqa: PTH118 - a Path per candidate costs more than the look
        if os.access(candidate, os.X_OK):
            _found[program, path] = candidate
            return candidate
    return None


def _collect(child: _Child, deadline: float, max_output: int) -> Completed:
    import select

    text = {child.stdout: bytearray(), child.stderr: bytearray()}
    poll = select.poll()
    for descriptor in text:
        poll.register(descriptor, select.POLLIN)
    waiting = set(text)
    killed = False
    try:
        while waiting:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                os.kill(child.pid, signal.SIGKILL)
                killed = True
                break
            for descriptor, _ in poll.poll(remaining * 1000):
                data = os.read(descriptor, 65536)
                if not data:
                    poll.unregister(descriptor)
                    waiting.discard(descriptor)
                elif len(text[descriptor]) < max_output:
                    text[descriptor] += data
    except BaseException:
        _end(child)
        raise
    returncode = _reap(child.pid)
    os.close(child.stdout)
    os.close(child.stderr)
    return Completed(
        TIMED_OUT if killed else returncode,
        text[child.stdout].decode(errors="replace"),
        text[child.stderr].decode(errors="replace") or ("no answer in time" if killed else ""),
    )


def _end(child: _Child) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child.pid, signal.SIGKILL)
    _reap(child.pid)
    os.close(child.stdout)
    os.close(child.stderr)


def _reap(pid: int) -> int:
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:  # SIGCHLD is ignored here: the kernel reaped it and kept no status
        return 0
