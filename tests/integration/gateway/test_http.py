"""The HTTP interface as a client and as an attacker meet it, on a real gateway."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hermes_cli.gateway.app import MAX_BODY_BYTES
from hermes_cli.gateway.client import GatewayAnswerError, GatewayUnreachableError
from hermes_cli.serving.problems import CODES
from hermes_cli.serving.protocol import MAX_CONNECTIONS, MAX_HEADER_BYTES

from .harness import TOKEN, Gateway, Yard, until

GUARDED = ["/v1/status", "/v1/capabilities", "/v1/events", "/metrics", "/openapi.json", "/nothing", "/"]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One for all tests that leave it as it was: that it lives through all of them is a test too."""
    root = tmp_path_factory.mktemp("home")
    yard = Yard(root, tmp_path_factory.mktemp("output"))
    try:
        yield yard.start(yard.profile()).ready()
    finally:
        yard.end()


@pytest.fixture
def fresh(yard: Yard) -> Gateway:
    return yard.start(yard.profile()).ready()


def raw(gateway: Gateway, data: bytes, *, more: float = 2.0) -> bytes:
    """Send bytes as they are, and read until the gateway closes, or for `more` seconds."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=more) as connection:
        received = b""
        with contextlib.suppress(OSError):
            connection.sendall(data)
            while chunk := connection.recv(65536):
                received += chunk
        return received


@pytest.mark.parametrize("path", GUARDED)
@pytest.mark.parametrize(
    ("token", "code"),
    [(None, "token_missing"), ("", "token_wrong"), ("wrong", "token_wrong"), (TOKEN + "x", "token_wrong")],
)
def test_loopback_without_the_token_is_refused_everywhere(
    gateway: Gateway, path: str, token: str | None, code: str
) -> None:
    status, headers, body = gateway.get(path, token=token)
    assert status == 401
    assert headers["content-type"] == "application/problem+json"
    assert headers["www-authenticate"].startswith("Bearer")
    assert json.loads(body)["code"] == code


@pytest.mark.parametrize(
    "header",
    [
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer{TOKEN}",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN} x",
        "Bearer \xff\xfe",
    ],
)
def test_only_the_whole_token_as_bearer_counts(gateway: Gateway, header: str) -> None:
    answer = raw(
        gateway,
        f"GET /v1/status HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: {header}\r\n\r\n".encode(
            "latin-1"
        ),
    )
    assert answer.startswith(b"HTTP/1.1 401 ")


def test_two_authorizations_are_refused(gateway: Gateway) -> None:
    lines = f"authorization: Bearer {TOKEN}\r\n" * 2
    answer = raw(gateway, f"GET /v1/status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{lines}\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 401 ")


def test_probes_say_ok_and_nothing_else_without_a_token(gateway: Gateway) -> None:
    for path in ("/healthz", "/readyz"):
        assert gateway.json(path, token=None) == (200, {"status": "ok"})


def test_status_tells_who_and_how(gateway: Gateway) -> None:
    status, body = gateway.json("/v1/status")
    assert status == 200
    assert body == json.loads(json.dumps(body))
    assert (body["profile"], body["state"], body["ready"]) == ("default", "running", True)
    assert body["pid"] == gateway.process.pid
    assert body["problems"] == []
    assert body["url"] == f"http://127.0.0.1:{gateway.port}"


def test_capabilities_promise_only_what_is_there(gateway: Gateway) -> None:
    _, body = gateway.json("/v1/capabilities")
    paths = gateway.json("/openapi.json")[1]["paths"]
    for feature, there in body["features"].items():
        assert there == any(path.startswith(f"/v1/{feature}") for path in paths), feature
        assert (gateway.get(f"/v1/{feature}", method="OPTIONS")[0] == 405) == there, feature


def test_the_description_names_every_path_and_code_there_is(gateway: Gateway) -> None:
    _, document = gateway.json("/openapi.json")
    assert document["openapi"].startswith("3.1")
    for path, item in document["paths"].items():
        if path == "/v1/events" or "get" not in item:
            continue
        status, headers, _ = gateway.get(path.replace("{", "").replace("}", ""))
        assert str(status) in item["get"]["responses"], path
        media = list(item["get"]["responses"][str(status)]["content"])
        assert headers["content-type"].split(";")[0] in media
    assert set(document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]) == set(CODES)
    listed = json.dumps(document)
    for reference in {part.split('"')[0] for part in listed.split('"#/components/schemas/')[1:]}:
        assert reference in document["components"]["schemas"]


def test_metrics_are_prometheus_text(gateway: Gateway) -> None:
    status, headers, body = gateway.get("/metrics")
    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    values = {}
    for line in body.decode().splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            values[name] = float(value)
    assert values["hermes_gateway_ready"] == 1
    assert values["process_resident_memory_bytes"] > 1 << 20
    assert any(name.startswith("hermes_gateway_requests_total{") for name in values)


@pytest.mark.parametrize(
    "path", ["/nothing", "/healthz/", "//healthz", "/v1/status/..", "/%2e%2e/etc/passwd", "/" + "a" * 9000]
)
def test_what_is_not_there_is_a_problem_with_a_code(gateway: Gateway, path: str) -> None:
    status, problem = gateway.json(path)
    assert (status, problem["code"], problem["status"]) == (404, "not_found", 404)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_other_methods_are_a_problem_with_a_code(gateway: Gateway, method: str) -> None:
    status, headers, body = gateway.get("/v1/status", method=method)
    assert (status, json.loads(body)["code"]) == (405, "method_not_allowed")
    assert "GET" in headers["allow"]


def test_answers_are_not_stored_and_name_no_software(gateway: Gateway) -> None:
    _, headers, _ = gateway.get("/v1/status")
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert "date" in headers
    assert "server" not in headers


RUBBISH = [
    b"\0" * 1000,
    b"\xff\xfe\xfd" * 500,
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET /\x80 HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n",
    b"GET / HTTP/1.1\r\nhost: x\r\nbad header: 1\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-key: x\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"y" * (MAX_HEADER_BYTES * 2) + b"\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n" * 200 + b"rubbish\r\n\r\n",
]


@pytest.mark.parametrize("data", RUBBISH, ids=range(len(RUBBISH)))
def test_rubbish_is_answered_or_cut_and_harms_nobody(gateway: Gateway, data: bytes) -> None:
    answer = raw(gateway, data, more=0.5)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 ")
    assert b" 500 " not in answer
    assert gateway.json("/readyz", token=None)[0] == 200
    assert "Traceback" not in gateway.words()


def test_random_bytes_on_many_connections_harm_nobody(fresh: Gateway) -> None:
    chance = random.Random(7)
    for _ in range(200):
        with (
            socket.create_connection(("127.0.0.1", fresh.port)) as connection,
            contextlib.suppress(OSError),
        ):
            connection.sendall(chance.randbytes(chance.randrange(1, 2000)))
    assert fresh.json("/readyz", token=None)[0] == 200
    assert "Traceback" not in fresh.words()
    until("every connection is gone", lambda: fresh.client.status().connections == 1)


def test_a_body_too_large_is_refused_before_it_is_read(gateway: Gateway) -> None:
    lines = f"host: x\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: {MAX_BODY_BYTES + 1}\r\n"
    answer = raw(gateway, f"POST /v1/status HTTP/1.1\r\n{lines}\r\n".encode(), more=1.0)
    assert answer.split(b" ")[1] in (b"413", b"405")


def test_beyond_the_bound_connections_are_turned_away_and_the_owner_still_gets_in(fresh: Gateway) -> None:
    with contextlib.ExitStack() as held:
        for _ in range(MAX_CONNECTIONS):
            held.enter_context(socket.create_connection(("127.0.0.1", fresh.port)))
        until("all are accepted", lambda: fresh.client.status().connections > MAX_CONNECTIONS)
        answer = raw(fresh, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b"overloaded" in answer
        assert fresh.client.readyz()
    until("there is room again", lambda: fresh.client.status().connections == 1)
    assert fresh.json("/readyz", token=None)[0] == 200


def test_secrets_reach_no_log(fresh: Gateway) -> None:
    fresh.get(f"/nothing?token={TOKEN}&x=hunter2")
    fresh.get("/v1/status", token="hunter2")
    until("the failures are logged", lambda: fresh.words().count("401") and fresh.words().count("404"))
    assert TOKEN not in fresh.words()
    assert "hunter2" not in fresh.words()


def test_a_flood_of_failures_is_not_a_flood_of_lines(fresh: Gateway) -> None:
    for _ in range(100):
        fresh.get("/nothing")
    assert fresh.words().count("404") <= 25


@contextlib.contextmanager
def events(gateway: Gateway, query: str = "", **headers: str) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    connection.request("GET", f"/v1/events{query}", headers={"Authorization": f"Bearer {TOKEN}"} | headers)
    try:
        yield connection.getresponse()
    finally:
        connection.close()


def test_the_event_stream_begins_with_what_happened(gateway: Gateway) -> None:
    with events(gateway) as answer:
        assert answer.getheader("content-type", "").startswith("text/event-stream")
        assert answer.readline() == b"id: 1\n"
        assert answer.readline() == b"event: ready\n"
        assert json.loads(answer.readline().removeprefix(b"data: "))["seq"] == 1


def test_a_cursor_of_another_life_is_a_reset(gateway: Gateway) -> None:
    with events(gateway, **{"Last-Event-ID": "77"}) as answer:
        assert answer.readline() == b"event: reset\n"
    # As a browser comes back: to the address that it began with.
    with events(gateway, "?cursor=0", **{"Last-Event-ID": "77"}) as answer:
        assert answer.readline() == b"event: reset\n"
    with events(gateway, "?cursor=-1") as answer:
        assert answer.status == 400


def test_a_reader_that_leaves_is_forgotten(gateway: Gateway) -> None:
    with events(gateway) as answer:
        answer.readline()
        assert gateway.client.status().event_streams == 1
    until("the stream is gone", lambda: gateway.client.status().event_streams == 0)


def test_the_client_says_what_is_wrong(fresh: Gateway) -> None:
    with pytest.raises(GatewayAnswerError) as refused:
        fresh.client.get_json("/nothing")
    assert refused.value.code == "not_found"
    fresh.process.terminate()
    fresh.ended()
    with pytest.raises(GatewayUnreachableError, match="default"):
        fresh.client.healthz()


def test_an_idle_gateway_does_not_wake(fresh: Gateway) -> None:
    def switches() -> int:
        lines = Path(f"/proc/{fresh.process.pid}/status").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)

    time.sleep(0.3)
    before = switches()
    time.sleep(1.0)
    assert switches() - before < 5, "uvicorn's own loop wakes ten times a second"
