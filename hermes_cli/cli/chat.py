"""`hermes chat`: says which piece is missing until runs exist."""

from __future__ import annotations

import click

from .context import Context, pass_context

EXIT_CONFIG = 78
"""EX_CONFIG of sysexits.h."""


@click.command()
@click.option("-q", "--query", metavar="TEXT", help="What to ask; one question, one answer.")
@pass_context
def chat(context: Context, query: str | None) -> int:
    """Ask the profile's agent."""
    context.existing_home()
    click.echo(
        f"hermes: no agent is configured for the profile {context.profile}: "
        "this version keeps gateways up but executes no runs yet",
        err=True,
    )
    return EXIT_CONFIG
