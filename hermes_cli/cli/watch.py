"""`hermes main`: the container's default process prints a summary, then becomes the printer of events."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

import click

from hermes_cli import __version__
from hermes_cli.gateway import event_printer
from hermes_cli.home import root_home
from hermes_cli.status import ServiceReport, StatusReport, collect


@click.command()
def main() -> None:
    """Print a summary, then each supervision event in plain words, until told to end."""
    log = root_home() / "logs" / "supervision.jsonl"
    # The place in the log comes first: what happens while the summary is made is printed after it.
    inode, offset = _end_of(log)
    for line in _summary_or_why_not():
        click.echo(line)
    sys.stdout.flush()
    _announce_ready()
    become_printer(log, inode, offset)


def _summary_or_why_not() -> list[str]:
    """The container lives as long as this process does: a summary that fails must not end it."""
    try:
        return summary(collect())
    except Exception as error:
        return [f"Hermes {__version__}: no summary could be made ({type(error).__name__}: {error})"]


def summary(report: StatusReport) -> list[str]:
    """What runs here, where it is reached, and what to type next."""
    from hermes_cli.faces.printable import plain

    flavour = f", {report.flavour} flavour" if report.flavour else ""
    lines = [f"Hermes {__version__}{flavour}, home {report.home}"]
    gateways = [service for service in report.services if service.kind == "gateway"]
    width = max(len(service.profile or "") for service in gateways)
    lines += [f"  {(service.profile or '').ljust(width)}  {_line(service)}" for service in gateways]
    dashboards = [service for service in report.services if service.kind == "dashboard"]
    lines += [f"Dashboard: {_dashboard(service)}" for service in dashboards]
    if report.volume_held:
        lines.append(
            f"The volume is held by {report.volume_held}: no gateway is started here. "
            "Stop that container, then restart this one."
        )
    if report.supervisor == "none":
        lines.append(_unsupervised(in_image=report.flavour is not None))
    lines.append(f"Next: {_next_step(report, gateways)}")
    return [plain(line) for line in lines]


def become_printer(log: Path, inode: int, offset: int) -> None:
    """Replace this process by the small one. A signal in between is kept, not lost: exec keeps the mask."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
    arguments = [sys.executable, "-I", "-S", event_printer.__file__, str(log), str(inode), str(offset)]
    os.execv(sys.executable, arguments)


def _announce_ready() -> None:
    """Tell the supervisor; the descriptor is not for the printer."""
    number = os.environ.get("HERMES_NOTIFY_FD", "")
    if number.isdecimal() and int(number) > 2:
        with contextlib.suppress(OSError):
            os.write(int(number), b"\n")
            os.close(int(number))


def _end_of(log: Path) -> tuple[int, int]:
    try:
        found = log.stat(follow_symlinks=False)
    except OSError:
        return 0, 0
    return found.st_ino, found.st_size


def _line(service: ServiceReport) -> str:
    words: str = service.actual
    if service.parked_reason and service.actual == "parked":
        words += f": {service.parked_reason}"
    elif service.wanted == "up" and service.url:
        words += f"  {service.url}"
    return f"{words}  ({service.message})" if service.message else words


def _dashboard(service: ServiceReport) -> str:
    if service.wanted == "down":
        return f"off ({service.message})" if service.message else "off"
    return f"{service.actual}  {service.url}" if service.url else service.actual


def _unsupervised(*, in_image: bool) -> str:
    if in_image:
        return (
            "Warning: nothing supervises gateways in this container, because its PID 1 is another; "
            "start it without --init and --pid=host."
        )
    return "Warning: no service manager here that Hermes can drive; nothing starts gateways again."


def _next_step(report: StatusReport, gateways: list[ServiceReport]) -> str:
    # Docker names the host after the container's id.
    command = f"docker exec {os.uname().nodename} hermes" if report.flavour else "hermes"
    parked = next((service for service in gateways if service.actual == "parked"), None)
    if parked is not None:
        one = command if parked.profile == "default" else f"{command} -p {parked.profile}"
        why = f"'{one} gateway logs' says why"
        return why if report.volume_held else f"{why}, '{one} gateway start' tries again"
    if report.supervisor == "none":
        return f"'{command} gateway run' runs the gateway in the foreground"
    if report.volume_held or any(service.wanted == "up" for service in gateways):
        return f"'{command} status' shows everything, '{command} doctor' finds what is wrong"
    return f"'{command} gateway start' starts the gateway, '{command} profile create NAME' makes another"
