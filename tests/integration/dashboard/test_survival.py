"""What a restart of the dashboard leaves as it was, and what it must not."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from .browser import Browser, running

SECRETS = {"HERMES_DASHBOARD_PASSWORD": "pw", "HERMES_DASHBOARD_READ_PASSWORD": "look"}


def signed_in(root: Path, password: str, end: int = signal.SIGTERM) -> tuple[Browser, str]:
    """Who signed in at a dashboard that has ended since, and the form token of the page still open."""
    with running(root, **SECRETS) as dashboard:
        browser = dashboard.client()
        assert browser.sign_in(password).status == 303
        csrf = browser.csrf(browser.get("/").text)
        dashboard.end(end)
    return browser, csrf


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_session_and_the_forms_of_an_open_page_survive(tmp_path: Path, end: int) -> None:
    browser, csrf = signed_in(tmp_path, "pw", end)
    with running(tmp_path, **SECRETS) as dashboard:
        browser.dashboard = dashboard
        assert browser.get("/api/session").text == '{"role":"operator"}'
        first = browser.events("/events/status").next()
        assert first is not None
        assert first.name == "board"
        answer = browser.post("/create-profile", {"csrf": csrf, "name": "Wrong Name"})
        assert answer.status == 422, "the form was taken, and the name was not"


def test_a_new_password_signs_out_its_role_and_no_other(tmp_path: Path) -> None:
    operator, csrf = signed_in(tmp_path, "pw")
    reader, _ = signed_in(tmp_path, "look")
    with running(tmp_path, **{**SECRETS, "HERMES_DASHBOARD_PASSWORD": "new"}) as dashboard:
        operator.dashboard = reader.dashboard = dashboard
        assert operator.get("/api/session").status == 401
        assert operator.post("/create-profile", {"csrf": csrf, "name": "x"}).status == 401
        assert reader.get("/api/session").text == '{"role":"reader"}'


def test_who_signed_out_stays_out(tmp_path: Path) -> None:
    with running(tmp_path, **SECRETS) as dashboard:
        browser = dashboard.client()
        browser.sign_in("pw")
        kept = dict(browser.cookies)
        browser.post("/logout", {"csrf": browser.csrf(browser.get("/").text)})
    browser.cookies = kept
    with running(tmp_path, **SECRETS) as dashboard:
        browser.dashboard = dashboard
        assert browser.get("/api/session").status == 401


def test_two_dashboards_on_one_home_share_who_is_signed_in(tmp_path: Path) -> None:
    with running(tmp_path, **SECRETS) as one, running(tmp_path, **SECRETS) as other:
        browser = one.client()
        browser.sign_in("pw")
        page = browser.get("/").text
        browser.dashboard = other
        assert browser.get("/api/session").status == 200
        kept = dict(browser.cookies)
        assert browser.post("/logout", {"csrf": browser.csrf(page)}).status == 303
        browser.cookies = kept
        browser.dashboard = one
        assert browser.get("/api/session").status == 401


def test_signing_out_ends_the_streams_of_the_other_pages_at_once(tmp_path: Path) -> None:
    with running(tmp_path, **SECRETS) as dashboard:
        browser = dashboard.client()
        browser.sign_in("pw")
        stream = browser.events("/events/status")
        assert stream.next() is not None
        stranger = dashboard.client()
        stranger.sign_in("look")
        kept = stranger.events("/events/status")
        assert kept.next() is not None
        assert browser.post("/logout", {"csrf": browser.csrf(browser.get("/").text)}).status == 303
        assert stream.next() is None
        home = tmp_path / "profiles" / "new"
        home.mkdir(parents=True)
        (home / "config.yaml").write_text("")
        event = kept.next()
        assert event is not None, "the stream of somebody else goes on"
        assert "gateway-new" in event.data["rows"]
