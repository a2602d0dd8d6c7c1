"""Reading an operator's file: bounded, regular, UTF-8, with every refusal a `ConfigError`."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from .errors import ConfigError

MAX_BYTES = 256 * 1024


def read_text(path: Path) -> str | None:
    """The text of `path` without a byte order mark; None where there is nothing by that name.

    Links are followed: in Kubernetes every mounted config.yaml and .env is one, and reading as the
    service user gives nobody anything that he has not got.
    """
    try:
        # O_NONBLOCK: a FIFO must be refused, not waited on.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        if path.is_symlink():
            raise ConfigError(path, "is a link to something that does not exist") from None
        return None
    except OSError as error:
        raise ConfigError(path, f"cannot be read: {error.strerror}") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ConfigError(path, "is not a regular file")
        data = _read_bounded(descriptor)
    except OSError as error:
        raise ConfigError(path, f"cannot be read: {error.strerror}") from error
    finally:
        os.close(descriptor)
    if len(data) > MAX_BYTES:
        raise ConfigError(
            path, f"is larger than {MAX_BYTES // 1024} KiB, so it is no configuration of Hermes"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        message = f"is not UTF-8 text (byte 0x{data[error.start]:02x})"
        raise ConfigError(path, message, line=line, column=column, expected="UTF-8 text") from error


def _read_bounded(descriptor: int) -> bytes:
    parts = []
    left = MAX_BYTES + 1
    while left > 0 and (part := os.read(descriptor, left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
