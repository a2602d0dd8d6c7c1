"""Whose a run is: `PID-START-BOOT` of a gateway, and whether that gateway lives."""

from __future__ import annotations

from hermes_cli.service_manager.process_identity import Process, boot_id


def holder_lives(holder: str) -> bool:
    """Whether the gateway of that name runs, in this container or on this machine."""
    process = _process(holder)
    return process is not None and process.alive()


def same_boot(holder: str | None) -> bool:
    """Whether the machine was not restarted since that gateway wrote: what it wrote to files is there."""
    process = _process(holder or "")
    return process is None or process.boot == boot_id()


def _process(holder: str) -> Process | None:
    pid, _, rest = holder.partition("-")
    start, _, boot = rest.partition("-")
    if not (pid.isdecimal() and start.isdecimal()):
        return None
    return Process(int(pid), int(start), boot)
