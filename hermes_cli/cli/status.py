"""`hermes status`: every service in one table, or one exit code."""

from __future__ import annotations

import click
import msgspec

from hermes_cli.status import ServiceReport, StatusReport, collect

from .context import Context, json_option, pass_context, print_json, watch_options
from .table import screen_width


@click.command()
@json_option
@click.option("--healthy", is_flag=True, help="Print only what is wrong; exit 1 if anything is.")
@watch_options
@click.option("--metrics", is_flag=True, help="Print it as metrics in Prometheus' text format.")
@pass_context
def status(
    context: Context, as_json: bool, healthy: bool, watching: bool, interval: float, metrics: bool
) -> int:
    """Show for every service what is wanted and what is.

    Healthy means: every gateway that is wanted up is ready, none of them is parked, and no other
    container holds the volume. A gateway that is still starting is not ready.
    """
    if context.chosen:
        context.existing_home()  # -p chooses nothing here, but a profile that is not there is a mistake
    if metrics:
        if as_json or healthy or watching:
            raise click.UsageError("--metrics is a form of its own; it goes with no other option")
        from hermes_cli.status.metrics import status_metrics

        click.echo(status_metrics(collect(configs=False)), nl=False)
        return 0
    if watching:
        if healthy:
            raise click.UsageError("--watch shows the table; --healthy is an answer: choose one of them")
        from .live import watch

        return watch(collect, _lines, lasting_of_all, interval=interval, as_json=as_json)
    report = collect(configs=not healthy)
    if as_json:
        print_json({"healthy": report.healthy, "problems": report.problems} if healthy else report)
    elif healthy:
        from hermes_cli.faces.printable import plain

        for problem in report.problems:
            click.echo(plain(problem))
    else:
        click.echo("\n".join(_lines(report, screen_width())))
    return 1 if healthy and not report.healthy else 0


def lasting_of_all(report: StatusReport) -> StatusReport:
    """`report` without the figures that change by themselves."""
    return msgspec.structs.replace(report, services=[lasting(service) for service in report.services])


def lasting(service: ServiceReport) -> ServiceReport:
    """`service` without the figures that change by themselves."""
    return msgspec.structs.replace(service, uptime_seconds=None, memory_bytes=None, cpu_seconds=None)


def _lines(report: StatusReport, width: int | None) -> list[str]:
    from .services import status_lines

    return status_lines(report, width)
