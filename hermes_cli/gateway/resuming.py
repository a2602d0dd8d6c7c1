"""A gateway's event streams read by a client that goes on where the gateway is restarted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

from .client import GatewayAnswerError, GatewayClient, GatewayUnreachableError

SILENCE = 45.0
"""Seconds without a byte of a stream, three heartbeats, until it counts as lost."""
PATIENCE = 60.0
"""Seconds a gateway that has gone may take to come back."""
RESTARTING = frozenset({"draining", "overloaded", "lease_held"})
"""Codes of a gateway that will be there in a moment, or another in its place."""

_LOOK_AGAIN = 0.5

ItemT = TypeVar("ItemT")


class EndedError(Exception):
    """The stream has told that there is nothing more."""


class Frame(NamedTuple):
    """One server-sent event."""

    kind: str
    """Empty where it has no name."""
    data: bytes
    identity: str


def frames(lines: Iterable[bytes]) -> Iterator[Frame]:
    """The events that `lines` hold, as each is whole. The gateway's have one line of data each."""
    kind, data, identity = b"", b"", b""
    for line in lines:
        field, _, value = line.rstrip(b"\r\n").partition(b": ")
        if field == b"event":
            kind = value
        elif field == b"data":
            data = value
        elif field == b"id":
            identity = value
        elif not field and not value:
            if data:
                yield Frame(kind.decode(), data, identity.decode())
            kind, data, identity = b"", b"", b""


def resumed(
    gateway: GatewayClient, connected: Callable[[], Iterator[ItemT | None]], patience: float = PATIENCE
) -> Iterator[ItemT]:
    """The items of `connected()`, called again for each connection that is needed.

    It yields None once its connection stands, begins behind what it last gave out, returns when the gateway
    drains, and raises `EndedError` at the end. Raises `GatewayUnreachableError` where no gateway comes back
    within `patience` seconds, at once where there was none from the beginning; `GatewayAnswerError` where it
    refuses.
    """
    begun = False
    lost_at: float | None = None
    while True:
        try:
            for item in connected():
                lost_at = None
                if item is not None:
                    begun = True
                    yield item
            lost_at = lost_at or time.monotonic()  # it drained
        except EndedError:
            return
        except (GatewayUnreachableError, GatewayAnswerError) as error:
            if isinstance(error, GatewayAnswerError) and error.code not in RESTARTING:
                raise
            if not begun and lost_at is None and isinstance(error, GatewayUnreachableError):
                gateway.healthz()  # none there from the beginning is no interruption
            lost_at = lost_at or time.monotonic()
            if time.monotonic() - lost_at > patience:
                raise
        wait_for_gateway(gateway, lost_at + patience)


def wait_for_gateway(gateway: GatewayClient, deadline: float) -> None:
    """Return when one takes work, or past `deadline` by the monotonic clock."""
    from hermes_cli.service_manager.watch import REPLACED, Watch

    with Watch(gateway.home.state, REPLACED) as watch:
        while time.monotonic() < deadline:
            watch.arm()
            try:
                if gateway.readyz():
                    return
            except GatewayUnreachableError:
                pass
            # A gateway that is ready writes so there.
            watch.wait(min(_LOOK_AGAIN, max(0.0, deadline - time.monotonic())))
