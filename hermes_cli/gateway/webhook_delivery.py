"""Tells the webhook what it has not heard yet: a program of its own, so that no gateway keeps what it needs.

HTTP, TLS and the parser of settings are several megabytes; a gateway idles for days between two parkings.
Arguments: the root home, and the descriptor of the lock, held; or `wait`, to wait for that first.
"""

from __future__ import annotations

import hashlib
import logging
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec

from hermes_cli.config import ConfigError
from hermes_cli.home import Home
from hermes_cli.service_manager.filelock import open_lock_file

from .supervision_log import both_files
from .webhook_cursor import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    CursorRecord,
    Line,
    end_of,
    load_cursor,
    save_cursor,
    waiting,
)
from .webhook_request import body_of, post
from .webhook_settings import Webhook, webhook_of

logger = logging.getLogger("hermes.webhook")

MAX_AGE = 86400.0
"""Seconds from the event after which it is given up: an alarm of yesterday misleads."""


def deliver(root: Path, clock: Callable[[], float] = time.time) -> bool:
    """Send what waits, oldest first, until nothing does or a try fails; whether nothing waits.

    To be called by the holder of the lock. At least once: an event counts as told when the cursor that says
    so is on disk. Raises `ConfigError`, OSError.
    """
    webhook = webhook_of(root)
    cursor = load_cursor(root)
    if webhook is None or cursor is None:
        return True
    while True:
        end = end_of(both_files(root))
        lines = waiting(root, cursor.position, webhook.events)
        for line in lines:
            cursor = _tell(webhook, line, cursor, clock)
            save_cursor(root, cursor)
            if cursor.attempts:
                return False
        if not lines:
            if cursor.position != end:
                save_cursor(root, msgspec.structs.replace(cursor, head=end.head, offset=end.offset))
            return True


def event_id(line: Line) -> str:
    """The same for each try of an event, and for no other: its text and its place."""
    return "evt_" + hashlib.sha256(b"%d:%s" % (line.at.offset, line.text)).hexdigest()[:24]


def _tell(webhook: Webhook, line: Line, cursor: CursorRecord, clock: Callable[[], float]) -> CursorRecord:
    """The cursor after one try."""
    behind = {"head": line.behind.head, "offset": line.behind.offset, "attempts": 0, "next_try_at": 0.0}
    words = f"that {line.event['profile']!r} {line.event['event']} at {line.event['ts']!r}"
    if clock() - _time(line) > MAX_AGE:
        logger.warning("the webhook is not told any more %s: that is too long ago", words)
        return msgspec.structs.replace(cursor, **behind, given_up=cursor.given_up + 1)
    identity = event_id(line)
    answer = post(webhook, identity, body_of(line.event, identity))
    if answer.taken:
        logger.info("%s was told %s (%s, %.2f s)", webhook.place, words, answer.words, answer.seconds)
        return msgspec.structs.replace(cursor, **behind, problem="", delivered_at=clock())
    attempts = cursor.attempts + 1
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(attempts - 1, 10))
    if attempts == 1 or answer.words != cursor.problem:
        logger.warning("%s %s; it is tried again", webhook.place, answer.words)
    return msgspec.structs.replace(
        cursor, attempts=attempts, next_try_at=clock() + pause, problem=answer.words
    )


def _time(line: Line) -> float:
    """An event whose time cannot be read is from long ago."""
    try:
        return datetime.fromisoformat(line.event["ts"]).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def main(root: str, lock: str) -> int:
    """0 when nothing waits any more, 75 (EX_TEMPFAIL) when it is to be tried again, 78 for bad settings."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # a supervisor's log writes the time itself
    try:
        if lock == "wait":
            import fcntl

            # Whoever started this bounds the wait, and kills it; the kernel frees the lock then.
            fcntl.flock(open_lock_file(Home.of(root=Path(root)).logs / "webhook.lock"), fcntl.LOCK_EX)
        return 0 if deliver(Path(root)) else 75
    except ConfigError as error:
        logger.warning("the webhook is told nothing: %s", error)
        return 78
    except OSError as error:
        logger.warning("the webhook cannot be told: %s", error)
        return 75


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
