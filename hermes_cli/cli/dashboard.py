"""`hermes dashboard`: serve the web page."""

from __future__ import annotations

import click

from .context import Context, pass_context
from .exits import EXIT_CONFIG


@click.command()
@click.option("--host", metavar="ADDRESS", help="Listen there instead of on dashboard.host.")
@click.option("--port", type=click.IntRange(1, 65535), help="Listen there instead of on dashboard.port.")
@click.option("--root-path", metavar="PATH", help="The path a reverse proxy shows it under, like /hermes.")
@pass_context
def dashboard(context: Context, host: str | None, port: int | None, root_path: str | None) -> int:
    """Serve the pages that show and operate every profile.

    They listen on this machine only, unless HERMES_DASHBOARD_PASSWORD or HERMES_DASHBOARD_TOKEN is set; with
    HERMES_DASHBOARD_READ_PASSWORD or HERMES_DASHBOARD_READ_TOKEN one may look and change nothing.
    """
    from hermes_cli.dashboard.settings import RefusedError, load_settings

    try:
        settings = load_settings(context.root, host=host, port=port, root_path=root_path)
        from hermes_cli.dashboard.serve import serve

        return serve(settings)
    except RefusedError as error:
        click.echo(f"hermes: {error}", err=True)
        return EXIT_CONFIG
