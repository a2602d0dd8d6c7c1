"""`hermes process log`: pages of lines, or the output as it comes."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from .exits import EXIT_INTERRUPTED
from .process_context import (
    exit_code_of,
    how_it_is,
    id_argument,
    plain_text,
    print_answer,
    print_output,
    verb,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hermes_cli.processes.environments import Environment
    from hermes_cli.processes.lines import TimedLine
    from hermes_cli.processes.recorded import Recorded
    from hermes_cli.processes.spool import Record

_LOOK = 30.0
"""Seconds until another look where nothing was heard of."""


@click.command()
@id_argument
@click.option("--offset", type=click.IntRange(min=0), help="Begin with this line, counted from 0.")
@click.option("-n", "--limit", type=click.IntRange(1, 10_000), default=200, show_default=True, help="Lines.")
@click.option("-f", "--follow", is_flag=True, help="Go on until the process ends, or ^C.")
@click.option("-t", "--timestamps", is_flag=True, help="Begin each line with its time (UTC) and its stream.")
@click.option("--stream", type=click.Choice(["stdout", "stderr"]), help="That stream alone.")
@click.option(
    "--raw", is_flag=True, help="The bytes as they were written: nothing redacted, nothing stripped."
)
@verb
def log(
    environment: Environment,
    as_json: bool,
    process_id: str,
    offset: int | None,
    limit: int,
    follow: bool,
    timestamps: bool,
    stream: str | None,
    raw: bool,
) -> int | None:
    """Show lines of a process's output, the last ones if not said otherwise.

    With --json and -f, one object a line.
    """
    if raw and (as_json or timestamps or stream):
        raise click.UsageError("--raw shows bytes; it goes with neither --json nor --timestamps nor --stream")
    if follow and offset is not None:
        raise click.UsageError("-f begins with the last --limit lines; it goes without --offset")
    if stream and environment.spec(process_id).pty:
        raise click.UsageError("on a terminal there is one stream alone; leave --stream out")
    if raw:
        return _raw(environment, process_id, offset, limit, follow)
    if timestamps or stream:
        return _timed(environment, process_id, offset, limit, follow, stream, timestamps, as_json)
    if follow:
        begin = environment.beginning(process_id, limit).cursor
        return follow_to_the_end(environment, process_id, begin, as_json=as_json)
    page = environment.log(process_id, offset, limit)
    if as_json:
        print_answer(page)
    else:
        print_output(page.output + "\n" if page.output else "")
        if page.total_lines > limit or page.dropped_bytes:
            click.echo(f"hermes: {page.showing}", err=True)
    return None


def follow_to_the_end(
    environment: Environment, process_id: str, cursor: int, *, as_json: bool, started: bool = False
) -> int:
    """Show the output from byte `cursor` on until the process ends; ^C leaves it be.

    `started`: by this very command, which then exits with the code that the process ended with.
    """
    process_id = environment.find(process_id)
    ends_line = True
    try:
        while True:
            found = environment.poll(process_id, cursor)
            cursor = found.cursor
            if found.dropped_bytes and not as_json:
                click.echo(f"hermes: {found.dropped_bytes} bytes were dropped for the limit", err=True)
            if as_json and (found.output or found.dropped_bytes):
                _print_json_line(session_id=process_id, output=found.output, cursor=cursor)
            elif found.output:
                ends_line = found.output.endswith("\n")
                click.echo(plain_text(found.output), nl=False)
            if found.more:
                continue
            if found.status != "running" and not found.output:
                break
            if found.status == "running":
                environment.wait_for_output(process_id, max(found.end_of_output, cursor), _LOOK)
    except KeyboardInterrupt:
        if started:
            click.echo(f"hermes: {process_id} goes on; 'hermes process log -f {process_id}'", err=True)
        return EXIT_INTERRUPTED
    if as_json:
        _print_json_line(
            session_id=process_id,
            status=found.status,
            exit_code=found.exit_code,
            signal=found.signal,
            reason=found.reason,
            cursor=cursor,
        )
    else:
        if not ends_line:
            click.echo()
        state = how_it_is(found.status, found.exit_code, found.reason)
        if not started or state != "exited 0":
            click.echo(f"hermes: {process_id} {state}", err=True)
    return exit_code_of(found.status, found.exit_code) if started else 0


def _raw(environment: Environment, process_id: str, offset: int | None, limit: int, follow: bool) -> int:
    out = sys.stdout.buffer
    if not follow:
        out.write(b"".join(line + b"\n" for line in environment.raw_lines(process_id, offset, limit)))
        return 0
    try:
        for page in _pages(environment, process_id, environment.beginning(process_id, limit).cursor):
            out.write(page.data)
            out.flush()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return 0


def _pages(environment: Environment, process_id: str, cursor: int) -> Iterator[Recorded]:
    """What is written from byte `cursor` on, until the process ends."""
    while not (page := environment.recorded(process_id, cursor, _LOOK)).is_all:
        cursor = page.cursor
        yield page


def _timed(
    environment: Environment,
    process_id: str,
    offset: int | None,
    limit: int,
    follow: bool,
    stream: str | None,
    timestamps: bool,
    as_json: bool,
) -> int:
    from hermes_cli.processes.lines import STREAMS

    only = STREAMS[stream] if stream else None
    if not follow:
        lines, total = _timed_page(environment, process_id, only, offset, limit)
        if as_json:
            first = max(0, total - len(lines)) if offset is None else offset
            print_answer(
                {
                    "session_id": environment.find(process_id),
                    "status": environment.poll(process_id).status,
                    "lines": [_line_fields(line) for line in lines],
                    "total_lines": total,
                    "offset": first,
                }
            )
        for line in () if as_json else lines:
            _print_line(line, timestamps)
        return 0
    try:
        for line in _followed(environment, process_id, only, limit):
            if as_json:
                _print_json_line(**_line_fields(line))
            else:
                _print_line(line, timestamps)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return 0


def _timed_page(
    environment: Environment, process_id: str, only: int | None, offset: int | None, limit: int
) -> tuple[list[TimedLine], int]:
    """The wanted lines, and how many there are of this stream. What the limit dropped is not counted."""
    from collections import deque

    from hermes_cli.processes.lines import LineAssembler

    assembler = LineAssembler(environment.redactor(environment.spec(process_id)), only)
    last = None if offset is None else offset + limit
    found: deque[TimedLine] = deque(maxlen=limit if last is None else last)
    total = 0
    for records in _batches(environment, process_id):
        for line in assembler.feed(records) if records else assembler.finish():
            total += 1
            if last is None or total <= last:
                found.append(line)
    return list(found)[offset or 0 :], total


def _batches(environment: Environment, process_id: str) -> Iterator[Sequence[Record]]:
    """The records so far, then an empty list."""
    cursor, end = 0, None
    while end is None or cursor < end:
        page = environment.recorded(process_id, cursor)
        end = page.end_of_output if end is None else end
        if not page.records:
            break
        cursor = page.cursor
        yield page.records
    yield ()


def _followed(environment: Environment, process_id: str, only: int | None, limit: int) -> Iterator[TimedLine]:
    from hermes_cli.processes.lines import LineAssembler

    assembler = LineAssembler(environment.redactor(environment.spec(process_id)), only)
    for page in _pages(environment, process_id, environment.beginning(process_id, limit).cursor):
        yield from assembler.feed(page.records)
    yield from assembler.finish()


def _line_fields(line: TimedLine) -> dict[str, Any]:
    from hermes_cli.processes.lines import NAMES

    return {"time": line.time, "stream": NAMES.get(line.stream, "?"), "text": line.text}


def _print_line(line: TimedLine, timestamps: bool) -> None:
    from hermes_cli.processes.lines import NAMES

    head = ""
    if timestamps:
        whole, fraction = divmod(line.time, 1)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
        head = f"{stamp}.{int(fraction * 1000):03}Z {NAMES.get(line.stream, '?'):<8} "
    for part in plain_text(line.text).split("\n"):
        click.echo(head + part)


def _print_json_line(**fields: Any) -> None:
    import json

    from hermes_cli.processes.answers import answer

    click.echo(json.dumps(answer({key: value for key, value in fields.items() if value is not None})))
    sys.stdout.flush()
