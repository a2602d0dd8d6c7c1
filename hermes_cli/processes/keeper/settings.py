"""What a keeper is told when it starts: one pipe of `key=value` records, each ended by a NUL byte."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LIMIT = 16 << 20


class Settings:
    """Plain attributes; paths and texts as the bytes or strings that came."""

    def __init__(self, records: Iterable[bytes]) -> None:
        self.id = ""
        self.argv: list[bytes] = []
        self.environment: dict[bytes, bytes] = {}
        self.cwd = b"/"
        self.pty = False
        self.rows = 24
        self.columns = 80
        self.stdin = "open"
        self.cap = 16 << 20
        """Bytes of disk for output and events."""
        self.notify = False
        self.watch: list[str] = []
        self.user = -1
        """The uid to run as; -1 for the starter's."""
        self.groups: list[int] = []
        """With `user`: its group, and then all its groups."""
        self.umask = 0o022
        for record in records:
            key, _, value = record.partition(b"=")
            self._take(key, value)

    def _take(self, key: bytes, value: bytes) -> None:
        if key == b"argv":
            self.argv.append(value)
        elif key == b"env":
            name, _, content = value.partition(b"=")
            self.environment[name] = content
        elif key == b"watch":
            self.watch.append(value.decode("utf-8", "surrogateescape"))
        elif key == b"groups":
            self.groups.append(int(value))
        elif key == b"cwd":
            self.cwd = value
        elif key in (b"pty", b"notify"):
            setattr(self, key.decode(), value == b"1")
        elif key in (b"rows", b"columns", b"cap", b"user"):
            setattr(self, key.decode(), int(value))
        elif key in (b"id", b"stdin"):
            setattr(self, key.decode(), value.decode())


def read_settings(descriptor: int) -> Settings:
    """Read to the end of the pipe; raises ValueError for an unfinished message."""
    data = bytearray()
    while part := os.read(descriptor, 1 << 16):
        data += part
        if len(data) > _LIMIT:
            raise ValueError("more settings than any process has")
    if not data.endswith(b"\0\0"):
        raise ValueError("the settings were cut off")
    return Settings(bytes(data[:-2]).split(b"\0"))


def encode(fields: Mapping[str, object], argv: Iterable[str], environment: Mapping[str, str]) -> bytes:
    """The message that `read_settings` reads. Raises ValueError for what no program can be passed."""
    records = [f"{key}={value}" for key, value in fields.items() if not isinstance(value, (tuple, list))]
    for key, values in fields.items():
        if isinstance(values, (tuple, list)):
            records += [f"{key}={value}" for value in values]
    records += [f"argv={word}" for word in argv]
    for name, value in environment.items():
        if not name or "=" in name:
            raise ValueError(f"{name!r} is no name for a variable")
        records.append(f"env={name}={value}")
    if any("\0" in record for record in records):
        raise ValueError("it holds a NUL byte, which cannot be passed to a program")
    return b"\0".join(os.fsencode(record) for record in records) + b"\0\0"
