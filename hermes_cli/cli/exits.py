"""The exit codes of `hermes`: each means one thing, wherever it comes from. docs/cli.md has them too."""

from __future__ import annotations

from collections.abc import Mapping

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_BUG = 70
"""EX_SOFTWARE of sysexits.h: an error no user caused."""
EXIT_TEMPORARY = 75
"""EX_TEMPFAIL of sysexits.h, of a gateway in the foreground."""
EXIT_CONFIG = 78
"""EX_CONFIG of sysexits.h: supervisors do not restart on it."""
EXIT_TIME_OVER = 124
"""As timeout(1) has it."""
EXIT_UNKNOWN_END = 125
"""In the place of an exit code that nobody knows: what was to keep it is gone."""
EXIT_INTERRUPTED = 130

MEANINGS: Mapping[int, str] = {
    0: "done; of what follows or attaches: left as asked",
    EXIT_FAILURE: "not done, one sentence says why; `status --healthy`, `doctor`: something is wrong",
    EXIT_USAGE: "wrong usage: nothing was tried",
    EXIT_BUG: "a bug; `HERMES_DEBUG=1` shows where",
    EXIT_TEMPORARY: "`gateway run --no-supervise`: not now, another try may do",
    EXIT_CONFIG: "configuration; `gateway run`: the gateway is parked",
    EXIT_TIME_OVER: "`process wait`: it still runs; `chat -q`, `run … -f`: the deadline was over",
    EXIT_UNKNOWN_END: "`process … --wait`, `chat -q`, `run … -f`: nobody knows how it ended",
    EXIT_INTERRUPTED: "interrupted by ^C; `chat -q`, `run … -f`: cancelled, or left to itself",
}
"""In the order of the codes. `process wait --exit-code`, `process start --wait` and `chat -q` have those of
the command besides, and what a signal ends has 128 and its number."""


def epilog() -> str:
    """The table for `hermes --help`."""
    lines = [f"  {code:<4} {meaning.replace('`', '')}" for code, meaning in MEANINGS.items()]
    return "\b\nExit codes:\n" + "\n".join(lines)
