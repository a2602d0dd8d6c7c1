"""Who has no business here stays outside, and who has gets in and out."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hermes_cli.home import Home
from tests.integration.dashboard.browser import DEADLINE, Dashboard, command, environment, running

PASSWORD = "correct horse"
TOKEN = "t0ken-of-the-dashboard"


@pytest.fixture
def dashboard(tmp_path: Path) -> Iterator[Dashboard]:
    coder = Home.of("coder", tmp_path)
    coder.path.mkdir(parents=True)
    coder.config.write_text("gateway:\n  port: 8700\n")
    secrets = {"HERMES_DASHBOARD_PASSWORD": PASSWORD, "HERMES_DASHBOARD_TOKEN": TOKEN}
    with running(tmp_path, "--host", "0.0.0.0", **secrets) as started:
        yield started


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_beyond_loopback_without_a_secret_it_refuses_to_serve(tmp_path: Path, host: str) -> None:
    done = subprocess.run(
        command("--host", host),
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert done.returncode == 78
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "HERMES_DASHBOARD_PASSWORD or HERMES_DASHBOARD_TOKEN" in done.stderr


def test_a_taken_port_is_named_with_its_holder(dashboard: Dashboard) -> None:
    done = subprocess.run(
        command("--port", str(dashboard.port)),
        env=environment(dashboard.root),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert done.returncode == 78
    assert f"port {dashboard.port}" in done.stderr
    assert f"pid {dashboard.process.pid}" in done.stderr


def test_a_broken_config_is_exit_78_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("dashboard:\n  port: many\n")
    done = subprocess.run(
        command(), env=environment(tmp_path), capture_output=True, text=True, timeout=DEADLINE
    )
    assert done.returncode == 78
    assert "config.yaml:2:" in done.stderr


def test_it_prints_its_address(tmp_path: Path) -> None:
    with running(tmp_path) as dashboard:
        dashboard.end()
        assert dashboard.process.stdout is not None
        assert f"http://127.0.0.1:{dashboard.port}/" in dashboard.process.stdout.read()


@pytest.mark.parametrize("path", ["/events/status", "/api/status", "/api/session", "/metrics"])
def test_data_is_for_those_who_signed_in(dashboard: Dashboard, path: str) -> None:
    answer = dashboard.client().get(path)
    assert answer.status == 401
    assert "gateway-" not in answer.text
    forged = dashboard.client(cookie="hermes_session=made-up")
    assert forged.get(path).status == 401


def test_the_page_sends_strangers_to_the_form_and_back_to_where_they_wanted(dashboard: Dashboard) -> None:
    browser = dashboard.client()
    away = browser.visit("/?window=7d")
    assert (away.status, away.headers["location"]) == (303, "/login?next=%2F%3Fwindow%3D7d")
    page = browser.get(away.headers["location"]).text
    target = re.findall(r'name="next" value="([^"]+)"', page)[0]
    answer = browser.post("/login", {"csrf": browser.csrf(page), "password": PASSWORD, "next": target})
    assert (answer.status, answer.headers["location"]) == (303, "/?window=7d")
    assert browser.get("/?window=7d").status == 200
    assert browser.get("/login").status == 303


@pytest.mark.parametrize("secret", [PASSWORD, TOKEN])
def test_password_and_token_open_the_door(dashboard: Dashboard, secret: str) -> None:
    browser = dashboard.client()
    assert browser.sign_in(secret).status == 303
    cookie = next(cookie for cookie in browser.set_cookies if cookie.startswith("hermes_session="))
    for attribute in ("HttpOnly", "SameSite=strict", "Max-Age=43200", "Path=/"):
        assert attribute.lower() in cookie.lower()
    first = browser.events("/events/status").next()
    assert first is not None
    assert first.name == "board"


def test_the_cookie_is_for_https_alone_where_the_proxy_says_https(dashboard: Dashboard) -> None:
    browser = dashboard.client(**{"x-forwarded-proto": "https"})
    browser.sign_in(PASSWORD)
    assert all("secure" in cookie.lower() for cookie in browser.set_cookies)


def test_a_token_is_enough_for_a_program(dashboard: Dashboard) -> None:
    right = dashboard.client(authorization=f"Bearer {TOKEN}")
    assert right.get("/api/status").status == 200
    for wrong in (f"Bearer {PASSWORD}", "Bearer ", f"Basic {TOKEN}", TOKEN):
        assert dashboard.client(authorization=wrong).get("/api/status").status == 401


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "../x",
        "a b",
        "/a b",
        "\r\nx: y",
        "/\r\nx: y",
        "/\u2044evil",
        "/" + "x" * 4000,
    ],
)
def test_the_form_leads_nowhere_else(dashboard: Dashboard, target: str) -> None:
    answer = dashboard.client().sign_in(PASSWORD, next=target)
    assert (answer.status, answer.headers["location"]) == (303, "/")


def test_a_form_without_our_token_is_refused(dashboard: Dashboard) -> None:
    browser = dashboard.client()
    token = browser.csrf(browser.get("/login").text)
    other = dashboard.client()
    other.get("/login")
    for who, fields in ((browser, {}), (browser, {"csrf": "0" * 64}), (other, {"csrf": token})):
        answer = who.post("/login", {"password": PASSWORD, **fields})
        assert answer.status == 403
        assert not who.cookies.get("hermes_session")
    good = {"password": PASSWORD, "csrf": token}
    assert browser.post("/login", good, origin="http://evil.example").status == 403
    assert browser.post("/login", good, **{"sec-fetch-site": "cross-site"}).status == 403
    assert browser.post("/login", good, origin=f"http://127.0.0.1:{dashboard.port}").status == 303


def test_signing_out_ends_the_session_and_needs_the_form(dashboard: Dashboard) -> None:
    browser = dashboard.client()
    browser.sign_in(PASSWORD)
    page = browser.get("/").text
    assert browser.post("/logout", {}).status == 403
    assert browser.get("/").status == 200
    kept = dict(browser.cookies)
    assert browser.post("/logout", {"csrf": browser.csrf(page)}).headers["location"] == "/login"
    browser.cookies = kept
    assert browser.get("/api/status").status == 401


def test_guessing_is_stopped(dashboard: Dashboard) -> None:
    browser = dashboard.client()
    statuses = [browser.sign_in(f"guess {number}").status for number in range(7)]
    assert statuses == [403] * 5 + [429] * 2
    answer = browser.sign_in(PASSWORD)
    assert answer.status == 429
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert "Too many wrong attempts" in answer.text


def test_guessing_tokens_is_stopped_too(dashboard: Dashboard) -> None:
    for number in range(5):
        assert dashboard.client(authorization=f"Bearer {number}").get("/api/status").status == 401
    assert dashboard.client(authorization=f"Bearer {TOKEN}").get("/api/status").status == 401


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("multipart/form-data; boundary=x", b"--x--", 415),
        ("", b"", 415),
        ("application/x-www-form-urlencoded", b"password=" + b"x" * 20_000, 413),
        ("application/x-www-form-urlencoded", b"\xff\xfe", 400),
        ("application/x-www-form-urlencoded", b"a=1&" * 100, 400),
        ("application/x-www-form-urlencoded", b"password=%00%ff&csrf=%ff", 403),
        ("application/x-www-form-urlencoded", b"", 403),
    ],
)
def test_rubbish_in_the_form_is_refused(dashboard: Dashboard, kind: str, body: bytes, status: int) -> None:
    answer = dashboard.client().ask("POST", "/login", body, {"content-type": kind})
    assert answer.status == status
    assert "Traceback" not in answer.text


def test_secrets_are_never_logged(dashboard: Dashboard) -> None:
    dashboard.client().sign_in(PASSWORD)
    dashboard.client(authorization=f"Bearer {TOKEN}").get("/api/status")
    dashboard.end()
    assert dashboard.process.stdout is not None
    said = dashboard.process.stdout.read()
    assert PASSWORD not in said
    assert TOKEN not in said
