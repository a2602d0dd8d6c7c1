"""Whatever keeps a face from a gateway is one of a few states, with a sentence and the next step."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from hermes_cli import __version__
from hermes_cli.faces.reach import FAILURES, Reach, reach
from hermes_cli.gateway.client import GatewayAnswerError, GatewayClient
from hermes_cli.gateway.records import IntentRecord, ParkedRecord, StateRecord
from hermes_cli.home import Home, save


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home.of("coder", tmp_path)
    made.run_dir.mkdir(parents=True)
    return made


def met(home: Home, timeout: float = 5.0) -> Reach:
    """What a client meets that asks for the runs."""
    try:
        GatewayClient(home, timeout=timeout).runs.recent()
    except FAILURES as error:
        return reach(error, home)
    raise AssertionError("it answered")


@contextmanager
def peer(home: Home, answer: Callable[[socket.socket], None]) -> Iterator[None]:
    """Something on the control socket that gives one client this answer."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home.socket))
        listener.listen()

        def serve() -> None:
            one, _ = listener.accept()
            with one:
                one.recv(65536)
                answer(one)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            thread.join(20)


def answering(status: str, body: bytes) -> Callable[[socket.socket], None]:
    head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    return lambda one: one.sendall(head + body)


def test_a_stopped_one_is_to_be_started(home: Home) -> None:
    save(home.intent, IntentRecord(intent="stopped", requested_at=1.0))
    found = met(home)
    assert (found.state, found.code, found.comes_back) == ("down", "stopped", True)
    assert "hermes -p coder gateway start" in found.next_step


def test_a_parked_one_says_why(home: Home) -> None:
    save(home.parked, ParkedRecord(kind="config", reason="port 1 is \x1b[31mtaken", parked_at=1.0))
    found = met(home)
    assert (found.state, found.sentence) == ("down", "The gateway of coder is parked: port 1 is taken.")


def test_one_that_should_run_may_come_back(home: Home) -> None:
    save(home.intent, IntentRecord(intent="running", requested_at=1.0))
    found = met(home)
    assert (found.state, found.comes_back) == ("down", True)
    assert "starting again" in found.sentence


def test_files_that_cannot_be_read_are_no_reason_to_say_nothing(home: Home) -> None:
    home.parked.write_text("{")
    home.intent.write_text("[]")
    assert met(home).state == "down"


def test_one_that_says_nothing_is_slow(home: Home) -> None:
    gone = threading.Event()
    with peer(home, lambda one: (gone.wait(20), None)[1]):
        try:
            found = met(home, timeout=0.2)
        finally:
            gone.set()
    assert (found.state, found.comes_back) == ("slow", True)


def test_one_that_hangs_up_is_down(home: Home) -> None:
    save(home.intent, IntentRecord(intent="running", requested_at=1.0))
    with peer(home, lambda one: None):
        assert met(home).state == "down"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        ("200 OK", b'{"runs":[{"run_id":1}]}'),
        ("200 OK", b"hello"),
        ("500 Oops", b"<html>"),
        ("404 Not Found", b'{"code":"not_found","detail":"there is nothing here; /openapi.json lists it"}'),
        ("405 No", b'{"code":"method_not_allowed","detail":"x"}'),
    ],
)
def test_an_answer_that_is_not_understood_is_another_version(home: Home, status: str, body: bytes) -> None:
    with peer(home, answering(status, body)):
        assert met(home).state == "other_version"


def test_the_versions_are_named_where_they_are_known(home: Home) -> None:
    state = StateRecord(
        state="running", pid=1, pid_start=1, boot_id="b", started_at=1.0, hermes_version="99.0"
    )
    save(home.state, state)
    found = reach(msgspec.ValidationError("x"), home)
    assert "runs Hermes 99.0" in found.sentence
    assert __version__ in found.sentence


def test_a_draining_one_comes_back_and_a_refusal_does_not(home: Home) -> None:
    draining = reach(GatewayAnswerError(503, "draining", "it is shutting down"), home)
    assert (draining.state, draining.comes_back, draining.code) == ("down", True, "draining")
    refused = reach(GatewayAnswerError(409, "run_active", "the run \x1b]0;x\x07has not ended"), home)
    assert refused == Reach("refused", "The run has not ended.", "", "run_active")
    assert not refused.comes_back
    full = reach(GatewayAnswerError(503, "store_unusable", "the disk is full"), home)
    assert (full.state, full.comes_back) == ("refused", True)
