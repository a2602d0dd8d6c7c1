"""What the buttons do, and to whom they do nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hermes_cli.dashboard.auth import Credentials
from hermes_cli.gateway.records import IntentRecord
from hermes_cli.home import Home, load
from hermes_cli.service_manager import ServiceError
from tests.fakes.s6_service_manager import FakeS6ServiceManager

from .browser import Answer, Browser
from .inside import Inside, inside


def make_home(root: Path, profile: str) -> Home:
    home = Home.of(profile, root)
    home.path.mkdir(parents=True, exist_ok=True)
    home.config.write_text("gateway:\n  port: 8700\n")
    return home


@pytest.fixture
def dashboard(tmp_path: Path) -> Iterator[Inside]:
    make_home(tmp_path, "coder")
    with inside(tmp_path, FakeS6ServiceManager("default", "coder")) as started:
        yield started


def said(answer: Answer) -> str:
    found = json.loads(answer.text)
    return str(found.get("text") or found["error"])


def test_start_restart_and_stop_do_so_and_say_so(dashboard: Inside) -> None:
    client = dashboard.client()
    for verb, words, intent in (
        ("start", "coder is ready (", "running"),
        ("restart", "coder is ready again (", "running"),
        ("stop", "coder is down (", "stopped"),
    ):
        answer = client.send(f"/profiles/coder/{verb}")
        assert answer.status == 200
        assert said(answer).startswith(words)
        record = load(Home.of("coder", dashboard.root).intent, IntentRecord)
        assert record is not None
        assert record.intent == intent
    assert [call.verb for call in dashboard.manager.calls] == ["start", "restart", "stop"]


def test_without_a_script_the_form_leads_back_to_the_overview(dashboard: Inside) -> None:
    client = dashboard.client()
    page = client.visit("/").text
    answer = client.post("/profiles/coder/start", {"csrf": client.csrf(page)}, accept="text/html")
    assert (answer.status, answer.headers["location"]) == (303, "/")
    assert 'aria-label="Stop coder"' in client.visit("/").text


def test_start_ends_the_parking(dashboard: Inside) -> None:
    parked = Home.of("coder", dashboard.root).parked
    parked.write_text('{"kind":"config","reason":"a taken port","parked_at":1}')
    dashboard.manager.change("coder", parked=True)
    assert 'data-verb="unpark" aria-label="Unpark coder">' in dashboard.client().get("/").text
    assert dashboard.client().send("/profiles/coder/start").status == 200
    assert not parked.exists()


def test_what_went_wrong_is_the_sentence_of_the_error(dashboard: Inside) -> None:
    dashboard.manager.failures["start"] = ServiceError("the gateway did not become ready\x1b[2J <b>")
    client = dashboard.client()
    answer = client.send("/profiles/coder/start")
    assert answer.status == 422
    assert said(answer) == "The gateway did not become ready <b>."
    page = client.post("/profiles/coder/start", {"csrf": client.csrf(client.get("/").text)})
    assert page.status == 422
    assert "ready &lt;b&gt;." in page.text


def test_two_at_once_on_one_profile_are_told_apart(dashboard: Inside) -> None:
    dashboard.manager.hold()
    first: list[Answer] = []
    thread = threading.Thread(target=lambda: first.append(dashboard.client().send("/profiles/coder/restart")))
    thread.start()
    second = dashboard.client()
    while not dashboard.manager.calls:
        assert thread.is_alive()
    answer = second.send("/profiles/coder/stop")
    assert answer.status == 409
    assert said(answer) == "Wait: restarting coder is still under way."
    dashboard.manager.release()
    thread.join(30)
    assert first[0].status == 200
    assert [call.verb for call in dashboard.manager.calls] == ["restart"]


def test_a_profile_is_made_and_shown(dashboard: Inside) -> None:
    client = dashboard.client()
    answer = client.send("/create-profile", page="/create-profile", name="writer")
    assert said(answer).startswith("writer has been created, with port 8643 (")
    assert 'data-service="gateway-writer"' in client.get("/").text
    assert Home.of("writer", dashboard.root).env.exists()
    started = client.send("/create-profile", page="/create-profile", name="runner", start="yes")
    assert ", and is ready (" in said(started)
    assert dashboard.manager.is_running("gateway-runner")


@pytest.mark.parametrize(
    "name", ["", "Big", "../x", "a b", "default", "coder", "<script>", "x" * 300, "a\x1b[2J"]
)
def test_a_name_that_cannot_be_is_refused_in_words(dashboard: Inside, name: str) -> None:
    client = dashboard.client()
    csrf = client.csrf(client.get("/create-profile").text)
    answer = client.post("/create-profile", {"csrf": csrf, "name": name})
    assert answer.status == 422
    assert 'role="alert"' in answer.text
    for piece in ("<script>", "Traceback", "\x1b"):
        assert piece not in answer.text
    assert sorted(path.name for path in (dashboard.root / "profiles").iterdir()) == ["coder"]


def test_deleting_asks_and_wants_the_name(dashboard: Inside) -> None:
    client = dashboard.client()
    page = client.get("/profiles/coder/delete").text
    home = Home.of("coder", dashboard.root)
    assert f"its home {home.path}" in page
    csrf = client.csrf(page)
    for confirm in ("", "code", "CODER", "default"):
        answer = client.post("/profiles/coder/delete", {"csrf": csrf, "confirm": confirm})
        assert answer.status == 422
        assert "Nothing was deleted: type coder to confirm." in answer.text
    assert home.path.is_dir()
    answer = client.post("/profiles/coder/delete", {"csrf": csrf, "confirm": "coder"})
    assert (answer.status, answer.headers["location"]) == (303, "/")
    assert not home.path.exists()
    assert 'data-service="gateway-coder"' not in client.get("/").text
    assert client.get("/profiles/coder/delete").status == 404


def test_default_is_never_deleted(dashboard: Inside) -> None:
    answer = dashboard.client().send("/profiles/default/delete", confirm="default")
    assert answer.status == 409
    assert dashboard.root.is_dir()


FORMS = (
    "/profiles/coder/start",
    "/profiles/coder/stop",
    "/profiles/coder/restart",
    "/profiles/coder/delete",
    "/create-profile",
)


@pytest.mark.parametrize("path", FORMS)
def test_a_forged_form_does_nothing(dashboard: Inside, path: str) -> None:
    client = dashboard.client()
    csrf = client.csrf(client.get("/").text)
    fields = {"name": "evil", "confirm": "coder"}
    forged: list[tuple[dict[str, str], dict[str, str]]] = [
        ({}, {}),
        ({"csrf": "0" * 64}, {}),
        ({"csrf": csrf[:-1]}, {}),
        ({"csrf": csrf}, {"origin": "http://evil.example"}),
        ({"csrf": csrf}, {"origin": "null"}),
        ({"csrf": csrf}, {"sec-fetch-site": "cross-site"}),
        ({"csrf": csrf}, {"sec-fetch-site": "same-site"}),
    ]
    for extra, headers in forged:
        assert client.post(path, {**fields, **extra}, **headers).status == 403
    assert client.ask("POST", path, b"{}", {"content-type": "application/json"}).status == 415
    assert client.get(f"{path}?csrf={csrf}&confirm=coder&name=evil").status in (200, 405)
    assert dashboard.manager.calls == []
    assert sorted(path.name for path in (dashboard.root / "profiles").iterdir()) == ["coder"]


def test_a_reader_looks_and_changes_nothing(tmp_path: Path) -> None:
    make_home(tmp_path, "coder")
    credentials = Credentials("operators", "op-token", "readers", "read-token")
    with inside(tmp_path, FakeS6ServiceManager("default", "coder"), credentials) as dashboard:
        reader = dashboard.client()
        reader.sign_in("readers")
        page = reader.get("/")
        assert page.status == 200
        for piece in ("data-verb", "Delete", "New profile"):
            assert piece not in page.text
        csrf = reader.csrf(page.text)
        programs = dashboard.client(authorization="Bearer read-token")
        for path in FORMS:
            fields = {"csrf": csrf, "name": "evil", "confirm": "coder"}
            assert reader.post(path, fields).status == 403
            assert programs.post(path, fields).status == 403
        for path in ("/create-profile", "/profiles/coder/delete"):
            assert reader.get(path).status == 403
        for path in ("/api/status", "/api/session", "/metrics"):
            assert reader.get(path).status == 200
            assert programs.get(path).status == 200
        assert json.loads(reader.get("/api/session").text) == {"role": "reader"}
        assert dashboard.manager.calls == []

        operator = dashboard.client(authorization="Bearer op-token")
        answer = operator.post("/profiles/coder/start", {}, accept="application/json")
        assert answer.status == 200, "a program with the token needs no form"
        assert dashboard.manager.calls[-1].verb == "start"


def test_the_form_of_one_session_is_none_of_another(tmp_path: Path) -> None:
    make_home(tmp_path, "coder")
    with inside(tmp_path, FakeS6ServiceManager("default", "coder"), Credentials("pw")) as dashboard:
        one, other = dashboard.client(), dashboard.client()
        one.sign_in("pw")
        other.sign_in("pw")
        csrf = one.csrf(one.get("/").text)
        assert other.post("/profiles/coder/start", {"csrf": csrf}).status == 403
        assert one.post("/profiles/coder/start", {"csrf": csrf}).status == 303


def test_a_script_gone_wild_is_slowed(dashboard: Inside) -> None:
    client: Browser = dashboard.client()
    csrf = client.csrf(client.get("/").text)
    statuses = [client.post("/profiles/nobody/stop", {"csrf": csrf}).status for _ in range(60)]
    assert statuses[0] == 404
    assert statuses[-1] == 429
    assert int(client.post("/profiles/nobody/stop", {"csrf": csrf}).headers["retry-after"]) > 0
    assert client.get("/").status == 200


def test_metrics_are_the_supervision_of_the_whole_installation(dashboard: Inside) -> None:
    dashboard.client().send("/profiles/coder/start")
    answer = dashboard.client().get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'profile="coder"' in answer.text
    assert 'profile="default"' in answer.text
