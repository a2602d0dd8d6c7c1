"""The root of the command line: finds the command, imports nothing else, and words every failure."""

from __future__ import annotations

import os
import sys
from typing import Any, NamedTuple, NoReturn

import click

from hermes_cli.service_manager.errors import InvalidNameError, ServiceError
from hermes_cli.service_manager.names import DEFAULT_PROFILE, validate_profile_name

from .completion import complete_profile
from .context import Context
from .exits import EXIT_BUG, EXIT_CONFIG, EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_USAGE, epilog


class Lazy(NamedTuple):
    """A command that is imported when it is called. `summary` is its line in `hermes --help`."""

    target: str
    summary: str


COMMANDS = {
    "chat": Lazy("chat:chat", "Ask the profile's agent."),
    "completion": Lazy("completion:completion", "Print the completion script for a shell."),
    "config": Lazy("config:config", "Read, change and check a profile's config.yaml."),
    "dashboard": Lazy("dashboard:dashboard", "Serve the web page that shows every gateway."),
    "doctor": Lazy("doctor:doctor", "Find what is wrong with this installation, and mend it."),
    "down": Lazy("container:down", "Stop the Hermes container on this host; its volume stays."),
    "events": Lazy("events:events", "Show what supervision did: starts, crashes, parkings."),
    "gateway": Lazy("gateway:gateway", "Start, stop, follow and list gateways."),
    "logs": Lazy("logs:logs", "Print the logs of all gateways as one, and follow them."),
    "main": Lazy("watch:main", "Print a summary, then each supervision event in plain words."),
    "process": Lazy("process:process", "Start, follow and end background processes."),
    "profile": Lazy("profile:profile", "Create, delete, list, show and rename profiles."),
    "run": Lazy("run:run", "Start, follow and end runs of the profile's agent."),
    "session": Lazy("session:session", "List, show and delete conversations."),
    "setup": Lazy("setup:setup", "Set Hermes up and start a gateway: the first thing to do."),
    "status": Lazy("status:status", "Show what every service is meant to do and does."),
    "up": Lazy("container:up", "Start the Hermes container on this host."),
    "upgrade": Lazy("container:upgrade", "Replace the Hermes container by a newer image; its volume stays."),
}
"""Subcommand → module below hermes_cli.cli and the click command in it."""


class LazyGroup(click.Group):
    """A group whose members are imported only when called: help and dispatch cost no import."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*COMMANDS, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        lazy = COMMANDS.get(cmd_name)
        if lazy is None:
            return super().get_command(ctx, cmd_name)
        from importlib import import_module

        module, _, attribute = lazy.target.partition(":")
        command = getattr(import_module(f"{__package__}.{module}"), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(name, COMMANDS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "; 'hermes --help' lists the commands"
            ctx.fail(f"there is no command {name!r}{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.summary) for name, lazy in sorted(COMMANDS.items())])


def _profile_name(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        return validate_profile_name(value)
    except InvalidNameError as error:
        raise click.BadParameter(str(error), ctx, param) from error


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        from hermes_cli import __version__

        click.echo(f"hermes {__version__}")
        ctx.exit()


def _print_commands(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        click.echo("\n".join(sorted(COMMANDS)))
        ctx.exit()


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    epilog=epilog(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "-p",
    "--profile",
    metavar="NAME",
    callback=_profile_name,
    shell_complete=complete_profile,
    help="The profile to act on.",
)
@click.option("--tui", is_flag=True, help="Open the text interface (also: no arguments on a terminal).")
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version.",
)
@click.option(
    "--commands", is_flag=True, is_eager=True, expose_value=False, hidden=True, callback=_print_commands
)
@click.pass_context
def cli(ctx: click.Context, profile: str | None, tui: bool) -> None:
    """Hermes keeps agent gateways alive: one supervised gateway per profile."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        ctx.color = False  # no-color.org; click itself leaves colours out where stdout is no terminal
    ctx.obj = Context(profile=profile or DEFAULT_PROFILE, chosen=profile is not None)
    if ctx.invoked_subcommand is not None:
        if tui:
            ctx.fail(f"--tui opens the text interface and takes no command (got {ctx.invoked_subcommand!r})")
        return
    if tui or (sys.stdin.isatty() and sys.stdout.isatty()):
        from hermes_cli.tui.app import run

        ctx.exit(run(profile))
    click.echo(ctx.get_help(), err=True)
    ctx.exit(EXIT_USAGE)


def main() -> NoReturn:
    """Run the command line and exit. What a user can cause is a sentence on stderr, never a traceback."""
    sys.exit(run())


def run(args: list[str] | None = None) -> int:
    """Run the command line with `args` (default: the process's) and return the exit code."""
    try:
        result: Any = cli.main(args=args, prog_name="hermes", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except click.Abort as error:
        # click raises it from a prompt `from None`, and elsewhere from its cause.
        if isinstance(error.__context__, KeyboardInterrupt):
            return EXIT_INTERRUPTED
        click.echo("hermes: aborted, nothing was changed", err=True)
        return EXIT_FAILURE
    except BrokenPipeError:
        _silence_stdout()
        return EXIT_FAILURE
    except Exception as error:
        return _report(error)
    return result if isinstance(result, int) else 0


def _report(error: Exception) -> int:
    """Say `error` in one sentence and return the exit code it deserves."""
    if os.environ.get("HERMES_DEBUG") == "1":
        import traceback

        traceback.print_exception(error)
    from hermes_cli.config import ConfigError
    from hermes_cli.home import HomeError
    from hermes_cli.processes.errors import ProcessError
    from hermes_cli.profiles import ProfileError

    if isinstance(error, ConfigError):
        message, code = str(error), EXIT_CONFIG
    elif isinstance(error, (ServiceError, HomeError, ProfileError, ProcessError)):
        message, code = str(error), EXIT_FAILURE
    elif isinstance(error, OSError):
        where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, (str, bytes)) else ""
        message, code = f"{where}{error.strerror or error}", EXIT_FAILURE
    else:
        message = f"this is a bug ({type(error).__name__}: {error}); HERMES_DEBUG=1 shows where it happened"
        code = EXIT_BUG
    click.echo(f"hermes: {message}", err=True)
    return code


def _silence_stdout() -> None:
    """Give the interpreter's flush at exit somewhere to write (docs.python.org, signal: Note on SIGPIPE)."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


if __name__ == "__main__":
    main()
