"""Starting a keeper: what the command may see of our environment, and word of whether it began."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import shlex
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from . import records
from .errors import StartError
from .keeper.kernel import KEEPER_MARK
from .keeper.settings import encode
from .liveness import MARK
from .redaction import secret_names
from .types import Spec, StartRequest

if TYPE_CHECKING:
    import pwd

_PATIENCE = 15.0
"""Seconds a keeper may take to say that the command began: it has a disk and an interpreter to wait for."""

_DAEMON = (
    "import os,sys\n"
    "if os.fork(): os._exit(0)\n"
    "os.setsid()\n"
    "sys.path.insert(0, sys.argv[1])\n"
    "from hermes_cli.processes.keeper.main import main\n"
    "main()\n"
)
"""The keeper leaves its starter before it imports anything, so that nobody has to reap it."""

_OURS = ("HERMES_", "NOTIFY_SOCKET", "LISTEN_", "S6_", "WATCHDOG_", "INVOCATION_ID", "JOURNAL_STREAM")
_KEPT = ("HERMES_HOME", "HERMES_PROFILE")

_PACKAGE_ROOT = Path(__file__).resolve().parent.parent.parent

_SHELL = "/bin/sh"


def command_line(request: StartRequest) -> tuple[tuple[str, ...], str]:
    """The arguments to execute and the command as shown; raises `StartError`."""
    if (request.command is None) == (request.argv is None):
        raise StartError("give a command line or a list of arguments, one of the two")
    if request.argv is not None:
        if not request.argv or not request.argv[0]:
            raise StartError("the command is empty; give a program and its arguments")
        return request.argv, shlex.join(request.argv)
    command = request.command or ""
    if not command.strip():
        raise StartError("the command is empty; give a line for the shell")
    return (request.shell or _SHELL, "-c", command), command


def command_environment(
    request: StartRequest,
    process_id: str,
    cwd: str,
    inherited: Mapping[str, str],
    withheld: frozenset[str],
    user: pwd.struct_passwd | None = None,
) -> dict[str, str]:
    """What the command sees: ours without secrets and without what is between us and our supervisor.

    `withheld`: names from the profile's .env. What the request sets, or names in `passthrough`, passes.
    `user`: whom it runs as, if that is another.
    """
    secret = withheld.union(secret_names(inherited))
    environment = {
        name: value
        for name, value in inherited.items()
        if name in request.passthrough or name in _KEPT or not (name in secret or name.startswith(_OURS))
    }
    environment.setdefault("PATH", os.defpath)
    environment["PYTHONUNBUFFERED"] = "1"
    if not request.pty:
        environment["TERM"] = "dumb"
    elif environment.get("TERM", "dumb") in ("", "dumb"):
        environment["TERM"] = "xterm-256color"
    for name in ("OLDPWD", "LINES", "COLUMNS"):
        environment.pop(name, None)
    environment["PWD"] = cwd
    if user is not None:
        environment.update(HOME=user.pw_dir, USER=user.pw_name, LOGNAME=user.pw_name, SHELL=user.pw_shell)
    environment.update(request.environment)
    environment[MARK] = process_id
    return environment


def check_directory(cwd: str) -> None:
    """Raises `StartError` for a working directory that no command could start in."""
    if not os.path.isabs(cwd):  # noqa: PTH117
        raise StartError(f"the working directory {cwd!r} is not absolute; give its whole path")
    path = Path(cwd)
    if not path.is_dir():
        what = "is no directory" if path.exists() else "does not exist"
        raise StartError(f"the working directory {cwd} {what}")
    if not os.access(cwd, os.X_OK):
        raise StartError(f"the working directory {cwd} may not be entered by this user")


def other_user(asked: str | None) -> pwd.struct_passwd | None:
    """Who is asked for, by name or number; None for ourselves. Raises `StartError`."""
    if asked is None:
        return None
    import pwd

    try:
        entry = pwd.getpwuid(int(asked)) if asked.isdecimal() else pwd.getpwnam(asked)
    except (KeyError, OverflowError):
        raise StartError(f"there is no user {asked!r} here") from None
    if entry.pw_uid == os.geteuid():
        return None
    if os.geteuid() != 0:
        raise StartError(f"only root can run a command as another user ({asked})")
    return entry


def start_keeper(
    directory: Path,
    spec: Spec,
    request: StartRequest,
    environment: Mapping[str, str],
    user: pwd.struct_passwd | None = None,
) -> int:
    """Start the keeper of `spec` in its directory and return the command's pid; raises `StartError`."""
    fields: dict[str, object] = {
        "id": spec.id,
        "cwd": spec.cwd,
        "pty": int(spec.pty),
        "rows": request.rows,
        "columns": request.columns,
        "stdin": spec.stdin,
        "cap": spec.cap_bytes - _weight_of_spec(directory, spec),
        "notify": int(spec.notify_on_complete),
        "watch": spec.watch_patterns,
    }
    if user is not None:
        groups = os.getgrouplist(user.pw_name, user.pw_gid)
        fields["user"] = user.pw_uid
        fields["groups"] = (user.pw_gid, *(group for group in groups if group != user.pw_gid))
    try:
        settings = encode(fields, spec.argv, environment)
    except ValueError as error:
        raise StartError(f"the command cannot be started: {error}") from error
    words = _spawn(directory, settings)
    if len(words) == 2 and words[0] == "ok":
        return int(words[1])
    if len(words) == 3 and words[0] == "error":
        raise StartError(_sentence(int(words[1]), words[2], spec))
    raise StartError(
        "the keeper ended before it could say anything; is there memory left, and room for a process?"
    )


