"""The parking slip: why a gateway is down on purpose, kept in its home until someone starts it."""

from __future__ import annotations

import time

from hermes_cli.home import CorruptFileError, Home, load, save

from .records import ParkedKind, ParkedRecord

EX_CONFIG = 78
"""sysexits.h: every supervisor is told not to restart on it."""


def park(home: Home, kind: ParkedKind, reason: str) -> None:
    """Write the slip; raises OSError where the home cannot be written."""
    save(home.parked, ParkedRecord(kind=kind, reason=reason, parked_at=time.time(), exit_code=EX_CONFIG))


def parked(home: Home) -> ParkedRecord | None:
    """The slip, or None. A slip that cannot be read still parks, and says so as its reason."""
    try:
        return load(home.parked, ParkedRecord)
    except CorruptFileError as error:
        return ParkedRecord(kind="config", reason=str(error), parked_at=0.0, exit_code=EX_CONFIG)


def clear(home: Home) -> None:
    """Remove the slip; a missing one is fine."""
    home.parked.unlink(missing_ok=True)
