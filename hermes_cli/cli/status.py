"""`hermes status`: every service in one table, or one exit code."""

from __future__ import annotations

import click

from hermes_cli.status import ServiceReport, StatusReport, collect

from .context import Context, json_option, pass_context, print_json, print_table

WATCH_INTERVAL = 1.0
"""Seconds between two looks of --watch."""


@click.command()
@json_option
@click.option("--healthy", is_flag=True, help="Print only what is wrong; exit 1 if anything is.")
@click.option("--watch", is_flag=True, help="Show it again every second, until ^C.")
@click.option("--metrics", is_flag=True, help="Print it as metrics in Prometheus' text format.")
@pass_context
def status(context: Context, as_json: bool, healthy: bool, watch: bool, metrics: bool) -> int:
    """Show for every service what is wanted and what is.

    Healthy means: every gateway that is wanted up is ready, none of them is parked, and no other
    container holds the volume. A gateway that is still starting is not ready.
    """
    if context.chosen:
        context.existing_home()  # -p chooses nothing here, but a profile that is not there is a mistake
    if metrics:
        if as_json or healthy or watch:
            raise click.UsageError("--metrics is a form of its own; it goes with no other option")
        from hermes_cli.status.metrics import status_metrics

        click.echo(status_metrics(collect(configs=False)), nl=False)
        return 0
    if watch:
        if as_json or healthy:
            raise click.UsageError("--watch shows the table; it goes with neither --json nor --healthy")
        _watch()
    report = collect(configs=not healthy)
    if as_json:
        print_json({"healthy": report.healthy, "problems": report.problems} if healthy else report)
    elif healthy:
        for problem in report.problems:
            click.echo(_plain(problem))
    else:
        render(report)
    return 1 if healthy and not report.healthy else 0


def render(report: StatusReport) -> None:
    """Print `report` as a table, and below it whatever does not fit a column."""
    gateways = [service for service in report.services if service.kind == "gateway"]
    others = [service for service in report.services if service.kind != "gateway"]
    if report.volume_held:
        click.echo(f"The volume is held by {_plain(report.volume_held)}: no gateway is started here.\n")
    headers = ("GATEWAY", "WANTED", "ACTUAL", "PID", "UPTIME", "RESTARTS", "LAST EXIT", "URL")
    print_table(headers, [_row(service) for service in gateways])
    if others:
        click.echo()
        print_table(("SERVICE", *headers[1:]), [_row(service) for service in others])
    notes = [(service, note) for service in report.services for note in _notes(service)]
    if notes:
        click.echo()
    for service, note in notes:
        click.echo(f"{service.profile or service.service}: {_plain(note)}")


def duration(seconds: float | None) -> str:
    """`8s`, `3m 20s`, `5h 12m`, `9d 4h`; `-` for None."""
    from hermes_cli.faces.overview import duration as in_words

    return "-" if seconds is None else in_words(seconds)


def _row(service: ServiceReport) -> tuple[str, ...]:
    return (
        service.profile or service.service,
        service.wanted,
        service.actual,
        _cell(service.pid),
        duration(service.uptime_seconds),
        _cell(service.restarts),
        service.last_exit or "-",
        service.url or "-",
    )


def _notes(service: ServiceReport) -> list[str]:
    notes = []
    if service.parked_reason:
        notes.append(f"parked: {service.parked_reason}")
    if service.message:
        notes.append(service.message)
    if service.processes:
        plural = "process runs" if service.processes == 1 else "processes run"
        notes.append(f"{service.processes} background {plural}")
    return notes


def _cell(value: int | None) -> str:
    return "-" if value is None else str(value)


def _plain(text: str) -> str:
    from hermes_cli.faces.printable import plain

    return plain(text)


def _watch() -> None:
    """A full look each second is 10 ms of work; nothing to wait on covers files, processes and s6 alike."""
    import threading

    pause = threading.Event()
    while True:
        report = collect()
        click.clear()
        render(report)
        pause.wait(WATCH_INTERVAL)
