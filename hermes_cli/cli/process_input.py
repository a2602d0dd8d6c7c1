"""`hermes process write`, `submit` and `close`: what goes into a process's stdin."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from .exits import EXIT_FAILURE
from .process_context import id_argument, print_answer, verb

if TYPE_CHECKING:
    from hermes_cli.processes.environments import Environment
    from hermes_cli.processes.types import Wrote

_AT_ONCE = 256 << 10


@click.command()
@id_argument
@click.argument("text", required=False)
@verb
def write(environment: Environment, as_json: bool, process_id: str, text: str | None) -> int:
    """Write TEXT into a process's stdin as it is; without TEXT, all of this command's own stdin."""
    if text is not None:
        return _say(environment.write(process_id, text.encode("utf-8", "surrogateescape")), as_json)
    source = sys.stdin.fileno()
    found = None
    written = 0
    while data := os.read(source, _AT_ONCE):
        found = environment.write(process_id, data)
        written += found.bytes_written
        if found.status != "ok":
            break
    if found is None:
        found = environment.write(process_id, b"")
    from dataclasses import replace

    return _say(replace(found, bytes_written=written), as_json)


@click.command()
@id_argument
@click.argument("text", default="")
@verb
def submit(environment: Environment, as_json: bool, process_id: str, text: str) -> int:
    """Write TEXT into a process's stdin and press Enter. No TEXT is Enter alone."""
    return _say(environment.submit(process_id, text), as_json)


@click.command()
@id_argument
@verb
def close(environment: Environment, as_json: bool, process_id: str) -> None:
    """Close a process's stdin, so that it reads the end of its input."""
    found = environment.close(process_id)
    if as_json:
        print_answer(found)
    else:
        already = " already" if found.status == "already_closed" else ""
        click.echo(f"The stdin of {found.session_id} is closed{already}.")


def _say(found: Wrote, as_json: bool) -> int:
    if as_json:
        print_answer(found)
    elif found.status == "ok":
        click.echo(f"{found.bytes_written} bytes have been written to {found.session_id}.")
    else:
        click.echo(
            f"hermes: {found.session_id} does not read: only {found.bytes_written} bytes went in", err=True
        )
    return 0 if found.status == "ok" else EXIT_FAILURE
