"""`hermes gateway logs`: the end of one log or of all, and what comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .context import Context, all_homes, json_option, pass_context

if TYPE_CHECKING:
    from collections.abc import Iterator

all_option = click.option("--all", "every", is_flag=True, help="The gateways of all profiles.")


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines, until ^C.")
@click.option("-n", "--lines", type=click.IntRange(0, 1_000_000), default=100, show_default=True)
@all_option
@json_option
@pass_context
def logs(context: Context, follow: bool, lines: int, every: bool, as_json: bool) -> None:
    """Print the end of the gateway's log. With --json, one object a line: profile and line."""
    from hermes_cli.gateway.levels import manager_here
    from hermes_cli.gateway.service import telling_how_to_install
    from hermes_cli.service_manager import ServiceError
    from hermes_cli.service_manager.names import service_name

    manager = manager_here()
    if not every:
        home = context.existing_home()
        with telling_how_to_install(manager, home.profile):
            found = manager.logs(service_name(home.profile), lines=lines, follow=follow)
        for line in found:
            _say_line(home.profile, line, as_json)
        return
    streams = {}
    for home in all_homes(context):
        try:
            streams[home.profile] = manager.logs(service_name(home.profile), lines=lines, follow=follow)
        except ServiceError as error:
            click.echo(f"hermes: warning: {error}", err=True)
    width = max(map(len, streams), default=0)
    for name, line in _together(streams) if follow else _in_turn(streams):
        _say_line(name, line, as_json, f"{name:<{width}} | ")


def _say_line(profile: str, line: str, as_json: bool, prefix: str = "") -> None:
    if not as_json:
        click.echo(f"{prefix}{_plain(line)}")
        return
    import json

    click.echo(json.dumps({"profile": profile, "line": line}))


def _in_turn(streams: dict[str, Iterator[str]]) -> Iterator[tuple[str, str]]:
    for name, lines in streams.items():
        for line in lines:
            yield name, line


def _together(streams: dict[str, Iterator[str]]) -> Iterator[tuple[str, str]]:
    """The lines of all streams as they come."""
    import queue
    import threading

    arrived: queue.Queue[tuple[str, str]] = queue.Queue(maxsize=1000)

    def read(name: str, lines: Iterator[str]) -> None:
        try:
            for line in lines:
                arrived.put((name, line))
        except OSError as error:
            arrived.put((name, f"(the log cannot be read any further: {error})"))

    for name, lines in streams.items():
        threading.Thread(target=read, args=(name, lines), daemon=True).start()
    while True:
        yield arrived.get()


def _plain(text: str) -> str:
    from hermes_cli.faces.printable import plain

    return plain(text)
