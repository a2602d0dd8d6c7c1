"""`hermes up`, `down`, `upgrade`: the Hermes container on a host with Docker."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from hermes_cli.host.health import DEADLINE
from hermes_cli.host.settings import DEFAULT_ADDRESS, DEFAULT_NAME, DEFAULT_PORTS, DEFAULT_VOLUME

from .context import json_option, print_json
from .progress import waiting

CommandT = TypeVar("CommandT", bound=Callable[..., Any])
Note = Callable[[str], None]


def _name_option(command: CommandT) -> CommandT:
    return click.option(
        "--name", default=DEFAULT_NAME, show_default=True, metavar="NAME", help="The container's name."
    )(command)


def _deadline_option(command: CommandT) -> CommandT:
    return click.option(
        "--timeout",
        type=click.FloatRange(min=1),
        default=DEADLINE,
        show_default=True,
        metavar="SECONDS",
        help="How long it may take to get healthy.",
    )(command)


@click.command()
@_name_option
@click.option("--image", metavar="IMAGE", help="[default: hermes:dev, which 'make image' builds]")
@click.option(
    "--ports",
    metavar="PORTS",
    help=f"Published, the same inside and out. [default: {DEFAULT_PORTS}, for gateways and dashboard]",
)
@click.option("--address", metavar="IP", help=f"Where they are published. [default: {DEFAULT_ADDRESS}]")
@click.option("--volume", metavar="NAME|DIR", help=f"Where the data is. [default: {DEFAULT_VOLUME}]")
@click.option("--env", "-e", "variables", multiple=True, metavar="NAME[=VALUE]", help="May be repeated.")
@click.option("--recreate", is_flag=True, help="Make the container anew, on the same volume.")
@_deadline_option
@json_option
def up(
    name: str,
    image: str | None,
    ports: str | None,
    address: str | None,
    volume: str | None,
    variables: tuple[str, ...],
    recreate: bool,
    timeout: float,
    as_json: bool,
) -> int:
    """Start the Hermes container on this host and wait until it is healthy.

    What is not named stays as it is in a container that exists.
    """
    from hermes_cli.host.engine import Engine
    from hermes_cli.host.operations import up as bring_up
    from hermes_cli.host.settings import Request, parse_ports, valid_volume

    request = Request(
        image=image,
        volume=None if volume is None else valid_volume(volume),
        ports=None if ports is None else parse_ports(ports),
        address=address,
        environment=dict(_variable(variable) for variable in variables),
    )
    return _run(
        lambda note: bring_up(
            Engine.connect(), request, note, name=name, recreate=recreate, deadline=timeout
        ),
        as_json,
        _say_up,
    )


@click.command()
@_name_option
@click.option("--volume", is_flag=True, help="Remove the volume with all profiles as well.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def down(name: str, volume: bool, yes: bool, as_json: bool) -> int:
    """Stop and remove the Hermes container; its volume stays."""
    from hermes_cli.host.engine import Engine
    from hermes_cli.host.operations import down as bring_down

    if volume and not yes:
        if not sys.stdin.isatty():
            raise click.UsageError(
                f"this removes the volume of {name} with every profile in it; confirm it with --yes"
            )
        click.confirm(f"Remove the volume of {name} with every profile in it?", abort=True, err=True)
    return _run(lambda note: bring_down(Engine.connect(), note, name=name, volume=volume), as_json, _say_down)


@click.command()
@_name_option
@click.option("--image", metavar="IMAGE", help="Another image than the container's.")
@_deadline_option
@json_option
def upgrade(name: str, image: str | None, timeout: float, as_json: bool) -> int:
    """Replace the Hermes container by a newer image, with the same settings, on the same volume.

    If the new one does not get healthy, the old one comes back.
    """
    from hermes_cli.host.engine import Engine
    from hermes_cli.host.operations import upgrade as replace

    return _run(
        lambda note: replace(Engine.connect(), note, name=name, image=image, deadline=timeout),
        as_json,
        _say_up,
    )


def _run(work: Callable[[Note], Any], as_json: bool, say: Callable[[Any], None]) -> int:
    """Do `work`, which is given where to say its steps: each stays on stderr, and the last is waited for."""
    from hermes_cli.host.errors import NotHealthyError

    try:
        with waiting("looking at the container", quiet=as_json) as progress:

            def note(step: str) -> None:
                progress.note(f"hermes: {_plain(step)}")
                progress.say(_plain(step))

            result = work(note)
    except NotHealthyError as error:
        if error.log:
            click.echo("The last it printed:", err=True)
        for line in error.log:
            click.echo(f"  {_plain(line)}", err=True)
        raise
    if as_json:
        print_json(result)
    else:
        say(result)
    return 0


def _say_up(result: Any) -> None:
    from hermes_cli.host.settings import format_ports

    words = {
        "created": f"The container {result.name} is up and healthy.",
        "started": f"The container {result.name} was stopped; it is up and healthy again.",
        "running": f"The container {result.name} runs already with these settings and is healthy.",
        "recreated": f"The container {result.name} was made anew and is healthy.",
        "upgraded": f"The container {result.name} runs the new image and is healthy.",
        "current": f"The container {result.name} has the newest image already and is healthy.",
    }
    click.echo(words[result.outcome])
    click.echo(f"  image {result.image}, volume {result.volume}")
    click.echo(f"  ports {format_ports(tuple(result.ports))} on {result.address}")
    for service, url in result.urls.items():
        click.echo(f"  {service}  {url}")
    if result.newer_image:
        click.echo(f"{result.image} is a newer image now: 'hermes upgrade' changes to it.")
    command = f"docker exec {result.name} hermes"
    click.echo(f"Next: '{command} profile create NAME', '{command} gateway start', '{command} status'")


def _say_down(result: Any) -> None:
    if not result.removed:
        click.echo(f"There is no container {result.name}.")
        return
    volume = f", its volume {result.volume} stays" if result.volume else ""
    if result.volume_removed:
        volume = f", and so is its volume {result.volume}"
    click.echo(f"The container {result.name} is removed{volume}.")


def _variable(text: str) -> tuple[str, str]:
    """`NAME=VALUE`, or `NAME` for the caller's own value, as docker run takes it."""
    import os

    name, equals, value = text.partition("=")
    if not name or (not equals and name not in os.environ):
        raise click.BadParameter(f"{text!r} is neither NAME=VALUE nor the name of a variable set here")
    return name, value if equals else os.environ[name]


def _plain(text: str) -> str:
    from hermes_cli.faces.printable import plain

    return plain(text)
