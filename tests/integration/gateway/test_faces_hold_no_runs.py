"""Faces that have shown many runs hold nothing of any: what they know, they ask the gateway."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import importlib
import json
import pkgutil
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from weakref import WeakValueDictionary

import pytest
from click.testing import CliRunner

from hermes_cli.cli.main import cli
from hermes_cli.dashboard.app import Dashboard
from hermes_cli.dashboard.auth import NOBODY
from hermes_cli.dashboard.settings import Settings
from hermes_cli.gateway.client import GatewayClient
from hermes_cli.gateway.run_api import RunBody
from hermes_cli.home import Home
from hermes_cli.processes.profile import registry_of
from hermes_cli.tui.app import HermesApp
from hermes_cli.tui.installation import installation
from tests.fakes.s6_service_manager import FakeS6ServiceManager
from tests.integration.dashboard.browser import Browser
from tests.integration.dashboard.inside import Inside, inside
from tests.integration.dashboard.pages import fields_of, stream_address
from tests.unit.tui.stage import sees

from .harness import Gateway, Yard, until
from .held import FACES, held

pytestmark = pytest.mark.timeout(180)

RUNS = 10
"""For each face."""

_MESSAGE = "echo one; echo two"


@pytest.fixture
def gateway(yard: Yard) -> Iterator[Gateway]:
    yield yard.start(yard.profile("coder")).ready()
    registry_of(Home.of("coder", yard.root)).kill_all(grace=0)


def test_faces_that_have_shown_many_runs_hold_nothing_of_them(
    yard: Yard, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    _load_all()
    _with_the_client(gateway)
    _with_the_command_line(gateway, monkeypatch)
    with inside(yard.root, FakeS6ServiceManager("coder")) as dashboard:
        _with_the_dashboard(gateway, dashboard)
        _with_the_text_interface(yard, gateway)
        ids = _ids(gateway)
        assert len(ids) > 3 * RUNS
        [app] = [one for one in gc.get_objects() if isinstance(one, Dashboard)]
        with contextlib.suppress(AssertionError):  # a stream ends when its reader is known to have gone
            until("nothing is held", lambda: not held(ids, app))
        assert held(ids, app) == []


_ID = "0123456789abcdef"


@pytest.mark.parametrize(
    "planted",
    [
        {f"run_{_ID}": object()},
        {"latest": [f"stream_{_ID}"]},
        {(1, f"{_ID}:7")},
        deque([SimpleNamespace(path=f"/v1/runs/run_{_ID}/events".encode())]),
        functools.partial(print, f"run_{_ID}"),
    ],
)
def test_what_is_planted_is_found(planted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _load_all()
    assert held([_ID]) == []
    for place in (sys.modules["hermes_cli.cli.run"], Dashboard, GatewayClient):
        with monkeypatch.context() as patched:
            patched.setattr(place, "_planted", planted, raising=False)
            [found] = held([_ID])
            assert "_planted" in found


def test_what_is_planted_deeper_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Child:
        """Only to be referred to weakly."""

    child = Child()
    weak = WeakValueDictionary({f"run_{_ID}": child})
    remembered = functools.lru_cache(lambda run_id: object())
    remembered(f"run_{_ID}")
    remembered.__module__ = Dashboard.__module__
    dashboard = Dashboard(Settings(tmp_path, "127.0.0.1", 1, NOBODY))
    try:
        assert held([_ID], dashboard) == []
        for planted in (weak, remembered):
            with monkeypatch.context() as patched:
                patched.setattr(dashboard.streams, "_planted", planted, raising=False)
                assert held([_ID], dashboard)
        with subprocess.Popen(["true"]) as process, monkeypatch.context() as patched:
            patched.setattr(dashboard.board, "_planted", [process], raising=False)
            assert held([_ID], dashboard)
    finally:
        dashboard.close()


def _load_all() -> None:
    """Every module of every face: one that nobody drove has its globals all the same."""
    for face in FACES:
        package = importlib.import_module(face)
        for one in pkgutil.walk_packages(package.__path__, f"{face}."):
            if not one.name.endswith("__main__"):
                importlib.import_module(one.name)


def _ids(gateway: Gateway) -> list[str]:
    """Of all runs, as they are named anywhere: `run_` or `stream_` before them, or nothing."""
    found = gateway.client.runs.recent(limit=100)
    return [run.run_id.partition("_")[2] for run in found]


def _with_the_client(gateway: Gateway) -> None:
    runs = gateway.client.runs

    def one(number: int) -> None:
        run = runs.start(RunBody(message=_MESSAGE if number % 2 else "sleep 100"), key=f"key-{number}")
        if not number % 2:
            assert runs.cancel(run.run_id).accepted
        assert list(runs.events(run.run_id))[-1].terminal
        assert runs.get(run.run_id).terminal_state

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(RUNS)))


def _with_the_command_line(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERMES_HOME", str(gateway.home.root))

    def hermes(*words: str) -> str:
        done = CliRunner().invoke(cli, ["-p", "coder", *words])
        assert done.exit_code == 0, (words, done.output, done.exception)
        return done.stdout

    for _ in range(RUNS):
        assert hermes("chat", "-q", _MESSAGE) == "one\ntwo\n"
    for _ in range(3):
        run_id = json.loads(hermes("run", "start", "--json", _MESSAGE))["run_id"]
        assert "two" in hermes("run", "events", "-f", run_id)
        hermes("run", "show", run_id)
        hermes("run", "retry", run_id)
    assert run_id in hermes("run", "list")
    hermes("session", "list")


def _with_the_dashboard(gateway: Gateway, dashboard: Inside) -> None:
    browser, runs = Browser(dashboard), "/profiles/coder/runs"
    for _ in range(RUNS):
        fields = fields_of(browser.get(runs).text, runs)
        location = browser.post(runs, {**fields, "message": _MESSAGE}).headers["location"]
        with _stream(dashboard, browser.get(location).text) as lines:
            assert "event: end\n" in lines
        assert 'data-status="completed"' in browser.get(location).text
    with _stream(dashboard, browser.get(runs).text) as lines:
        gateway.client.runs.start(RunBody(message=_MESSAGE))
        assert any(line.startswith("data: ") for line in lines)


@contextlib.contextmanager
def _stream(dashboard: Inside, page: str) -> Iterator[Iterator[str]]:
    """What the page follows, line by line; its reader goes away at the end."""
    connection = dashboard.connect()
    try:
        connection.request("GET", stream_address(page), headers={"Accept": "text/event-stream"})
        with connection.getresponse() as answer:
            yield (line.decode() for line in answer)
    finally:
        connection.close()


def _with_the_text_interface(yard: Yard, gateway: Gateway) -> None:
    run = gateway.client.runs.recent(limit=1)[0]

    async def main() -> None:
        app = HermesApp(installation(yard.root), "coder", interval=0.2)
        async with asyncio.timeout(120), app.run_test(size=(100, 30)) as pilot:
            await sees(pilot, "● ready")
            await pilot.press("3")
            await sees(pilot, run.run_id)
            await pilot.press("enter")
            await sees(pilot, "two")
            await pilot.press("escape")

    asyncio.run(main())
