"""The portable lock, and that nothing which a gateway's start needs is a system's own."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from hermes_cli.service_manager import filelock
from hermes_cli.service_manager.filelock import open_lock_file, try_lock, unlock

# What Windows has not, hidden from everything that is imported from now on. The libraries below come first:
# they choose by sys.platform as well, and their other choice needs modules that only Windows has.
HIDE = """
import sys, os, signal, socket, select, subprocess, tempfile, ctypes, asyncio, shutil, logging, click
import starlette.routing, uvicorn.protocols.http.h11_impl, msgspec, ruamel.yaml, yaml, http.client, rich
for name in ("fcntl", "pwd", "grp", "termios", "resource", "pty", "tty"):
    sys.modules[name] = None
for name in ("getuid", "geteuid", "getgid", "fork", "pread", "pwrite", "fchmod", "fchown", "chown", "killpg",
             "posix_spawn", "statvfs", "O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_DIRECTORY", "pidfd_open"):
    delattr(os, name)
for name in ("SIGKILL", "SIGHUP", "SIGCHLD", "pthread_sigmask", "pidfd_send_signal"):
    delattr(signal, name)
del socket.AF_UNIX, select.poll
sys.platform = "win32"
"""

GATEWAY = ("run", "serve", "lock", "ledger", "lifecycle", "supervision_log", "client", "service", "api")
LIBRARY = sorted(path.stem for path in Path(filelock.__file__).parent.glob("*.py") if path.stem != "__init__")


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "modules",
    [
        [f"hermes_cli.service_manager.{name}" for name in LIBRARY if not name.startswith(("s6", "system"))],
        [f"hermes_cli.gateway.{name}" for name in GATEWAY],
    ],
    ids=["library", "gateway"],
)
def test_it_imports_where_there_is_no_posix(modules: list[str]) -> None:
    run(HIDE + "\n".join(f"import {name}" for name in modules))


def test_the_lock_a_gateway_takes_works_without_flock(tmp_path: Path) -> None:
    """msvcrt's own rules: a byte at the position is locked, a second lock of it is refused."""
    program = f"""
import types
locked = set()
def locking(descriptor, mode, size):
    place = (os.fstat(descriptor).st_ino, os.lseek(descriptor, 0, os.SEEK_CUR))
    if mode == 0:
        locked.discard(place)
    elif place in locked:
        raise PermissionError(13, "Permission denied")
    else:
        locked.add(place)
sys.modules["msvcrt"] = types.SimpleNamespace(locking=locking, LK_NBLCK=2, LK_UNLCK=0)
from pathlib import Path
from hermes_cli.gateway import identity, lock
from hermes_cli.home import Home
lock.ProcessIdentity.is_alive = lambda self: self.pid == os.getpid()
lock.ProcessIdentity.own = classmethod(lambda cls: cls(os.getpid(), 1, ""))
home = Home.of("default", Path({os.fspath(tmp_path)!r}))
first = lock.HomeLock(home)
first.acquire()
try:
    lock.HomeLock(home).acquire()
except lock.AlreadyRunningError as error:
    print("refused", error.holder.pid == os.getpid())
print("holder", lock.holder_of(home).pid == os.getpid())
"""
    assert run(HIDE + program).split() == ["refused", "True", "holder", "True"]


def test_only_one_has_the_lock_until_it_is_given_back(tmp_path: Path) -> None:
    first, second = (open_lock_file(tmp_path / "lock") for _ in range(2))
    try:
        assert try_lock(first)
        assert not try_lock(second)
        unlock(first)
        assert try_lock(second)
    finally:
        os.close(first)
        os.close(second)


def test_a_lock_file_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic links"):
        open_lock_file(tmp_path / "lock")
    assert not (tmp_path / "victim").exists()


def test_on_windows_a_locked_byte_is_far_behind_what_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A locked one cannot be read there, and the holder's pid is at the beginning."""
    seen: list[int] = []

    def locking(descriptor: int, mode: int, size: int) -> None:
        seen.append(os.lseek(descriptor, 0, os.SEEK_CUR))

    fake = types.SimpleNamespace(locking=locking, LK_NBLCK=2, LK_UNLCK=0)
    monkeypatch.setitem(sys.modules, "msvcrt", fake)
    monkeypatch.setattr(sys, "platform", "win32")
    descriptor = os.memfd_create("lock")
    try:
        assert try_lock(descriptor)
        unlock(descriptor)
    finally:
        os.close(descriptor)
    assert seen == [1 << 30, 1 << 30]
