"""What people with bad intentions send, and that it gets them nothing."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from hermes_cli.dashboard import security
from hermes_cli.dashboard.security import Guard
from hermes_cli.home import Home
from hermes_cli.serving.protocol import Connections
from hermes_cli.serving.server import HttpServer

from .browser import DEADLINE, running

SECRETS = {"HERMES_DASHBOARD_PASSWORD": "pw"}


def test_a_forged_address_does_not_open_another_round_of_guesses(tmp_path: Path) -> None:
    with running(tmp_path, **SECRETS) as dashboard:
        statuses = [
            dashboard.client(**{"x-forwarded-for": f"198.51.100.{number}, 203.0.113.9"}).sign_in("no").status
            for number in range(7)
        ]
        assert statuses == [403] * 5 + [429] * 2
        assert dashboard.client(**{"x-forwarded-for": "203.0.113.10"}).sign_in("pw").status == 303


def test_whoever_is_no_proxy_of_ours_cannot_say_who_he_is(tmp_path: Path) -> None:
    with running(tmp_path, **SECRETS, FORWARDED_ALLOW_IPS="192.0.2.1") as dashboard:
        statuses = [
            dashboard.client(**{"x-forwarded-for": f"198.51.100.{number}"}).sign_in("no").status
            for number in range(6)
        ]
        assert statuses[-1] == 429
        spoofed = dashboard.client(**{"x-forwarded-proto": "https"})
        spoofed.get("/login")
        assert all("secure" not in cookie.lower() for cookie in spoofed.set_cookies)


@pytest.mark.parametrize(
    "header",
    [
        {"x-forwarded-host": "evil.example"},
        {"x-forwarded-prefix": "//evil.example"},
        {"x-original-url": "/api/status"},
        {"x-rewrite-url": "/api/status"},
        {"forwarded": "host=evil.example;proto=https"},
        {"x-forwarded-proto": "javascript"},
        {"host": "evil.example"},
    ],
)
def test_headers_lead_nobody_elsewhere(tmp_path: Path, header: dict[str, str]) -> None:
    with running(tmp_path, **SECRETS) as dashboard:
        answer = dashboard.client(**header).visit("/?window=7d")
        assert (answer.status, answer.headers["location"]) == (303, "/login?next=%2F%3Fwindow%3D7d")
        assert "evil" not in dashboard.client(**header).get("/login").text


def test_below_a_path_everything_stays_below_it(tmp_path: Path) -> None:
    home = Home.of("coder", tmp_path)
    home.path.mkdir(parents=True)
    home.config.write_text("")
    with running(tmp_path, "--root-path", "/hermes", **SECRETS) as dashboard:
        browser = dashboard.client()
        away = browser.visit("/hermes/profiles/coder/delete")
        assert away.headers["location"] == "/hermes/login?next=%2Fprofiles%2Fcoder%2Fdelete"
        page = browser.get(away.headers["location"]).text
        fields = {"csrf": browser.csrf(page), "password": "pw", "next": "/profiles/coder/delete"}
        answer = browser.post("/hermes/login", fields)
        assert answer.headers["location"] == "/hermes/profiles/coder/delete"
        for path in ("/", "/create-profile", "/profiles/coder/delete", "/nothing"):
            page = browser.get(f"/hermes{path}").text
            addresses = re.findall(r'(?:href|src|action|formaction)="(/[^"]*)"', page)
            assert addresses
            assert all(address.startswith("/hermes/") for address in addresses), addresses
            assert 'data-root="/hermes"' in page
        csrf = browser.csrf(browser.get("/hermes/").text)
        answer = browser.post("/hermes/create-profile", {"csrf": csrf, "name": "writer"})
        assert answer.headers["location"] == "/hermes/"
        assert browser.events("/hermes/events/status").next() is not None


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_pages_of_other_sites_take_nothing_from_here(tmp_path: Path, site: str) -> None:
    with running(tmp_path) as dashboard:
        version = re.findall(r"/static/(\w+)/", dashboard.client().get("/").text)[0]
        elsewhere = dashboard.client(**{"sec-fetch-site": site, "sec-fetch-mode": "no-cors"})
        for path in ("/", "/events/status", "/api/status", "/metrics", f"/static/{version}/live.js"):
            assert elsewhere.get(path).status == 403
        link = dashboard.client(**{"sec-fetch-site": site, "sec-fetch-mode": "navigate"})
        assert link.visit("/").status == 200
        for _ in range(50):
            assert link.post("/profiles/default/stop", {}).status == 403
        answer = dashboard.client().send("/profiles/nobody/stop")
        assert answer.status == 404, "what others send is not counted against us"


def test_a_link_from_elsewhere_leads_to_the_page_and_not_to_the_form(tmp_path: Path) -> None:
    with running(tmp_path, "--root-path", "/hermes", **SECRETS) as dashboard:
        link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
        answer = dashboard.client().visit("/hermes/?window=7d", **link)
        assert (answer.status, answer.headers["refresh"]) == (200, "0;url=/hermes/?window=7d")
        for path in ("/hermes/profiles/%0d%0aset-cookie:x=1/delete", "/hermes/profiles/%22;url=x/delete"):
            answer = dashboard.client().visit(path, **link)
            assert (answer.status, answer.headers["refresh"][:11]) == (200, "0;url=/herm")
            assert "set-cookie" not in answer.headers
        again = dashboard.client().visit("/hermes/?window=7d", **{"sec-fetch-site": "same-origin"})
        assert again.headers["location"] == "/hermes/login?next=%2F%3Fwindow%3D7d"


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/create-profile", {"name": "x" * 100_000}),
        ("/profiles/coder/start", {"csrf": "0" * 100_000}),
        ("/login", {"password": "x" * 100_000}),
    ],
)
def test_a_huge_form_is_not_read_to_its_end(tmp_path: Path, path: str, fields: dict[str, str]) -> None:
    with running(tmp_path) as dashboard:
        answer = dashboard.client().post(path, fields)
        assert answer.status == 413
        assert answer.headers["connection"] == "close"


def test_a_form_without_an_end_is_cut(tmp_path: Path) -> None:
    with running(tmp_path) as dashboard:
        with socket.create_connection(("127.0.0.1", dashboard.port), timeout=DEADLINE) as peer:
            peer.sendall(
                b"POST /create-profile HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n"
                b"content-type: application/x-www-form-urlencoded\r\n\r\n"
            )
            said = b""
            try:
                while b"\r\n\r\n" not in said:
                    peer.sendall(b"1000\r\n" + b"a" * 4096 + b"\r\n")
                    peer.settimeout(0.01)
                    try:
                        said += peer.recv(65536)
                    except TimeoutError:
                        peer.settimeout(DEADLINE)
            except (BrokenPipeError, ConnectionResetError):
                pass
            assert said.startswith(b"HTTP/1.1 413") or not said
        assert dashboard.client().get("/healthz").status == 200


def test_a_reader_who_does_not_read_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security, "SEND_DEADLINE", 0.3)
    ended = threading.Event()

    async def endless(_scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        gone = asyncio.ensure_future(_disconnected(receive))
        while not gone.done():
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            await asyncio.sleep(0)
        ended.set()

    async def main() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        server = HttpServer(Guard(endless, root_path="", local_only=False, host=""), Connections())
        await server.open([listener])
        reader, writer = await asyncio.open_connection(*listener.getsockname(), limit=1024)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        async with asyncio.timeout(DEADLINE):
            while not ended.is_set():
                await asyncio.sleep(0.01)
        writer.transport.abort()
        await server.drain(0.1, asyncio.Event())
        assert reader is not None

    asyncio.run(main())
    assert ended.is_set()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
