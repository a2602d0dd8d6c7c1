"""The last word of a gateway that parks, to the webhook: light, for most have none and end fast."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from .reasons import reason_of
from .webhook_cursor import ensure_cursor
from .webhook_settings import is_mentioned

logger = logging.getLogger("hermes.gateway")

PARTING = 5.0
"""Seconds that a gateway which parks may take to tell it: it may be the only one."""


@contextlib.contextmanager
def parting_word(root: Path) -> Iterator[None]:
    """Around the writing of a gateway's last event: try to tell it, for `PARTING` seconds at most."""
    events = events_of(root)
    if events:
        with contextlib.suppress(OSError):
            ensure_cursor(root)
    yield
    if events:
        try:
            subprocess.run(
                program_of(root, "wait"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                timeout=PARTING,
                check=False,
            )
        except subprocess.TimeoutExpired:
            logger.warning(
                "the webhook was not told within %g s; the next gateway that runs does it", PARTING
            )
        except OSError as error:
            logger.warning("the webhook cannot be told: %s", reason_of(error))


def events_of(root: Path) -> frozenset[str]:
    """What is to be told; nothing where there is no webhook, or none that can be used, which is said."""
    if sys.platform == "win32" or not is_mentioned(root):
        return frozenset()
    from hermes_cli.config import ConfigError

    from .webhook_settings import webhook_of

    try:
        webhook = webhook_of(root)
    except ConfigError as error:
        logger.warning("the webhook is told nothing: %s", error)
        return frozenset()
    return webhook.events if webhook is not None else frozenset()


def program_of(root: Path, lock: str) -> list[str]:
    return [sys.executable, "-P", "-m", "hermes_cli.gateway.webhook_delivery", os.fspath(root), lock]
