"""Following a supervised gateway in the foreground: its log, until a signal, or until it parks."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

from hermes_cli.home import Home
from hermes_cli.service_manager.errors import ServiceError
from hermes_cli.service_manager.names import service_name
from hermes_cli.service_manager.types import ServiceManager
from hermes_cli.service_manager.watch import GROWN, Watch

from . import park
from .records import ParkedRecord

_RELOOK = 5.0
"""Seconds until the home is looked at again without having been woken."""


def leave_on_signal() -> None:
    """From here on SIGTERM and SIGINT end this process with 0, and leave the service as it is."""

    def leave(number: int, frame: FrameType | None) -> None:
        # Not by the interpreter's own end: the thread that prints the log may hold stdout's lock there.
        os._exit(0)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)


def follow_until_parked(
    manager: ServiceManager, home: Home, say: Callable[[str], None]
) -> ParkedRecord | None:
    """Give each new line of the gateway's log to `say`, in a thread that stays behind.

    Return the slip when the gateway parks, None when its home goes.
    """
    reader = threading.Thread(target=_read, args=(manager, home, say), name="log", daemon=True)
    reader.start()
    with Watch(home.path, GROWN) as watch:
        while home.path.is_dir():
            watch.arm()
            slip = park.parked(home)
            if slip is not None:
                return slip
            watch.wait(_RELOOK)
    return None


def _read(manager: ServiceManager, home: Home, say: Callable[[str], None]) -> None:
    try:
        for line in manager.logs(service_name(home.profile), lines=0, follow=True):
            say(line)
    except (ServiceError, OSError, ValueError) as error:
        print(f"hermes: the log cannot be followed: {error}", file=sys.stderr)
