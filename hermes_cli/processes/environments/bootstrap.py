"""What a sandbox runs first, sent as text: puts the code where it stays, and begins to serve with it.

    hello   {"bundle": HASH, "profile": NAME, …}   ->   {"need": HASH} where the code is not there yet
    N, and N bytes of a tar file                   ->   {"ready": …} or {"failed": …}, from then on rpc.py

Imports nothing of Hermes: there is none yet.
"""

import contextlib
import hashlib
import io
import json
import os
import shutil
import stat
import sys
import tarfile
import time
from pathlib import Path

_LONGEST = 16 << 20
_FORGOTTEN_AFTER = 30 * 86400
"""Seconds after which code that nobody has used is removed."""


def say(message: dict[str, object]) -> None:
    os.write(1, b"hermes " + json.dumps(message).encode() + b"\n")


def private_directory(variable: str, below_home: str, *names: str) -> Path | None:
    """A directory of this user alone that can be written: below the home, else where temporary files are."""
    given = Path(os.environ.get(variable, ""))
    home = Path.home()
    candidates = []
    if given.is_absolute() or home.is_absolute():
        candidates.append((given if given.is_absolute() else home / below_home, "hermes"))
    # /var/tmp outlives a restart of the machine.
    candidates += [(Path(place), f"hermes-{os.geteuid()}") for place in ("/var/tmp", "/tmp", "/dev/shm")]
    for path, first in candidates:
        try:
            path.mkdir(parents=True, exist_ok=True)
            for name in (first, *names):
                path /= name
                own_directory(path)
            probe = path / f".probe-{os.getpid()}"
            probe.write_bytes(b"x")
            probe.unlink()
        except OSError:
            continue
        return path
    return None


def own_directory(path: Path) -> None:
    """Make it, or see that nobody else can change what is in it; raises OSError."""
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise PermissionError(path)
    if found.st_mode & 0o022:
        path.chmod(stat.S_IMODE(found.st_mode) & ~0o022)


def digest(directory: Path) -> str:
    """Of all Python files below it, as bundle.py computes it."""
    found = {path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*.py")}
    total = hashlib.sha256()
    for name in sorted(found):
        total.update(b"%s\0%d\0" % (name.encode(), len(found[name])))
        total.update(found[name])
    return total.hexdigest()[:32]


def unpack(data: bytes, directory: Path) -> None:
    """Put every file in its place, each in one step: others may run from there, or be doing the same."""
    wanted = set()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive.getmembers():
            content = archive.extractfile(member)
            if content is None:
                continue
            target = directory / member.name
            wanted.add(target)
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary = target.with_name(f".{target.name}.{os.getpid()}")
            temporary.write_bytes(content.read())
            temporary.replace(target)
    for path in set(directory.rglob("*.py")) - wanted:
        path.unlink(missing_ok=True)


def forget_old(cache: Path) -> None:
    for path in cache.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _FORGOTTEN_AFTER:
                shutil.rmtree(path, ignore_errors=True)


def main() -> None:
    source = sys.stdin.buffer
    line = source.readline(_LONGEST)
    if not line.endswith(b"\n"):
        return
    hello = json.loads(line)
    cache = private_directory("XDG_CACHE_HOME", ".cache", "code")
    state = private_directory("XDG_STATE_HOME", ".local/state", "processes", hello["profile"])
    if cache is None or state is None:
        message = "there is no directory that this user can write: not the home, not /var/tmp, not /tmp"
        say({"failed": {"message": message, "attributes": {"cause": "read_only"}}})
        return
    directory = cache / hello["bundle"]
    if not directory.is_dir() or digest(directory) != hello["bundle"]:
        say({"need": hello["bundle"]})
        size = int(source.readline(32))
        try:
            unpack(source.read(size), directory)
            forget_old(cache)
        except OSError as error:
            message = f"{cache} does not take the code: {error.strerror}"
            say({"failed": {"message": message, "attributes": {"cause": "read_only"}}})
            return
    os.utime(directory)
    sys.path.insert(0, os.fspath(directory))
    from hermes_cli.processes.rpc import serve

    serve(source, hello, state)


if __name__ == "__main__":
    main()
