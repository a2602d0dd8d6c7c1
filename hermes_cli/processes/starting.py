"""Starting a keeper: what the command may see of our environment, and word of whether it began."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import shlex
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from .errors import StartError
from .keeper.settings import encode
from .liveness import MARK
from .redaction import secret_names
from .types import Spec, StartRequest

_PATIENCE = 15.0
"""Seconds a keeper may take to say that the command began: it has a disk and an interpreter to wait for."""

_DAEMON = (
    "import os,sys\n"
    "if os.fork(): os._exit(0)\n"
    "os.setsid()\n"
    "user = sys.argv[2].split(',') if sys.argv[2] else []\n"
    "if user: os.setgroups([int(g) for g in user[1:]]); os.setgid(int(user[1])); os.setuid(int(user[0]))\n"
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
    request: StartRequest, process_id: str, inherited: Mapping[str, str], withheld: frozenset[str]
) -> dict[str, str]:
    """What the command sees: ours without secrets and without what is between us and our supervisor.

    `withheld`: names from the profile's .env. What the request sets, or names in `passthrough`, passes.
    """
    secret = withheld.union(secret_names(inherited))
    environment = {
        name: value
        for name, value in inherited.items()
        if name in request.passthrough or name in _KEPT or not (name in secret or name.startswith(_OURS))
    }
    environment.setdefault("PATH", os.defpath)
    environment["PYTHONUNBUFFERED"] = "1"
    environment["TERM"] = environment.get("TERM") or "xterm-256color" if request.pty else "dumb"
    if request.pty:
        environment.pop("LINES", None)
        environment.pop("COLUMNS", None)
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


def start_keeper(
    directory: Path, spec: Spec, request: StartRequest, environment: Mapping[str, str], sockets: str
) -> int:
    """Start the keeper of `spec` in its directory and return the command's pid; raises `StartError`."""
    try:
        settings = encode(
            {
                "id": spec.id,
                "cwd": spec.cwd,
                "pty": int(spec.pty),
                "rows": request.rows,
                "columns": request.columns,
                "stdin": spec.stdin,
                "cap": spec.cap_bytes,
                "notify": int(spec.notify_on_complete),
                "watch": spec.watch_patterns,
                "sockets": sockets,
            },
            spec.argv,
            environment,
        )
    except ValueError as error:
        raise StartError(f"the command cannot be started: {error}") from error
    words = _spawn(directory, settings, _credentials(directory, request.user))
    if words and words[0] == "ok":
        return int(words[1])
    if len(words) == 3 and words[0] == "error":
        raise StartError(_sentence(int(words[1]), words[2], spec))
    raise StartError(
        "the keeper ended before it could say anything; is there memory left, and room for a process?"
    )


def _credentials(directory: Path, user: str | None) -> str:
    """`UID,GID,GROUP…` to run as, and the directory made theirs; empty for ourselves. Raises `StartError`."""
    if user is None:
        return ""
    import pwd

    try:
        entry = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except KeyError:
        raise StartError(f"there is no user {user!r} here") from None
    if entry.pw_uid == os.geteuid():
        return ""
    if os.geteuid() != 0:
        raise StartError(f"only root can run a command as another user ({user})")
    for path in (directory, *directory.iterdir()):
        os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)
    groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
    return ",".join(map(str, [entry.pw_uid, entry.pw_gid, *(g for g in groups if g != entry.pw_gid)]))


def _spawn(directory: Path, settings: bytes, credentials: str) -> list[str]:
    """The words that a new keeper answered; none where it ended without one."""
    ours_in, their_in = os.pipe()[::-1]
    their_out, ours_out = os.pipe()[::-1]
    actions = [
        (os.POSIX_SPAWN_DUP2, their_in, 0),
        (os.POSIX_SPAWN_DUP2, their_out, 1),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
    ]
    try:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", "-c", _DAEMON, os.fspath(_PACKAGE_ROOT), credentials],
            {"HERMES_KEEPER_DIRECTORY": os.fspath(directory)},
            file_actions=actions,
        )
    except OSError as error:
        for descriptor in (ours_in, ours_out, their_in, their_out):
            os.close(descriptor)
        raise StartError(f"no keeper could be started: {error.strerror}") from error
    os.close(their_in)
    os.close(their_out)
    try:
        _send(ours_in, settings)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
        return _receive(ours_out)
    finally:
        os.close(ours_out)


def _send(descriptor: int, data: bytes) -> None:
    """All of it, then end of file. A keeper that has gone says so by its silence."""
    try:
        with contextlib.suppress(BrokenPipeError):
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)


def _receive(descriptor: int) -> list[str]:
    deadline = time.monotonic() + _PATIENCE
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    answer = b""
    while not answer.endswith(b"\n"):
        remaining = deadline - time.monotonic()
        if remaining <= 0 or not poll.poll(remaining * 1000):
            raise StartError(f"the keeper did not say within {_PATIENCE:g} s that the command began")
        part = os.read(descriptor, 256)
        if not part:
            break
        answer += part
    return answer.decode("ascii", "replace").split()


def _sentence(number: int, stage: str, spec: Spec) -> str:
    cause = os.strerror(number)
    program = spec.argv[0]
    if stage == "chdir":
        return f"the working directory {spec.cwd} cannot be entered: {cause}"
    if stage == "exec":
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
