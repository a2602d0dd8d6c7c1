"""Real gateways tell a real endpoint of parkings: once, whoever is killed, and whoever is the last."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hermes_cli.gateway.supervision_log import record_event
from hermes_cli.gateway.webhook_cursor import cursor_path, load_cursor
from hermes_cli.home import Home
from tests.fakes.endpoint import Delivery, Endpoint, endpoint

from .harness import Gateway, Yard, until

WITHIN = 40.0


@pytest.fixture
def hook() -> Iterator[Endpoint]:
    with endpoint() as made:
        yield made


def configured(yard: Yard, hook: Endpoint, more: str = "") -> Home:
    """The home of `default`, which has the webhook."""
    return yard.profile(config=f"notifications:\n  webhook: {hook.url}\n{more}")


def following(gateway: Gateway) -> Gateway:
    """Ready, and at the log: what comes now is told."""
    gateway.ready()
    until("a cursor", lambda: cursor_path(gateway.home.root).exists())
    return gateway


def told(root: Path) -> bool:
    cursor = load_cursor(root)
    return cursor is not None and cursor.delivered_at is not None and not cursor.attempts


def deliveries(gateway: Gateway) -> list[int]:
    """The programs that deliver just now for this gateway."""
    children = Path(f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children").read_text()
    return [int(pid) for pid in children.split()]


def test_a_gateway_that_parks_alone_tells_it_before_it_ends(yard: Yard, hook: Endpoint) -> None:
    configured(yard, hook)
    broken = yard.profile("coder")
    broken.config.write_text("gateway:\n  port: many\n")
    assert yard.start(broken).ended() == 78
    [delivery] = hook.got
    assert (delivery.body["profile"], delivery.body["type"]) == ("coder", "parked")
    assert delivery.body["reason"] == "config"
    assert "gateway.port" in delivery.body["detail"]
    assert told(yard.root)


def test_a_gateway_that_parks_goes_also_where_nobody_answers(yard: Yard, hook: Endpoint) -> None:
    free = threading.Event()

    def held(delivery: Delivery) -> int:
        free.wait(60)
        return 204

    hook.answer = held
    configured(yard, hook)
    broken = yard.profile("coder")
    broken.config.write_text("rubbish")
    gateway = yard.start(broken)
    assert gateway.ended(WITHIN) == 78
    assert "was not told within 5 s; the next gateway that runs does it" in gateway.words()
    hook.answer = lambda delivery: 204
    free.set()
    yard.start(Home.of(root=yard.root)).ready()
    until("it is told by the next one", lambda: told(yard.root), within=WITHIN)
    assert len({delivery.body["id"] for delivery in hook.got}) == 1


def test_two_gateways_tell_it_once(yard: Yard, hook: Endpoint) -> None:
    another = threading.Event()

    def held(delivery: Delivery) -> int:
        """The first is at it for as long as the other gateway would need to send it, too."""
        if len(hook.got) > 1:
            another.set()
        another.wait(3)
        another.set()
        return 204

    hook.answer = held
    following(yard.start(configured(yard, hook)))
    following(yard.start(yard.profile("coder")))
    for number in range(5):
        record_event(yard.root, f"p{number}", "parked", code=78)
    until("all are told", lambda: len(hook.got) >= 5, within=WITHIN)
    until("the cursor", lambda: told(yard.root))
    record_event(yard.root, "last", "parked", code=78)
    until("the last one", lambda: hook.got[-1].body["profile"] == "last", within=WITHIN)
    assert [delivery.body["profile"] for delivery in hook.got] == [*(f"p{n}" for n in range(5)), "last"]


def test_an_endpoint_that_was_down_is_told_once_when_it_is_up(yard: Yard, hook: Endpoint) -> None:
    hook.close()
    gateway = following(yard.start(configured(yard, hook)))
    record_event(yard.root, "coder", "parked", code=78)
    until("a try", lambda: "it is tried again" in gateway.words(), within=WITHIN)
    hook.open()
    until("it is told", lambda: told(yard.root), within=WITHIN)
    assert len(hook.got) == 1


def test_killed_at_it_the_next_gateway_sends_the_same_again(yard: Yard, hook: Endpoint) -> None:
    free = threading.Event()

    def held(delivery: Delivery) -> int:
        free.wait(60)
        return 204

    hook.answer = held
    home = configured(yard, hook, "  timeout: 60\n")
    gateway = following(yard.start(home))
    record_event(yard.root, "coder", "parked", code=78)
    until("it is at it", lambda: hook.got, within=WITHIN)
    programs = deliveries(gateway)
    assert programs
    gateway.kill()
    for program in programs:
        os.kill(program, signal.SIGKILL)
    gateway.ended()
    hook.answer = lambda delivery: 204
    free.set()
    yard.start(home).ready()
    until("it is told", lambda: told(yard.root), within=WITHIN)
    assert [delivery.raw for delivery in hook.got] == [hook.got[0].raw] * 2


def test_a_gateway_that_is_killed_leaves_the_delivery_to_finish(yard: Yard, hook: Endpoint) -> None:
    free = threading.Event()

    def held(delivery: Delivery) -> int:
        free.wait(60)
        return 204

    hook.answer = held
    gateway = following(yard.start(configured(yard, hook, "  timeout: 60\n")))
    record_event(yard.root, "coder", "parked", code=78)
    until("it is at it", lambda: hook.got, within=WITHIN)
    gateway.kill()
    gateway.ended()
    free.set()
    until("it is told", lambda: told(yard.root), within=WITHIN)
    assert len(hook.got) == 1


def test_a_drain_does_not_wait_for_an_endpoint(yard: Yard, hook: Endpoint) -> None:
    free = threading.Event()

    def held(delivery: Delivery) -> int:
        free.wait(60)
        return 204

    hook.answer = held
    gateway = following(yard.start(configured(yard, hook, "  timeout: 60\n")))
    record_event(yard.root, "coder", "parked", code=78)
    until("it is at it", lambda: hook.got, within=WITHIN)
    gateway.kill(signal.SIGTERM)
    assert gateway.ended() == 0
    free.set()
    assert not told(yard.root)


def test_rubbish_keeps_no_gateway_from_starting_and_is_said(yard: Yard) -> None:
    home = yard.profile(config="notifications:\n  webhook: ftp://example.org\n  events: 7\n")
    gateway = yard.start(home).ready()
    until("it is said", lambda: "the webhook is told nothing: " in gateway.words())
    other = yard.start(yard.profile("coder")).ready()
    expected = "notifications.webhook: expected an http or https address"
    until("it is said there, too", lambda: expected in other.words())


def test_what_is_not_asked_for_starts_no_program(yard: Yard, hook: Endpoint) -> None:
    gateway = following(yard.start(configured(yard, hook)))
    for _ in range(20):
        record_event(yard.root, "coder", "ready")
    record_event(yard.root, "coder", "parked", code=78)
    until("it is told", lambda: told(yard.root), within=WITHIN)
    until("nothing of it is left", lambda: not deliveries(gateway))
    for _ in range(20):
        record_event(yard.root, "coder", "ready")
    gateway.get("/healthz")
    assert deliveries(gateway) == []
    assert len(hook.got) == 1
