"""A gateway that is there and no use: slow, of another version, hanging up. Each is a state of its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hermes_cli.home import Home
from tests.integration.dashboard.browser import Browser, Dashboard, running
from tests.integration.dashboard.pages import stream_address, visible, wait_for

PAGES = ("runs", "runs/run_feed", "sessions", "sessions/ses_feed", "processes", "processes/proc_feed")

Peer = Callable[[socket.socket], None]


class Imposter:
    """Something on the control socket of a profile that does to each client what it is told to."""

    def __init__(self, home: Home) -> None:
        self.answer: Peer = hang_up
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(home.socket))
        self._listener.listen(64)
        self._held: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                one, _ = self._listener.accept()
            except OSError:
                return
            self._held.append(one)
            self.answer(one)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._held:
            one.close()


def hang_up(one: socket.socket) -> None:
    one.close()


def say_nothing(one: socket.socket) -> None:
    """And keep the connection."""


def saying(body: bytes, status: str = "200 OK") -> Peer:
    def answer(one: socket.socket) -> None:
        one.recv(65536)
        one.sendall(b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status.encode(), len(body), body))

    return answer


@contextmanager
def imposter(home: Home) -> Iterator[Imposter]:
    made = Imposter(home)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home.of("coder", tmp_path)
    made.run_dir.mkdir(parents=True)
    made.config.write_text("gateway:\n  port: 8700\n")
    return made


@pytest.fixture
def served(home: Home) -> Iterator[Dashboard]:
    with running(home.root) as dashboard:
        yield dashboard


def state_of(page: str) -> str:
    return page.partition('data-reach="')[2].partition('"')[0]


@pytest.mark.parametrize(
    "answer",
    [saying(b'{"future":1}'), saying(b"hello"), saying(b"<html>", "500 Oops"), saying(b"{}", "405 No")],
)
def test_another_version_is_named_on_every_page(home: Home, browser: Browser, answer: Peer) -> None:
    with imposter(home) as peer:
        peer.answer = answer
        for path in PAGES:
            page = browser.get(f"/profiles/coder/{path}")
            assert (page.status, state_of(page.text)) == (200, "other_version"), path
            assert "hermes -p coder gateway restart" in visible(page.text)


def test_one_that_says_nothing_is_slow_on_every_page_and_holds_nobody_up(
    home: Home, served: Dashboard, browser: Browser
) -> None:
    with imposter(home) as peer:
        peer.answer = say_nothing
        waiting = [(path, served.connect()) for path in PAGES]
        for path, connection in waiting:
            connection.request("GET", f"/profiles/coder/{path}")
        assert served.client().get("/healthz").status == 200
        for path, connection in waiting:
            answer = connection.getresponse()
            assert (answer.status, state_of(answer.read().decode())) == (200, "slow"), path
        events = browser.events("/profiles/coder/runs/run_feed/events")
        assert wait_for(events, "reach").data["state"] == "slow"


def test_one_that_hangs_up_is_down_until_it_is_another(home: Home, browser: Browser) -> None:
    with imposter(home) as peer:
        page = browser.get("/profiles/coder/runs").text
        assert state_of(page) == "down"
        events = browser.events(stream_address(page))
        assert wait_for(events, "reach").data["state"] == "down"
        peer.answer = saying(b'{"future":1}')
        assert wait_for(events, "reach").data["state"] == "other_version"
        peer.answer = saying(b'{"runs":[]}')
        assert wait_for(events, "reach").data["state"] == "ok"


def test_a_store_that_is_full_is_told_and_asked_again(home: Home, browser: Browser) -> None:
    full = b'{"code":"store_unusable","detail":"the disk is full","status":503,"title":"x"}'
    with imposter(home) as peer:
        peer.answer = saying(full, "503 Service Unavailable")
        page = browser.get("/profiles/coder/runs").text
        assert "The disk is full." in visible(page)
        events = browser.events(stream_address(page))
        assert wait_for(events, "reach").data["state"] == "refused"
        peer.answer = saying(b'{"runs":[]}')
        assert wait_for(events, "reach").data["state"] == "ok"


def test_a_stopped_one_can_be_started_from_each_page(home: Home, browser: Browser) -> None:
    for path in PAGES:
        page = browser.get(f"/profiles/coder/{path}").text
        assert state_of(page) == "down"
        assert 'id="start"' in page
        assert 'action="/profiles/coder/start"' in page
