"""Kill each gateway named once, and time it until s6 hears it is ready again.

Arguments: the slots' names. Prints a JSON array of seconds, one a slot. The end of the interval is the moment
s6-supervise stamped, so how often this looks is not part of it.
"""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

SETTLED = 2
"""Seconds a gateway is ready before it is killed: s6 waits one second between two starts otherwise."""


def look(slot: Path) -> tuple[int, str | None, int]:
    """Its pid, the stamp of its readiness (None while not ready), and for how many seconds it has been."""
    asked = ["s6-svstat", "-o", "pid,ready,readysince,readyfor", str(slot)]
    pid, ready, since, age = subprocess.check_output(asked, text=True).split()
    return (int(pid), since, int(age)) if ready == "true" else (int(pid), None, 0)


def unix_time(stamp: str) -> float:
    """A TAI64N label in seconds of Unix time; s6 knows the leap seconds it counted."""
    said = subprocess.run(
        ["s6-tai64nlocal", "-g"], input=f"{stamp}\n", capture_output=True, text=True, check=True
    )
    day, clock = said.stdout.split()
    whole, _, fraction = clock.partition(".")
    moment = datetime.strptime(f"{day} {whole}", "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return moment.timestamp() + float(f"0.{fraction}")


def recover(slot: Path) -> float:
    deadline = time.monotonic() + 60
    while (seen := look(slot))[1] is None or seen[2] < SETTLED:
        if time.monotonic() > deadline:
            sys.exit(f"{slot.name} is not ready")
        time.sleep(0.1)
    killed = time.time()
    os.kill(seen[0], signal.SIGKILL)
    while True:
        pid, ready, _ = look(slot)
        if pid != seen[0] and ready is not None:
            return unix_time(ready) - killed
        if time.monotonic() > deadline:
            sys.exit(f"{slot.name} did not come back")
        time.sleep(0.05)


print(json.dumps([recover(Path("/run/service", name)) for name in sys.argv[1:]]))
