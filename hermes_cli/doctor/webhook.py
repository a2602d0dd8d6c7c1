"""Checks of the webhook: whether it can be used, and whether it takes what it is told."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

from hermes_cli.config import ConfigError
from hermes_cli.gateway.webhook_cursor import load_cursor
from hermes_cli.gateway.webhook_settings import Webhook, is_mentioned, webhook_of

from .model import Check, Result, Scene, problem

SHORTEST_SECRET = 16
"""Characters. A shorter key of a signature can be tried out."""

_TEST = "'hermes events --test-webhook' shows what it answers"


def webhook(scene: Scene) -> Iterator[Result]:
    try:
        found = webhook_of(scene.root)
    except ConfigError as error:
        yield problem("webhook", f"nobody is told of parkings: {error}", "edit the file", status="warning")
        return
    if found is None:
        return
    yield from _exposed(found)
    yield from _deliveries(scene, found)


def _exposed(found: Webhook) -> Iterator[Result]:
    parts = urlsplit(found.url)
    if parts.scheme == "http" and not _stays_here(parts.hostname or ""):
        yield problem(
            "webhook plain",
            f"the webhook at {found.place} is told over a line that others may read and change",
            "configure an https address",
            status="warning",
        )
    if found.secret is not None and len(found.secret) < SHORTEST_SECRET:
        yield problem(
            "webhook secret",
            f"the webhook's secret has {len(found.secret)} characters, and can be tried out",
            f"set HERMES_WEBHOOK_SECRET to {SHORTEST_SECRET} or more, there and here",
            status="warning",
        )


def _deliveries(scene: Scene, found: Webhook) -> Iterator[Result]:
    cursor = load_cursor(scene.root)
    if cursor is None:
        return
    if cursor.problem:
        last = "never" if cursor.delivered_at is None else _day(cursor.delivered_at)
        yield problem(
            "webhook deliveries",
            f"the webhook at {found.place} {cursor.problem}; "
            f"tried {cursor.attempts} times, last told: {last}",
            _TEST,
            status="warning",
        )
    if cursor.given_up:
        yield problem(
            "webhook given-up",
            f"{cursor.given_up} events were never told: "
            f"for a day, the webhook at {found.place} did not take them",
            f"{_TEST}; removing {scene.root / 'logs' / 'webhook.json'} begins anew",
            status="warning",
        )


def _stays_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


CHECKS = (
    Check("webhook", "the webhook takes what it is told", webhook, lambda scene: is_mentioned(scene.root)),
)
