"""An operating system's error as a person's next step."""

from __future__ import annotations

import errno

_SENTENCES = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk quota is used up; free some space",
    errno.EROFS: "the file system is read-only; mount it writable",
    errno.EACCES: "this user may not write there; 'hermes doctor' shows who owns it",
    errno.EPERM: "this user may not write there; 'hermes doctor' shows who owns it",
}


def reason_of(error: OSError) -> str:
    """Why, and where possible what to do."""
    return _SENTENCES.get(error.errno or 0, error.strerror or str(error))
