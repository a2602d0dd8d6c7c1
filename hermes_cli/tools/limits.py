"""How long a tool call may block and how much it may answer."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping

DEFAULT_TIMEOUT = 180.0
_MOST = 7 * 86400.0
OUTPUT_CAP = 50_000
"""Characters of output in one result; a model's context is dear."""
OUTPUT_HEAD = 20_000
"""Of those, from the beginning; the end says more about how it went."""
MIN_CHECK_INTERVAL = 5.0
MAX_CHECK_INTERVAL = 3600.0
KILL_GRACE = 3.0
"""Seconds between TERM and KILL for a command that took too long."""


def longest_wait(environ: Mapping[str, str] | None = None) -> float:
    """`TERMINAL_TIMEOUT`, in seconds; the default where it is no time."""
    try:
        value = float((os.environ if environ is None else environ).get("TERMINAL_TIMEOUT", ""))
    except ValueError:
        return DEFAULT_TIMEOUT
    return value if math.isfinite(value) and 0 < value <= _MOST else DEFAULT_TIMEOUT
