"""`hermes config`: get, set, path, check."""

from __future__ import annotations

import click

from hermes_cli.config import KEYS, ConfigError, Inspection, inspect_config

from .context import Context, json_option, pass_context, print_json, print_table
from .exits import EXIT_CONFIG


def _complete_key(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    return [key for key in KEYS if key.startswith(incomplete)]


@click.group()
def config() -> None:
    """Read, change and check the configuration of a profile (choose it with -p)."""


@config.command()
@click.argument("key", required=False, shell_complete=_complete_key)
@json_option
@pass_context
def get(context: Context, key: str | None, as_json: bool) -> None:
    """Print the value of KEY that is in force, or all of them with where they come from."""
    home = context.existing_home()
    if key is not None:
        _known(key)
    found = inspect_config(home)
    if found.errors:
        raise found.errors[0]
    _warn(found)
    if key is not None:
        if as_json:
            print_json(found.values[key])
        else:
            click.echo(found.values[key])
    elif as_json:
        print_json({name: {"value": found.values[name], "source": found.sources[name]} for name in KEYS})
    else:
        rows = [(name, str(found.values[name]), found.sources[name]) for name in KEYS]
        print_table(("KEY", "VALUE", "FROM"), rows)


@config.command("set")
@click.argument("key", shell_complete=_complete_key)
@click.argument("value")
@json_option
@pass_context
def set_command(context: Context, key: str, value: str, as_json: bool) -> None:
    """Set KEY to VALUE in config.yaml. Comments stay; nothing invalid is written."""
    from hermes_cli.config.editing import parse_value, set_value
    from hermes_cli.profiles import check_port
    from hermes_cli.profiles.lock import profiles_lock

    _known(key)
    home = context.existing_home()
    parsed = parse_value(key, value, home.config)
    with profiles_lock(context.root):
        if key == "gateway.port" and isinstance(parsed, int):
            check_port(home.profile, parsed, context.root)
        set_value(home, key, parsed)
    if as_json:
        print_json({"key": key, "value": parsed, "path": str(home.config)})
    else:
        click.echo(f"{key} is {parsed} now in {home.config}; a running gateway reads it when it restarts.")


@config.command()
@json_option
@pass_context
def path(context: Context, as_json: bool) -> None:
    """Print where the profile's config.yaml is."""
    where = context.existing_home().config
    if as_json:
        print_json({"path": where})
    else:
        click.echo(where)


@config.command()
@json_option
@pass_context
def check(context: Context, as_json: bool) -> None:
    """Say everything that is wrong or odd in config.yaml and .env. Exit code 78 if something is wrong."""
    from hermes_cli.faces.config_file import check_file

    home = context.existing_home()
    found = check_file(home)
    errors = [str(error) for error in found.errors]
    warnings = found.warnings
    if as_json:
        print_json(
            {
                "path": str(home.config),
                "errors": [_as_json(error) for error in found.errors],
                "warnings": warnings,
            }
        )
    else:
        for message in errors:
            click.echo(f"error: {message}")
        for message in warnings:
            click.echo(f"warning: {message}")
        if not errors:
            click.echo(f"{home.config} is fine." if not warnings else f"{home.config} can be used.")
    if errors:
        raise click.exceptions.Exit(EXIT_CONFIG)


def _known(key: str) -> None:
    from hermes_cli.config.editing import UnknownKeyError, known_key

    try:
        known_key(key)
    except UnknownKeyError as error:
        raise click.UsageError(str(error)) from error


def _warn(found: Inspection) -> None:
    for warning in found.warnings:
        click.echo(f"hermes: warning: {warning}", err=True)


def _as_json(error: ConfigError) -> dict[str, object]:
    return {
        "path": str(error.path),
        "line": error.line,
        "column": error.column,
        "key": error.key,
        "expected": error.expected,
        "message": error.message,
    }
