"""Starting the command: its own session, pipes or a terminal, everything as it was asked for."""

from __future__ import annotations

import errno
import fcntl
import os
import sys

from .cgroup import Cgroup
from .kernel import die_with_parent, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal

    from .settings import Settings
else:
    import _signal as signal

_PIPE_SIZE = 1 << 20
_OOM_SCORE = 300
"""Added for the command: where memory runs out the kernel is to take it, not its keeper, who tells of it."""

INPUT = "input"
"""A file in the process's directory; what stdin is when it is known from the beginning."""

LAUNCHING = "launching"
"""Made before the command is: where there is no such file, it never ran."""

_CHANGED_SIGNALS = (
    *(signal.SIGPIPE, signal.SIGXFSZ),  # ignored by Python
    *(signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP),  # handled by the keeper
)


class Launched:
    """The command, and our ends of its descriptors. -1 stands for none."""

    def __init__(self, pid: int, stdin: int, outputs: dict[int, int], terminal: int = -1) -> None:
        self.pid = pid
        self.stdin = stdin
        self.outputs = outputs
        """Descriptor to stream number."""
        self.terminal = terminal
        """The command's side of its terminal, held open: it is not hung up when the command closes it."""


class LaunchError(Exception):
    """The command could not be started. `stage` is what failed: terminal, pipe, fork, chdir or exec."""

    def __init__(self, number: int, stage: str) -> None:
        super().__init__(f"{stage}: {os.strerror(number)}")
        self.number = number
        self.stage = stage


def launch(settings: Settings, cgroup: Cgroup) -> Launched:
    """Start the command and return when it has been executed; raises `LaunchError`."""
    return _in_terminal(settings, cgroup) if settings.pty else _with_pipes(settings, cgroup)


def set_size(terminal: int, rows: int, columns: int) -> None:
    """Tell the terminal its size; the kernel tells the command (SIGWINCH)."""
    import termios

    size = b"".join(number.to_bytes(2, sys.byteorder) for number in (rows, columns, 0, 0))
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, size)


def _in_terminal(settings: Settings, cgroup: Cgroup) -> Launched:
    from hermes_cli.processes.frames import TERMINAL

    try:
        ours, theirs = os.openpty()
    except OSError as error:
        raise LaunchError(error.errno or 0, "terminal") from error
    try:
        set_size(ours, settings.rows, settings.columns)
        pid = _start(settings, cgroup, (theirs, theirs, theirs), terminal=True)
    except BaseException:
        os.close(ours)
        os.close(theirs)
        raise
    os.set_blocking(ours, False)
    return Launched(pid, ours, {ours: TERMINAL}, theirs)


def _with_pipes(settings: Settings, cgroup: Cgroup) -> Launched:
    from hermes_cli.processes.frames import STDERR, STDOUT

    opened: list[int] = []
    try:
        try:
            if settings.stdin == "null":
                read_in, write_in = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), -1
                opened.append(read_in)
            elif settings.stdin == INPUT:
                read_in, write_in = os.open(INPUT, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), -1
                opened.append(read_in)
            else:
                read_in, write_in = _pipe(opened)
            read_out, write_out = _pipe(opened)
            read_err, write_err = _pipe(opened)
        except OSError as error:
            raise LaunchError(error.errno or 0, "pipe") from error
        pid = _start(settings, cgroup, (read_in, write_out, write_err))
    except BaseException:
        for descriptor in opened:
            os.close(descriptor)
        raise
    for descriptor in (read_in, write_out, write_err):
        os.close(descriptor)
    for descriptor in (read_out, read_err, write_in):
        if descriptor >= 0:
            os.set_blocking(descriptor, False)
    return Launched(pid, write_in, {read_out: STDOUT, read_err: STDERR})


def _pipe(opened: list[int]) -> tuple[int, int]:
    pair = os.pipe()
    opened += pair
    try:
        fcntl.fcntl(pair[0], fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
    except (OSError, AttributeError):  # this user's pipes have used up their pages: the usual 64 KiB will do
        pass
    return pair


def _start(
    settings: Settings, cgroup: Cgroup, descriptors: tuple[int, int, int], *, terminal: bool = False
) -> int:
    keeper = os.getpid()
    try:
        heard, told = os.pipe()
    except OSError as error:
        raise LaunchError(error.errno or 0, "pipe") from error
    try:
        pid = os.fork()
    except OSError as error:
        os.close(heard)
        os.close(told)
        raise LaunchError(error.errno or 0, "fork") from error
    if pid == 0:
        try:
            die_with_parent(signal.SIGKILL)
            if os.getppid() == keeper:
                _become(settings, cgroup, descriptors, told, terminal)
        finally:
            os._exit(127)
    os.close(told)
    try:
        words = os.read(heard, 64).split()
    finally:
        os.close(heard)
    if words:
        os.waitpid(pid, 0)
        raise LaunchError(int(words[0]), words[1].decode())
    return pid


def _become(
    settings: Settings, cgroup: Cgroup, descriptors: tuple[int, int, int], report: int, terminal: bool
) -> None:
    """In the child: everything between fork and exec. Never returns to the keeper's code."""
    stage = b"exec"
    try:
        signal.set_wakeup_fd(-1)
        for number in _CHANGED_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        cgroup.enter()
        _offer_to_the_out_of_memory_killer()
        os.umask(settings.umask)
        for target, source in enumerate(descriptors):
            os.dup2(source, target)
        if terminal:
            import termios

            stage = b"terminal"
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        stage = b"chdir"
        os.chdir(settings.cwd)
        stage = b"exec"
        os.execvpe(settings.argv[0], settings.argv, settings.environment)
    except OSError as error:
        os.write(report, b"%d %s" % (error.errno or errno.EIO, stage))
    except Exception:
        os.write(report, b"%d %s" % (errno.EINVAL, stage))


def _offer_to_the_out_of_memory_killer() -> None:
    score = min(1000, int(read("/proc/self/oom_score_adj") or 0) + _OOM_SCORE)
    try:
        descriptor = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.write(descriptor, b"%d" % score)
    except OSError:
        pass
    finally:
        os.close(descriptor)
