"""A keeper's beginning: its directory, its lock, its user; the command, and word of it to the starter."""

from __future__ import annotations

import errno
import fcntl
import os
import select

from . import kernel
from .launch import LaunchError
from .loop import Keeper
from .settings import Settings, read_settings

_MOST_DESCRIPTORS = 1 << 16


def main() -> None:
    """Settings come on descriptor 0; one line goes to descriptor 1: `ok PID` or `error ERRNO STAGE`."""
    os.closerange(3, _MOST_DESCRIPTORS)  # what the starter let through
    directory = os.environb[kernel.KEEPER_MARK.encode()]
    os.environ.clear()
    umask = os.umask(0o077)
    lock = -1
    try:
        os.chdir(directory)
        lock = os.open("keeper.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        _lock(lock)
        settings = read_settings(0)
        settings.umask = umask
        if os.path.basename(os.getcwd()) != settings.id:
            raise LaunchError(errno.ECANCELED, "starter")  # taken for a leftover, and removed
        keeper = Keeper(settings)
        kernel.adopt_orphans()
        if settings.user >= 0:
            _become(settings)
        line = f"ok {keeper.start(_starter_waits)}"
    except LaunchError as error:
        line = f"error {error.number} {error.stage}"
    except Exception as error:
        line = f"error {getattr(error, 'errno', None) or errno.EINVAL} keeper"
    began = line.startswith("ok")
    if not began and lock >= 0:
        os.close(lock)  # the starter removes the directory as soon as it hears of it
    try:
        os.write(1, line.encode() + b"\n")
    except OSError:
        pass  # the starter has ended meanwhile, the process goes on
    nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
    if began:
        try:
            keeper.run()
        except Exception as error:
            keeper.fail(error)


def _lock(descriptor: int) -> None:
    """Held for as long as the keeper lives: that it is held is how others know."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            raise


def _starter_waits() -> bool:
    poll = select.poll()
    poll.register(1, 0)
    return not poll.poll(0)


def _become(settings: Settings) -> None:
    """The user who was asked for, and the directory theirs. Nothing is imported any more: our files may be
    closed to them."""
    if settings.pty:
        import termios  # noqa: F401
    for path in (".", *os.listdir(".")):
        os.chown(path, settings.user, settings.groups[0], follow_symlinks=False)
    os.setgroups(settings.groups)
    os.setgid(settings.groups[0])
    os.setuid(settings.user)
    kernel.own_proc_again()
