"""The gateway's own report of itself, kept truthful at every step, also where the disk refuses it."""

from __future__ import annotations

import logging
import time

import msgspec

from hermes_cli import __version__
from hermes_cli.home import CorruptFileError, Home, load, save

from .identity import ProcessIdentity, init_start
from .reasons import reason_of
from .records import State, StateRecord

logger = logging.getLogger("hermes.gateway")


class StateReporter:
    """Writes gateway_state.json. A write that fails is logged, kept in `problem`, and stops nothing."""

    def __init__(self, home: Home) -> None:
        me = ProcessIdentity.own()
        self._home = home
        self.problem: str | None = None
        self.record = StateRecord(
            state="starting",
            pid=me.pid,
            pid_start=me.start,
            boot_id=me.boot_id,
            init_start=init_start(),
            started_at=time.time(),
            hermes_version=__version__,
        )

    def report(self, state: State, **changes: object) -> None:
        """Write `state` and the fields in `changes`."""
        self.record = msgspec.structs.replace(self.record, state=state, **changes)
        self.save()

    def save(self) -> None:
        """Write the record as it is."""
        try:
            save(self._home.state, self.record)
        except OSError as error:
            problem = f"{self._home.state} could not be written: {reason_of(error)}"
            if problem != self.problem:
                logger.error("%s", problem)
            self.problem = problem
        else:
            self.problem = None


def last_state(home: Home) -> StateRecord | None:
    """What the previous run left; None where it left nothing, or nothing readable (which is logged)."""
    try:
        return load(home.state, StateRecord)
    except CorruptFileError as error:
        logger.warning("%s; going on as if there had been no earlier run", error)
        return None
