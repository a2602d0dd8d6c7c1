"""Ending a command with everything it started: TERM, grace, then KILL down to the last descendant."""

from __future__ import annotations

import os

from .cgroup import Cgroup
from .kernel import descendants

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal

_ROUNDS = 64
"""How often new descendants are looked for before the kill: each round stops the ones it finds."""


def ask_to_end(command: int) -> set[int]:
    """SIGTERM, and SIGCONT for the stopped, to every descendant of this process; their pids.

    `command`: 0 once it has ended. Where /proc shows nothing, its process group is all that is known.
    """
    found = set(descendants(os.getpid())) or {-command} - {0}
    for pid in found:
        _send(pid, signal.SIGTERM)
        _send(pid, signal.SIGCONT)
    return found


def end_all(cgroup: Cgroup, command: int) -> set[int]:
    """SIGKILL for every descendant. They are stopped first, so that none is born in the meantime.

    `command`: as for `ask_to_end`.
    """
    cgroup.kill()
    stopped: set[int] = set()
    for _ in range(_ROUNDS):
        new = (set(descendants(os.getpid())) or {-command} - {0}) - stopped
        if not new:
            break
        for pid in new:
            _send(pid, signal.SIGSTOP)
        stopped |= new
    for pid in stopped:
        _send(pid, signal.SIGKILL)
    return stopped


def signal_group(command: int, number: int) -> bool:
    """To the command's process group; False where it has gone."""
    try:
        os.killpg(command, number)
    except OSError:
        return False
    return True


def _send(pid: int, number: int) -> None:
    # A descendant's pid is not reused before this process, which adopts it, has reaped it. Only one whose own
    # parent lives can be recycled in this moment, and then it is a descendant of the same command.
    try:
        os.kill(pid, number)
    except OSError:
        return
