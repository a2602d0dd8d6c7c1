"""The end of a gateway: prompt where nothing goes on, bounded where something does, told to everybody."""

from __future__ import annotations

import contextlib
import http.client
import select
import signal
import socket
import time
from collections.abc import Iterator

import pytest

from hermes_cli.gateway.lock import holder_of
from hermes_cli.gateway.supervision_log import read_events

from .harness import TOKEN, Gateway, Yard, until


@pytest.fixture
def gateway(yard: Yard) -> Gateway:
    return yard.start(yard.profile()).ready()


def test_an_idle_gateway_ends_at_once_and_leaves_nothing(gateway: Gateway) -> None:
    asked = time.monotonic()
    gateway.process.terminate()
    assert gateway.ended() == 0
    assert time.monotonic() - asked < 0.5
    assert gateway.state().state == "stopped"
    assert gateway.state().socket is None
    assert not gateway.home.socket.exists()
    assert holder_of(gateway.home) is None
    assert [event.event for event in read_events(gateway.home.root)] == ["ready", "draining"]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", gateway.port))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_the_terminals_signals_drain_it_too(gateway: Gateway, number: signal.Signals) -> None:
    gateway.kill(number)
    assert gateway.ended() == 0
    assert gateway.state().state == "stopped"


def test_an_event_stream_gets_a_marker_and_then_its_end(gateway: Gateway) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    connection.request("GET", "/v1/events", headers={"Authorization": f"Bearer {TOKEN}"})
    answer = connection.getresponse()
    until("the stream is read", lambda: gateway.client.status().event_streams == 1)
    gateway.process.terminate()
    frames = answer.read().decode().split("\n\n")
    connection.close()
    assert frames[-3].startswith("id: 2\nevent: draining\n")
    assert frames[-2:] == ['event: closed\ndata: {"reason":"draining"}', ""]
    assert gateway.ended() == 0


def test_idle_and_half_spoken_connections_do_not_hold_it(gateway: Gateway) -> None:
    with contextlib.ExitStack() as held:
        for data in (
            b"",
            b"GET /v1/st",
            b"POST /v1/status HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nab",
        ):
            connection = held.enter_context(socket.create_connection(("127.0.0.1", gateway.port)))
            connection.sendall(data)
        until("all are there", lambda: gateway.client.status().connections == 4)
        asked = time.monotonic()
        gateway.process.terminate()
        assert gateway.ended() == 0
        assert time.monotonic() - asked < 1.0


@contextlib.contextmanager
def reader_that_does_not_read(gateway: Gateway) -> Iterator[None]:
    """A client that asks again and again and takes no answer, until every buffer in between is full."""
    one = f"GET /openapi.json HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\r\n".encode()
    with socket.socket() as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        stuck.connect(("127.0.0.1", gateway.port))
        stuck.setblocking(False)
        sent, before = 0, -1
        # Stuck is where nothing but our own asking is answered any more.
        while before + 1 != (now := answered(gateway)):
            before = now
            if select.select([], [stuck], [], 0.1)[1]:
                sent += stuck.send((one * 2000)[sent % len(one) :])
                before = -1
        yield


def answered(gateway: Gateway) -> int:
    """How many requests the gateway has begun to answer; the asking itself is one more."""
    return sum(
        int(line.rpartition(" ")[2])
        for line in gateway.client.metrics().splitlines()
        if line.startswith("hermes_gateway_requests_total") and 'status="200"' in line
    )


def test_a_reader_that_does_not_read_is_cut_at_the_deadline(yard: Yard) -> None:
    gateway = yard.start(yard.profile(config="  drain_timeout: 0.5\n")).ready()
    with reader_that_does_not_read(gateway):
        asked = time.monotonic()
        gateway.process.terminate()
        assert gateway.ended() == 0
        assert 0.4 < time.monotonic() - asked < 3.0, (gateway.state().message, gateway.words())
        assert "cut" in gateway.state().message


def test_a_second_signal_hastens_it(yard: Yard) -> None:
    gateway = yard.start(yard.profile(config="  drain_timeout: 20\n")).ready()
    with reader_that_does_not_read(gateway):
        gateway.process.terminate()
        until("it drains", lambda: gateway.state().state == "draining")
        assert gateway.process.poll() is None
        gateway.process.terminate()
        assert gateway.ended(within=2.0) == 0


def test_a_signal_at_any_moment_of_the_start_ends_it(yard: Yard) -> None:
    """Whatever step it is at: it ends within a second, and never with a traceback."""
    home = yard.profile()
    for step in range(12):
        gateway = yard.start(home)
        time.sleep(step * 0.04)
        gateway.process.terminate()
        code = gateway.ended(within=3.0)
        # Before the gateway's own program is there, SIGTERM still means what it means to every process.
        assert code in (0, -15), gateway.words()
        assert "Traceback" not in gateway.words()
        if code == 0:
            assert gateway.state().state == "stopped"
            assert gateway.state().restarts == 0
