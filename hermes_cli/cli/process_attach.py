"""`hermes process attach`: a process's terminal on this one, until it ends or the detach key is pressed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from .process_context import exit_code_of, how_it_is, id_argument, print_answer, verb

if TYPE_CHECKING:
    from hermes_cli.faces.terminal import DetachKeys
    from hermes_cli.processes.environments import Environment

DETACHED = 0


class _Keys(click.ParamType["DetachKeys"]):
    name = "keys"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> DetachKeys:
        from hermes_cli.faces.terminal import DetachKeys

        if isinstance(value, DetachKeys):
            return value
        try:
            return DetachKeys(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@id_argument
@click.option(
    "--detach-keys",
    "keys",
    type=_Keys(),
    default="ctrl-]",
    show_default=True,
    metavar="KEYS",
    help="What to press to leave the process to itself; several with commas: ctrl-p,ctrl-q.",
)
@verb
def attach(environment: Environment, as_json: bool, process_id: str, keys: DetachKeys) -> int:
    """Be at a process's terminal, until it ends or you press the detach key; then it goes on without you.

    A process without a terminal gets what you type line by line: ctrl-d closes its stdin, ctrl-c
    interrupts it.
    """
    import asyncio

    from hermes_cli.faces.attach import attach as be_at
    from hermes_cli.faces.attach import spec_of_running
    from hermes_cli.faces.terminal import Terminal

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("attach needs a terminal; in a script use 'write', 'submit' and 'log -f'")
    spec = spec_of_running(environment, process_id)
    if not as_json:
        click.echo(f"hermes: attached to {spec.id}; {keys.name} detaches", err=True)
    sys.stdout.flush()
    with Terminal(sys.stdin.fileno(), sys.stdout.fileno()) as terminal:
        left = asyncio.run(be_at(environment, spec, terminal, keys))
    found = left.polled
    if as_json:
        word = found.status if not left.signal and found.status != "running" else "detached"
        print_answer({"session_id": spec.id, "status": word, "exit_code": found.exit_code})
    elif found.status == "running":
        click.echo(f"hermes: detached from {spec.id}; it goes on", err=True)
    else:
        click.echo(f"hermes: {spec.id} {how_it_is(found.status, found.exit_code, found.reason)}", err=True)
    if left.signal:
        return 128 + left.signal
    return DETACHED if found.status == "running" else exit_code_of(found.status, found.exit_code)
