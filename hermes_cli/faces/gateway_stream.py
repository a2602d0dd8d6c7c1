"""A gateway's streams read on an event loop: one connection, no thread, gone with whoever reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

import h11

from hermes_cli.gateway.client import GatewayClient, GatewayUnreachableError, answer_error
from hermes_cli.gateway.resuming import SILENCE, Frame, frames

_CHUNK = 64 << 10
_LONGEST_EVENT = 8 << 20
"""Bytes of one event. The gateway has none as long."""
_LONGEST_REFUSAL = 64 << 10

CONNECT = 5.0
"""Seconds until the head of the answer is there."""


async def stream(
    gateway: GatewayClient, path: str, headers: Mapping[str, str] | None = None, *, connect: float = CONNECT
) -> AsyncGenerator[list[Frame], None]:
    """The events of GET `path` in batches, as they came; first an empty one: the connection stands.

    Raises `GatewayUnreachableError` and `GatewayAnswerError`; returns where the gateway ends the stream.
    """
    rest = b""
    asked = {"Accept": "text/event-stream", **(headers or {})}
    async with aclosing(body(gateway, path, asked, connect=connect)) as chunks:
        async for chunk in chunks:
            rest += chunk
            end = rest.rfind(b"\n\n") + 2
            if end == 1:
                if len(rest) > _LONGEST_EVENT:
                    raise GatewayUnreachableError(gateway.home, "one of its events has no end")
                whole: list[Frame] = []
            else:
                whole, rest = list(frames(rest[:end].splitlines())), rest[end:]
            if whole or not chunk:
                yield whole


async def body(
    gateway: GatewayClient,
    path: str,
    headers: Mapping[str, str] | None = None,
    *,
    connect: float = CONNECT,
    silence: float = SILENCE,
) -> AsyncGenerator[bytes, None]:
    """The body of GET `path` as it comes; first an empty piece, once the answer is known to be one.

    `silence`: seconds without a byte until the gateway counts as lost. Raises as `stream`.
    """
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(connect):
            at = gateway.endpoint()
            reader, writer = await (
                asyncio.open_connection(at.host, at.port)
                if at.path is None
                else asyncio.open_unix_connection(at.path)
            )
            peer = h11.Connection(h11.CLIENT)
            asked = [("Host", "localhost"), *at.headers.items(), *(headers or {}).items()]
            writer.write(peer.send(h11.Request(method="GET", target=path, headers=asked)) or b"")
            writer.write(peer.send(h11.EndOfMessage()) or b"")
            head = await _next(peer, reader)
            assert isinstance(head, h11.Response)
            if head.status_code != 200:
                raise answer_error(head.status_code, await _all(peer, reader))
        yield b""
        while True:
            async with asyncio.timeout(silence):
                event = await _next(peer, reader)
            if not isinstance(event, h11.Data):
                return
            yield bytes(event.data)
    except (OSError, h11.ProtocolError) as error:  # TimeoutError is an OSError
        raise GatewayUnreachableError(gateway.home, str(error) or type(error).__name__) from error
    finally:
        if writer is not None:
            writer.transport.abort()


async def _next(peer: h11.Connection, reader: asyncio.StreamReader) -> object:
    """The next event of the connection; raises where it was cut."""
    while True:
        event = peer.next_event()
        if event is h11.NEED_DATA:
            peer.receive_data(await reader.read(_CHUNK))
        elif not isinstance(event, h11.InformationalResponse):
            return event


async def _all(peer: h11.Connection, reader: asyncio.StreamReader) -> bytes:
    said = b""
    while len(said) < _LONGEST_REFUSAL and isinstance(event := await _next(peer, reader), h11.Data):
        said += event.data
    return said