def _weight_of_spec(directory: Path, spec: Spec) -> int:
    """Its bytes, which are of the cap."""
    weight = (directory / records.SPEC).stat().st_size
    if weight > spec.cap_bytes // 4:
        raise StartError(
            f"the command is {weight >> 10} KiB long, too much for {spec.cap_bytes >> 10} KiB of disk; "
            "put it into a file"
        )
    return weight


def _spawn(directory: Path, settings: bytes) -> list[str]:
    """The words that a new keeper answered; none where it ended without one."""
    try:
        their_in, ours_in = os.pipe()
        ours_out, their_out = os.pipe()
    except OSError as error:
        raise StartError(f"no keeper could be started: {error.strerror}") from error
    actions = [
        (os.POSIX_SPAWN_DUP2, their_in, 0),
        (os.POSIX_SPAWN_DUP2, their_out, 1),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
    ]
    try:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", "-c", _DAEMON, os.fspath(_PACKAGE_ROOT)],
            {KEEPER_MARK: os.fspath(directory.absolute())},
            file_actions=actions,
            # What our threads block and our process ignores is not for the command.
            setsigmask=(),
            setsigdef=set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP},
        )
    except OSError as error:
        for descriptor in (ours_in, ours_out, their_in, their_out):
            os.close(descriptor)
        raise StartError(f"no keeper could be started: {error.strerror}") from error
    os.close(their_in)
    os.close(their_out)
    deadline = time.monotonic() + _PATIENCE
    try:
        _send(ours_in, settings, deadline)
        return _receive(ours_out, deadline)
    finally:
        os.close(ours_out)
        # It has left its keeper behind and ended long ago, or never will: then it is ours to end.
        _reap(pid, deadline)


def _send(descriptor: int, data: bytes, deadline: float) -> None:
    """All of it, then end of file. A keeper that has gone says so by its silence."""
    try:
        os.set_blocking(descriptor, False)
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        view = memoryview(data)
        while view:
            _wait(poll, deadline)
            with contextlib.suppress(BlockingIOError):
                view = view[os.write(descriptor, view) :]
    except BrokenPipeError:
        return
    finally:
        os.close(descriptor)


def _receive(descriptor: int, deadline: float) -> list[str]:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    answer = b""
    while not answer.endswith(b"\n"):
        _wait(poll, deadline)
        part = os.read(descriptor, 256)
        if not part:
            break
        answer += part
    return answer.decode("ascii", "replace").split()


def _wait(poll: select.poll, deadline: float) -> None:
    remaining = deadline - time.monotonic()
    if remaining <= 0 or not poll.poll(remaining * 1000):
        raise StartError(f"the keeper did not say within {_PATIENCE:g} s that the command began")


def _reap(pid: int, deadline: float) -> None:
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        handle = -1
    try:
        if handle >= 0 and not select.select([handle], [], [], max(0.0, deadline - time.monotonic()))[0]:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ChildProcessError, ProcessLookupError):
        return  # somebody here reaps everybody's children, or ignores SIGCHLD
    finally:
        if handle >= 0:
            os.close(handle)


def _sentence(number: int, stage: str, spec: Spec) -> str:
    cause = os.strerror(number)
    program = spec.argv[0]
    if stage == "chdir":
        return f"the working directory {spec.cwd} cannot be entered: {cause}"
    if stage == "exec":
        if number == errno.ENOENT and Path(spec.cwd, program).exists():
            return f"{program!r} cannot be executed: the interpreter that its first line names is missing"
        if number == errno.ENOENT:
            return f"there is no program {program!r}, not in PATH either"
        if number == errno.EACCES:
            return f"{program!r} may not be executed by this user"
        if number == errno.E2BIG:
            return "the command and its environment are longer than the system allows"
        return f"{program!r} cannot be executed: {cause}"
    if stage == "status" or number in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full; free some space and try again"
    if stage == "fork":
        return f"no process could be made ({cause}): a limit of processes or memory is reached"
    return f"the command cannot be started: {stage}: {cause}"
