"""An HTTP client written from the OpenAPI description alone, which imports nothing of Hermes."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from .harness import TOKEN, Gateway, Yard


class FromTheDescription:
    """Knows the address, the token and /openapi.json; everything else is read there."""

    def __init__(self, address: str, token: str) -> None:
        self._address = address
        self._token = token
        self.document: Any = self._send("GET", "/openapi.json", None)[1]
        self._operations = {
            operation["operationId"]: (method.upper(), path, operation)
            for path, item in self.document["paths"].items()
            for method, operation in item.items()
        }

    def ask(self, operation_id: str, body: Any = None, **parameters: str) -> tuple[int, Any]:
        """Status and body, both checked against the description."""
        method, path, operation = self._operations[operation_id]
        query = []
        for parameter in operation.get("parameters", ()):
            name = parameter["name"]
            if parameter["in"] == "path":
                path = path.replace(f"{{{name}}}", parameters.pop(name))
            elif parameter["in"] == "query" and name in parameters:
                query.append(f"{name}={parameters.pop(name)}")
        assert not parameters, f"{operation_id} has no {parameters}"
        if body is not None:
            self.fits(body, operation["requestBody"]["content"]["application/json"]["schema"])
        status, answer, media = self._send(method, path + ("?" + "&".join(query) if query else ""), body)
        self.fits(answer, operation["responses"][str(status)]["content"][media]["schema"])
        return status, answer

    def fits(self, value: Any, schema: dict[str, Any]) -> None:
        """Fail where the value is not what the schema says: types, required and unknown names, enums."""
        if "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        if "anyOf" in schema:
            errors = []
            for one in schema["anyOf"]:
                try:
                    return self.fits(value, one)
                except AssertionError as error:
                    errors.append(str(error))
            raise AssertionError(errors)
        if "enum" in schema:
            assert value in schema["enum"], f"{value!r} is none of {schema['enum']}"
        kinds: dict[str, Any] = {
            "object": dict, "array": list, "string": str, "boolean": bool, "null": type(None),
            "integer": int, "number": (int, float),
        }  # fmt: skip
        if "type" in schema:
            assert isinstance(value, kinds[schema["type"]]), f"{value!r} is no {schema['type']}"
        for name in schema.get("required", ()):
            assert name in value, f"{name} is missing in {value!r}"
        if "properties" in schema:
            for name, part in value.items():
                assert name in schema["properties"], f"{name} is not in the description"
                self.fits(part, schema["properties"][name])
        if schema.get("type") == "array":
            for part in value:
                self.fits(part, schema["items"])
        return None

    def _send(self, method: str, path: str, body: Any) -> tuple[int, Any, str]:
        request = urllib.request.Request(
            self._address + path,
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {self._token}"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer), answer.headers.get_content_type()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error), error.headers.get_content_type()


@pytest.fixture
def client(yard: Yard) -> FromTheDescription:
    gateway: Gateway = yard.start(yard.profile()).ready()
    return FromTheDescription(f"http://127.0.0.1:{gateway.port}", TOKEN)


def follow(client: FromTheDescription, run_id: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    cursor = "0"
    while True:
        _, page = client.ask("run_events", run_id=run_id, cursor=cursor, wait="10")
        events += page["events"]
        cursor = page["cursor"]
        if page["terminal_state"] is not None and cursor == page["last_event_id"]:
            return events


def test_it_starts_observes_and_cancels(client: FromTheDescription) -> None:
    status, started = client.ask("start_run", {"message": "echo hello"})
    assert status == 201
    events = follow(client, started["run_id"])
    assert [event["type"] for event in events] == ["started", "delta", "completed"]
    assert client.ask("get_run", run_id=started["run_id"])[1]["status"] == "completed"
    _, long = client.ask("start_run", {"message": "sleep 1000", "session_id": started["session_id"]})
    status, busy = client.ask("start_run", {"message": "true", "session_id": started["session_id"]})
    assert (status, busy["code"], busy["run_id"]) == (409, "session_busy", long["run_id"])
    assert (
        client.ask("session_runs", session_id=started["session_id"])[1]["runs"][0]["run_id"] == long["run_id"]
    )
    assert client.ask("cancel_run", {}, run_id=long["run_id"])[1]["accepted"]
    assert follow(client, long["run_id"])[-1]["type"] == "cancelled"
    _, again = client.ask("retry_run", {}, run_id=started["run_id"])
    assert follow(client, again["run_id"])[-1]["type"] == "completed"
    assert len(client.ask("list_runs")[1]["runs"]) == 3
    assert client.ask("get_session", session_id=started["session_id"])[1]["runs"] == 3
    assert client.ask("delete_session", session_id=started["session_id"])[1]["runs"] == 3


@pytest.mark.parametrize(
    ("operation", "body", "parameters", "status"),
    [
        ("get_run", None, {"run_id": "feed"}, 404),
        ("cancel_run", {}, {"run_id": "feed"}, 404),
        ("get_session", None, {"session_id": "feed"}, 404),
        ("start_run", {"message": "x", "workspace": "/no/such/place"}, {}, 400),
        ("start_run", {"message": "x", "session_id": "ses_feed"}, {}, 404),
        ("start_run", {"message": "x", "profile": "other"}, {}, 400),
        ("list_runs", None, {"limit": "0"}, 400),
        ("list_runs", None, {"status": "done"}, 400),
    ],
)
def test_refusals_are_as_described(
    client: FromTheDescription, operation: str, body: Any, parameters: dict[str, str], status: int
) -> None:
    assert client.ask(operation, body, **parameters)[0] == status


def test_every_control_is_answered_as_described(client: FromTheDescription) -> None:
    _, started = client.ask("start_run", {"message": "true"})
    run = {"run_id": started["run_id"]}
    follow(client, started["run_id"])
    session = {"session_id": started["session_id"]}
    for operation, body, where, status in (
        ("send_message", {"message": "x"}, run, "unsupported"),
        ("answer_clarification", {"answer": "x"}, {**run, "clarification_id": "c"}, "unsupported"),
        ("set_goal", {"goal": "x"}, session, "unsupported"),
        ("decide_approval", {"decision": "deny"}, run, "not-active"),
        ("cancel_run", {}, run, "not-active"),
    ):
        answered, answer = client.ask(operation, body, **where)
        assert (answered, answer["accepted"], answer["status"]) == (200, False, status)
