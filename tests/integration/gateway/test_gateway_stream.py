"""A gateway's streams on an event loop: whole, in batches, and let go of at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import msgspec
import pytest

from hermes_cli.faces.gateway_stream import body, stream
from hermes_cli.gateway.client import GatewayAnswerError, GatewayClient, GatewayUnreachableError
from hermes_cli.gateway.resuming import Frame
from hermes_cli.gateway.run_api import RunBody

from .harness import Gateway, Yard, until


async def gathered(gateway: GatewayClient, path: str) -> list[Frame]:
    async with aclosing(stream(gateway, path)) as batches:
        return [frame async for batch in batches for frame in batch]


def test_every_event_of_a_run_comes_in_its_order(yard: Yard) -> None:
    client = yard.start(yard.profile()).ready().client
    run = client.runs.start(RunBody(message="seq 3000"))
    found = asyncio.run(gathered(client, f"/v1/runs/{run.run_id}/events"))
    assert found[-1].kind == "end"
    events = [msgspec.json.decode(frame.data) for frame in found[:-1]]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    text = "".join(event["payload"]["text"] for event in events if event["type"] == "delta")
    assert text == "".join(f"{number}\n" for number in range(1, 3001))


def test_a_reader_that_leaves_is_gone_at_the_gateway(yard: Yard) -> None:
    client = yard.start(yard.profile()).ready().client
    run = client.runs.start(RunBody(message="sleep 1000"))

    async def leave() -> None:
        async with aclosing(stream(client, f"/v1/runs/{run.run_id}/events")) as batches:
            assert await anext(batches) == []
            await anext(batches)
            before = await asyncio.to_thread(client.status)
            assert before.connections >= 1

    asyncio.run(leave())
    client.runs.cancel(run.run_id)
    until("the run has ended", lambda: client.runs.get(run.run_id).terminal_state)


@pytest.mark.parametrize("end", [Gateway.kill, lambda gateway: gateway.process.terminate()])
def test_a_gateway_that_goes_ends_the_stream(yard: Yard, end: Callable[[Gateway], None]) -> None:
    gateway = yard.start(yard.profile()).ready()
    run = gateway.client.runs.start(RunBody(message="sleep 30"))

    async def read() -> list[Frame]:
        found: list[Frame] = []
        async with aclosing(stream(gateway.client, f"/v1/runs/{run.run_id}/events")) as batches:
            async for batch in batches:
                if not found and batch:
                    end(gateway)
                found += batch
        return found

    try:
        found = asyncio.run(read())
    except GatewayUnreachableError:
        return
    assert found[-1].kind == "closed"


def test_refusals_and_absence_are_as_everywhere(yard: Yard) -> None:
    home = yard.profile()
    with pytest.raises(GatewayUnreachableError):
        asyncio.run(gathered(GatewayClient(home), "/v1/runs/feed/events"))
    client = yard.start(home).ready().client
    with pytest.raises(GatewayAnswerError) as refused:
        asyncio.run(gathered(client, "/v1/runs/feed/events"))
    assert refused.value.code == "run_not_found"


def test_a_peer_that_is_silent_is_given_up(yard: Yard) -> None:
    home = yard.profile()
    home.run_dir.mkdir()

    async def ask() -> None:
        never = asyncio.Event()

        async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await never.wait()
            writer.close()

        server = await asyncio.start_unix_server(silent, str(home.socket))
        async with aclosing(body(GatewayClient(home), "/v1/status", connect=0.2)) as chunks:
            with pytest.raises(GatewayUnreachableError) as lost:
                await anext(chunks)
        assert isinstance(lost.value.__cause__, TimeoutError)
        never.set()
        server.close()
        await server.wait_closed()

    asyncio.run(ask())
