"""Who may do what on a profile's pages: nobody without signing in, readers look, operators change."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hermes_cli.gateway.process_api import StartBody
from hermes_cli.gateway.run_api import RunBody
from tests.integration.dashboard.browser import Browser, Dashboard, running
from tests.integration.dashboard.pages import Forms, send, stream_address, wait_for
from tests.integration.gateway.harness import Gateway, Yard, until

CODER = "/profiles/coder"
PASSWORDS = {
    "HERMES_DASHBOARD_PASSWORD": "the operator's own words",
    "HERMES_DASHBOARD_READ_PASSWORD": "what readers may know",
}


class Things:
    """A run that goes on, its session, and a process."""

    def __init__(self, gateway: Gateway) -> None:
        run = gateway.client.runs.start(RunBody(message="sleep 1000"))
        self.run, self.session = run.run_id, run.session_id
        self.process = gateway.client.processes.start(StartBody(command="sleep 1001")).session_id
        until("the run has its process", lambda: len(gateway.client.processes.list().processes) == 2)

    @property
    def pages(self) -> list[str]:
        parts = ("logs", "logs?q=x", "processes", "runs", "sessions", "config", "doctor")
        ones = (
            f"runs/{self.run}",
            f"runs/{self.run}?view=events",
            f"sessions/{self.session}",
            f"processes/{self.process}",
        )
        return [f"{CODER}/{part}" for part in (*parts, *ones)]

    @property
    def others(self) -> list[str]:
        """Addresses that are no page: streams and downloads."""
        streams = (f"{part}/events" for part in ("logs", "runs", "sessions", "processes", f"runs/{self.run}"))
        files = ("logs/download", f"processes/{self.process}/log", f"sessions/{self.session}/export")
        return [f"{CODER}/{part}" for part in (*streams, *files)]

    @property
    def orders(self) -> list[tuple[str, dict[str, str]]]:
        run, process, session = f"runs/{self.run}", f"processes/{self.process}", f"sessions/{self.session}"
        return [
            (f"{CODER}/runs", {"message": "true"}),
            (f"{CODER}/{run}/cancel", {}),
            (f"{CODER}/{run}/approval", {"decision": "approve"}),
            (f"{CODER}/{run}/retry", {}),
            (f"{CODER}/processes", {"command": "true"}),
            (f"{CODER}/{process}/input", {"verb": "close"}),
            (f"{CODER}/{process}/kill", {}),
            (f"{CODER}/sessions", {"message": "true"}),
            (f"{CODER}/{session}/messages", {"message": "true"}),
            (f"{CODER}/{session}/delete", {}),
            (f"{CODER}/config", {"text": "gateway: {}\n", "version": "x"}),
            (f"{CODER}/doctor/fix", {}),
        ]


@pytest.fixture
def served(yard: Yard, gateway: Gateway) -> Iterator[Dashboard]:
    with running(yard.root, **PASSWORDS) as dashboard:
        yield dashboard


@pytest.fixture
def things(gateway: Gateway) -> Iterator[Things]:
    made = Things(gateway)
    yield made
    gateway.client.runs.cancel(made.run)
    gateway.client.processes.kill(made.process, grace=0)
    until("it has ended", lambda: gateway.client.runs.get(made.run).terminal_state)


def signed_in(dashboard: Dashboard, variable: str) -> Browser:
    browser = dashboard.client(accept="text/html")
    assert browser.sign_in(PASSWORDS[variable]).status == 303
    return browser


def csrf_of(browser: Browser) -> str:
    [token, *_] = [fields["csrf"] for _, fields in Forms(browser.get("/").text).found if "csrf" in fields]
    return token


def unchanged(gateway: Gateway, things: Things) -> None:
    assert [run.run_id for run in gateway.client.runs.recent()] == [things.run]
    assert gateway.client.runs.get(things.run).cancel_requested_at is None
    # The run's own is one of them.
    rows = {row.command: row.status for row in gateway.client.processes.list().processes}
    assert rows == {"sleep 1000": "running", "sleep 1001": "running"}
    assert "port" in gateway.home.config.read_text()


def test_nobody_sees_anything_without_signing_in(served: Dashboard, gateway: Gateway, things: Things) -> None:
    stranger = served.client(accept="text/html")
    for page in things.pages:
        answer = stranger.get(page)
        assert (answer.status, answer.headers["location"].partition("?")[0]) == (303, "/login"), page
    program = served.client()
    for address in things.others:
        assert program.get(address).status == 401, address
    for address, fields in things.orders:
        assert program.post(address, fields).status in (401, 403), address
    unchanged(gateway, things)


def test_a_reader_sees_everything_and_changes_nothing(
    served: Dashboard, gateway: Gateway, things: Things
) -> None:
    reader = signed_in(served, "HERMES_DASHBOARD_READ_PASSWORD")
    gateway.home.config.write_text(gateway.home.config.read_text() + "# correct-horse-battery-staple\n")
    for page in things.pages:
        answer = reader.get(page)
        assert answer.status == 200, page
        changing = [address for address, fields in Forms(answer.text).found if "csrf" in fields]
        assert changing == ["/logout"], page
        assert "correct-horse" not in answer.text
    token = csrf_of(reader)
    for address, fields in things.orders:
        assert reader.post(address, {**fields, "csrf": token}).status == 403, address
    unchanged(gateway, things)
    events = reader.events(stream_address(reader.get(f"{CODER}/runs/{things.run}").text))
    assert wait_for(events, "reach").data["state"] == "ok"


def test_an_operator_needs_the_token_of_the_form_as_well(
    served: Dashboard, gateway: Gateway, things: Things
) -> None:
    operator = signed_in(served, "HERMES_DASHBOARD_PASSWORD")
    for address, fields in things.orders:
        assert operator.post(address, fields).status == 403, address
        assert operator.post(address, {**fields, "csrf": "0" * 64}).status == 403, address
    token = csrf_of(operator)
    elsewhere = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    for address, fields in things.orders:
        assert operator.post(address, {**fields, "csrf": token}, **elsewhere).status == 403, address
    unchanged(gateway, things)
    assert send(operator, f"{CODER}/runs/{things.run}", "/cancel").status == 303


def test_a_stream_ends_when_its_reader_signs_out(served: Dashboard, things: Things) -> None:
    reader = signed_in(served, "HERMES_DASHBOARD_READ_PASSWORD")
    events = reader.events(stream_address(reader.get(f"{CODER}/runs/{things.run}").text))
    wait_for(events, "reach")
    assert reader.post("/logout", {"csrf": csrf_of(reader)}).status == 303
    while events.next() is not None:
        pass
