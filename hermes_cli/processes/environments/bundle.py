"""The part of this package that runs in a sandbox, as a tar file named by its contents."""

from __future__ import annotations

import hashlib
import io
import tarfile
from functools import lru_cache
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent.parent.parent
_PACKAGE = "hermes_cli"

MODULES = (
    *("collection", "control", "errors", "frames", "ids", "limits", "lines", "liveness", "modes", "news"),
    *("reading", "recorded", "records", "redaction", "registry", "rpc", "spool", "starting", "types"),
    *("waiting", "watching", "wire"),
)
"""Of hermes_cli/processes: rpc, and everything that it and the keeper import. Standard library only."""

_PACKAGES = ("", "processes/")
_KEEPER = "processes/keeper"
_WATCH = "service_manager/watch.py"


def files() -> dict[str, bytes]:
    """Contents by path in the sandbox."""
    paths = [f"{place}__init__.py" for place in _PACKAGES]
    paths += [f"processes/{name}.py" for name in MODULES]
    paths += [f"{_KEEPER}/{path.name}" for path in (_ROOT / _PACKAGE / _KEEPER).glob("*.py")]
    found = {f"{_PACKAGE}/{path}": (_ROOT / _PACKAGE / path).read_bytes() for path in (*paths, _WATCH)}
    # Nothing else of that package is there, so its own __init__ would look for too much.
    found[f"{_PACKAGE}/service_manager/__init__.py"] = b'"""Only what waits for files."""\n'
    return found


@lru_cache(maxsize=1)
def bundle() -> tuple[str, bytes]:
    """The name, 32 hexadecimal digits, and the tar file."""
    contents = files()
    total = hashlib.sha256()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=6) as archive:
        for path in sorted(contents):
            data = contents[path]
            total.update(b"%s\0%d\0" % (path.encode(), len(data)))
            total.update(data)
            member = tarfile.TarInfo(path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return total.hexdigest()[:32], buffer.getvalue()


@lru_cache(maxsize=1)
def bootstrap() -> bytes:
    """The program that a sandbox is sent first."""
    return Path(__file__).with_name("bootstrap.py").read_bytes()


LAUNCHER = (
    "for p in python3 python3.14 python3.13 python3.12 python3.11 python3.10; do "
    "if command -v $p >/dev/null 2>&1; then "
    '[ "$f" ] || f=$p; '
    'if $p -I -S -c "import sys; sys.exit(sys.version_info < (3, 10))" 2>/dev/null; then '
    'exec $p -I -S -c "import sys; exec(sys.stdin.buffer.read(int(sys.stdin.buffer.readline())))"; '
    "fi; fi; done; "
    # Something has been read, so somebody listens.
    'read -r x; v=; [ -z "$f" ] || v=$($f --version 2>&1); echo "hermes-no-python $v"'
)
"""For /bin/sh: begins the program that follows on stdin, with the first Python that is new enough.

Without single quotes, backslashes, exclamation marks and line breaks: any login shell passes it on.
"""

NO_PYTHON = b"hermes-no-python"
