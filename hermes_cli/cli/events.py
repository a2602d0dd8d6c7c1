"""`hermes events`: what supervision did, in plain words, and what it does."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from hermes_cli.service_manager.errors import InvalidNameError
from hermes_cli.service_manager.names import validate_profile_name

from .completion import complete_profile
from .context import Context, json_option, pass_context

if TYPE_CHECKING:
    from hermes_cli.gateway.supervision_log import SupervisionEvent

_RECENT = 20
"""Events shown before the new ones, where nothing says how many."""

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


class Since(click.ParamType[float]):
    """A stretch of time before now (`90s`, `10m`, `2h`, `7d`), or a time in ISO 8601."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds since the epoch."""
        import time
        from datetime import datetime

        text = str(value)
        number, unit = text[:-1], text[-1:]
        if unit in _UNITS and number.isascii() and number.isdecimal() and len(number) < 10:
            return time.time() - int(number) * _UNITS[unit]
        try:
            return datetime.fromisoformat(text).timestamp()
        except (ValueError, OverflowError, OSError):
            self.fail(
                f"{text!r} is neither a stretch of time such as 10m, 2h or 7d "
                "nor a time such as 2026-11-21T08:00",
                param,
                ctx,
            )


def _names(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(map(validate_profile_name, values))
    except InvalidNameError as error:
        raise click.BadParameter(str(error), ctx, param) from error


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with new events, until ^C.")
@click.option(
    "--profile",
    "profiles",
    multiple=True,
    metavar="NAME",
    callback=_names,
    shell_complete=complete_profile,
    help="Only this profile's. May be repeated.",
)
@click.option("--since", type=Since(), metavar="TIME", help="Only later ones: 10m, 2h, 7d, or a time.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0, 1_000_000),
    help=f"Only the last N of those on file. [default: all; with -f and no --since {_RECENT}]",
)
@click.option(
    "--test-webhook", is_flag=True, help="Send a test event to the webhook, and say what came of it."
)
@json_option
@pass_context
def events(
    context: Context,
    follow: bool,
    profiles: tuple[str, ...],
    since: float | None,
    lines: int | None,
    test_webhook: bool,
    as_json: bool,
) -> int:
    """Print what supervision did, oldest first: starts, crashes, parkings, registrations.

    With --json, one object a line, as in logs/supervision.jsonl. ^C ends it with 130.
    """
    if test_webhook:
        if follow or profiles or since is not None or lines is not None:
            raise click.UsageError("--test-webhook prints no events; it goes with --json alone")
        return _test_webhook(context, as_json)
    from hermes_cli.gateway.supervision_log import EventFollower, read_events

    wanted = {*profiles, *((context.profile,) if context.chosen else ())}
    limit = _RECENT if lines is None and follow and since is None else lines
    if not follow:
        found = list(read_events(context.root))
        _check(context, wanted, found)
        _print(_selected(found, wanted, since, limit), as_json)
        return 0
    with EventFollower(context.root) as follower:
        found = follower.past()
        _check(context, wanted, found)
        _print(_selected(found, wanted, since, limit), as_json)
        _print((event for event in follower.coming() if not wanted or event.profile in wanted), as_json)
    return 0


def _check(context: Context, wanted: Iterable[str], found: list[SupervisionEvent]) -> None:
    """A profile that is not there, and never was, is a mistake; one that was deleted has its events still."""
    from hermes_cli.profiles import require_profile

    for name in set(wanted) - {event.profile for event in found}:
        require_profile(name, context.root)


def _selected(
    found: Iterable[SupervisionEvent], wanted: set[str], since: float | None, limit: int | None
) -> Iterable[SupervisionEvent]:
    return deque(
        (
            event
            for event in found
            if (not wanted or event.profile in wanted) and (since is None or _time(event) >= since)
        ),
        maxlen=limit,
    )


def _time(event: SupervisionEvent) -> float:
    """Seconds since the epoch; an event whose time cannot be read is from long ago."""
    from datetime import datetime

    try:
        return datetime.fromisoformat(event.ts).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _print(found: Iterable[SupervisionEvent], as_json: bool) -> None:
    import msgspec

    from hermes_cli.faces.printable import plain
    from hermes_cli.gateway.event_printer import words_of

    for event in found:
        if as_json:
            click.echo(msgspec.json.encode(event))
            continue
        members = msgspec.to_builtins(event).items()
        words = words_of({name: plain(value) if isinstance(value, str) else value for name, value in members})
        if words is not None:
            click.echo(words)


def _test_webhook(context: Context, as_json: bool) -> int:
    """0 where the endpoint takes the event, 1 where it does not. `ConfigError` where there is none."""
    import secrets
    import time

    from hermes_cli.config import ConfigError
    from hermes_cli.gateway.webhook_request import body_of, post
    from hermes_cli.gateway.webhook_settings import webhook_of
    from hermes_cli.home import Home

    from .context import print_json

    webhook = webhook_of(context.root)
    if webhook is None:
        message = "is not set: 'hermes config set notifications.webhook URL' says whom to tell"
        raise ConfigError(Home.of(root=context.root).config, message, key="notifications.webhook")
    identity = f"evt_{secrets.token_hex(12)}"
    event = {
        "ts": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "profile": context.profile,
        "event": "test",
        "detail": "sent by hermes events --test-webhook",
    }
    answer = post(webhook, identity, body_of(event, identity))
    if as_json:
        print_json({"id": identity, "endpoint": webhook.place, **answer._asdict()})
    else:
        click.echo(f"{webhook.place} {answer.words} ({answer.seconds:.2f} s)", err=not answer.taken)
    return 0 if answer.taken else 1
