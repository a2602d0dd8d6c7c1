"""Gives back memory that is needed no more: the idle gateway is the usual one, and there are many."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from collections.abc import Iterable, Iterator
from pathlib import Path

_SMAPS = Path("/proc/self/smaps")
_MADV_DONTNEED = 4


def shrink() -> None:
    """At the end of the start: what is there now stays, and no later collection has to look at it."""
    gc.collect()
    gc.freeze()
    give_back()


def give_back() -> None:
    """Return freed heap to the system, and unmap the program text that was touched.

    Text comes back from the page cache, 64 KiB at a fault, where it is used again; most of it (OpenSSL's
    3 MB first of all, which asyncio imports and nothing here uses) is not.
    """
    gc.collect()
    with contextlib.suppress(OSError, AttributeError, ValueError):
        libc = ctypes.CDLL(None)
        libc.malloc_trim(0)
        for start, length in untouched_text(_SMAPS.read_text("ascii", "replace").splitlines()):
            libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), _MADV_DONTNEED)


def untouched_text(smaps: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Start and length of each mapped file's executable part that is just as it is on disk.

    A page that was written to would lose what was written: a mapping with any is left out.
    """
    place: tuple[int, int] | None = None
    for line in smaps:
        words = line.split()
        if not words[0].endswith(":"):
            start, _, end = words[0].partition("-")
            is_text = words[1] == "r-xp" and words[4] != "0"
            place = (int(start, 16), int(end, 16) - int(start, 16)) if is_text else None
        elif place and words[0] == "Anonymous:":
            if words[1] == "0":
                yield place
            place = None
