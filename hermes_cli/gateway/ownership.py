"""Small files of a home belong to the home's owner, also when root gives the order."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hermes_cli.home import Home

IDENTITY = threading.RLock()
"""Held by whoever may change the effective user: that is the whole process's, not a thread's."""


def owner_other_than_root(home: Home) -> tuple[int, int] | None:
    """(uid, gid) that root has to write as; None for anybody else, and for root's own home."""
    if not hasattr(os, "geteuid") or os.getuid() != 0:
        return None
    try:
        found = home.path.stat()
    except OSError:
        return None
    return (found.st_uid, found.st_gid) if found.st_uid != 0 else None


@contextmanager
def acting_as_owner(home: Home) -> Iterator[None]:
    """Within the block root is the owner of `home`: what it writes can be read by the gateway there, and a
    link planted there leads no further than its owner may go.
    """
    owner = owner_other_than_root(home)
    if owner is None:
        yield
        return
    with IDENTITY:
        gid = os.getegid()
        os.setegid(owner[1])
        os.seteuid(owner[0])
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(gid)
