"""`hermes process start`."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any

import click

from .process_context import plain_line, print_answer, verb

if TYPE_CHECKING:
    from hermes_cli.processes.environments import Environment

_SIZE = re.compile(r"(\d{1,12})\s*([kmg]?)(?:i?b)?", re.IGNORECASE)
_SHIFT = {"": 0, "k": 10, "m": 20, "g": 30}


class _Size(click.ParamType[int]):
    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = _SIZE.fullmatch(str(value).strip())
        if match is None:
            self.fail(f"{value!r} is no size; give bytes, or 512k, 16M, 1G", param, ctx)
        return int(match[1]) << _SHIFT[match[2].lower()]


class _Setting(click.ParamType[tuple[str, str]]):
    name = "setting"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        name, equals, content = str(value).partition("=")
        if not name or "\0" in value:
            self.fail(f"{value!r} names no variable; give NAME=VALUE", param, ctx)
        if not equals:
            if name not in os.environ:
                self.fail(f"{name} is not set here; give {name}=VALUE", param, ctx)
            content = os.environ[name]
        return name, content


class _Start(click.Command):
    """Everything behind `--` is a program and its arguments, whatever it looks like."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            ctx.meta["argv"] = tuple(args[at + 1 :])
            args = args[:at]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return ["[OPTIONS]", "{LINE | -- PROGRAM [ARGUMENT]...}"]


@click.command(cls=_Start)
@click.argument("line", required=False, nargs=-1)
@click.option("--cwd", metavar="DIRECTORY", help="Where it runs; here, if not said. In a sandbox its own.")
@click.option("--pty", is_flag=True, help="Give it a terminal of its own.")
@click.option(
    "--env", "settings", multiple=True, type=_Setting(), metavar="NAME[=VALUE]", help="Set a variable for it."
)
@click.option(
    "--pass", "passed", multiple=True, metavar="NAME", help="Pass a variable on although it is a secret."
)
@click.option("--notify", is_flag=True, help="Tell its owner when it ends.")
@click.option(
    "--watch", "patterns", multiple=True, metavar="PATTERN", help="Tell its owner of lines with this; re:…"
)
@click.option("--session", "session_key", metavar="KEY", help="The session that owns it.")
@click.option("--task", "task_id", metavar="ID", help="The task that owns it.")
@click.option(
    "--cap", type=_Size(), metavar="SIZE", help="Disk for its output, the middle goes first. [default: 16M]"
)
@click.option(
    "--no-stdin", is_flag=True, help="Give it no stdin; otherwise it is open, for write and submit."
)
@click.option("--wait", "follow", is_flag=True, help="Show its output and wait for its end; ^C leaves it be.")
@verb
def start(
    environment: Environment,
    as_json: bool,
    line: tuple[str, ...],
    cwd: str | None,
    pty: bool,
    settings: tuple[tuple[str, str], ...],
    passed: tuple[str, ...],
    notify: bool,
    patterns: tuple[str, ...],
    session_key: str | None,
    task_id: str | None,
    cap: int | None,
    no_stdin: bool,
    follow: bool,
) -> int:
    """Start a command in the background: one LINE for the shell, or a program behind `--`.

    \b
    hermes process start 'make test 2>&1 | tee log'
    hermes process start --pty --watch 'listening on' -- npm run dev
    """
    from hermes_cli.processes.types import DEFAULT_CAP, Owner, StartRequest

    argv = click.get_current_context().meta.get("argv")
    if (argv is None) == (not line):
        raise click.UsageError("give one line for the shell, or a program and its arguments behind --")
    if len(line) > 1:
        raise click.UsageError(f"put -- before the program, or quote the line: {' '.join(line)!r}")
    columns, rows = _terminal_size()
    started = environment.start(
        StartRequest(
            command=line[0] if line else None,
            argv=argv,
            cwd=_directory(cwd) if environment.kind == "local" else cwd,
            environment=dict(settings),
            passthrough=passed,
            pty=pty,
            rows=rows,
            columns=columns,
            stdin="null" if no_stdin else "open",
            cap_bytes=DEFAULT_CAP if cap is None else cap,
            owner=Owner(session_key=session_key, task_id=task_id),
            notify_on_complete=notify,
            watch_patterns=patterns,
        )
    )
    for warning in started.warnings:
        click.echo(f"hermes: warning: {plain_line(warning)}", err=True)
    if follow:
        from .process_log import follow_to_the_end

        return follow_to_the_end(environment, started.session_id, 0, as_json=as_json, started=True)
    if as_json:
        print_answer(started)
    else:
        click.echo(f"{started.session_id} runs as pid {started.pid}.")
    return 0


def _directory(given: str | None) -> str | None:
    """Absolute. None, for the profile's home, where this command's own directory is gone."""
    try:
        return os.path.abspath(given or ".")  # noqa: PTH100 - links are the command's own to see
    except FileNotFoundError:
        return None


def _terminal_size() -> tuple[int, int]:
    """Columns and rows of the terminal this was typed at, else 80 and 24."""
    for stream in (sys.stdout, sys.stderr, sys.stdin):
        try:
            columns, rows = os.get_terminal_size(stream.fileno())
        except (OSError, ValueError, AttributeError):
            continue
        if columns and rows:
            return columns, rows
    return 80, 24
