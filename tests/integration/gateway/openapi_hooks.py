"""What schemathesis may not make up: commands, how long a request waits, and every id. The rest is random.

Loaded by schemathesis itself; test_openapi_fuzz.py starts that.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Sequence
from typing import Any, TypeVar

import requests
import schemathesis

READING = "(sleep 10; kill $$) & exec cat"
COMMANDS = (READING, "echo said; echo more", "exit 3", "sleep 0.2", "seq 1 2000", "kill -9 $$")
PROGRAMS = (["true"], ["echo", "said"], ["sleep", "0.2"], ["/nonexistent/program"])
MESSAGES = (*COMMANDS[1:], "rm -rf /nonexistent/directory")  # the last one waits to be allowed

LONGEST = 0.05
"""Seconds that a request may wait for something new."""

FOLLOWED = ("GET /v1/runs/{run_id}/events", "GET /v1/processes/{process_id}/output")
"""Answered as JSON, or as a stream."""

_ABOUT: dict[str, tuple[str, dict[str, Any], str]] = {
    "process_id": ("/v1/processes", {"command": READING, "pty": True}, "session_id"),
    "run_id": ("/v1/runs", {"message": "true"}, "run_id"),
    "session_id": ("/v1/runs", {"message": "true"}, "session_id"),
}
"""Placeholder of a path to what makes such a thing: path, body, and the field of the answer."""

T = TypeVar("T")

_latest: dict[str, str] = {}
"""Placeholder of a path to the id that was made last."""


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: Any, kwargs: dict[str, Any]) -> None:
    """Every request comes by here, of whatever phase and however it was changed on its way."""
    label = case.operation.label
    if isinstance(case.body, dict):
        case.body = _whole(case.body)
        if label == "POST /v1/processes":
            _bind_process(case.body)
        elif label == "POST /v1/runs":
            _bind_run(case.body)
    # What is wrong with a request is refused before it matters whom it is about.
    good = case.meta.generation.mode.is_positive
    for name, given in (case.path_parameters or {}).items():
        made_up = (given, case.query, case.body)
        if name in _ABOUT and good and case.method != "GET" and _one((True, True, False), made_up):
            _latest[name] = case.path_parameters[name] = _fresh(case, *_ABOUT[name])
        elif name in _latest:
            known = _latest[name]
            case.path_parameters[name] = _one((known, known.partition("_")[2], given), made_up)
    if good and "environment" in (case.query or {}):  # only this one is configured
        case.query["environment"] = _one(("local", "local", case.query["environment"]), case.query)
    for name in ("wait", "timeout"):
        value = (case.query or {}).get(name)
        if isinstance(value, (int, float)) and value > LONGEST:
            case.query[name] = LONGEST
    # Never where it left a header out: it would take that as given.
    if label in FOLLOWED and good and _one((True, False, False), case.query):
        case.headers = {**(case.headers or {}), "Accept": "text/event-stream"}


@schemathesis.hook
def after_call(context: schemathesis.HookContext, case: Any, response: Any) -> None:
    if response.status_code == 201:
        found = response.json()
        if case.operation.label == "POST /v1/processes":
            _latest["process_id"] = found["session_id"]
        else:
            _latest.update(run_id=found["run_id"], session_id=found["session_id"])


@schemathesis.deserializer("application/x-ndjson")
def lines(context: Any, response: Any) -> list[Any]:
    return [json.loads(line) for line in response.content.splitlines()]


def _fresh(case: Any, path: str, body: dict[str, Any], field: str) -> str:
    """The id of something that was made for this request; a run of it has ended."""
    address = case.operation.base_url.rstrip("/")
    with requests.Session() as client:
        client.headers["Authorization"] = f"Bearer {os.environ['TOKEN']}"
        answer = client.post(address + path, json=body, timeout=20.0)
        answer.raise_for_status()
        found = answer.json()
        page: dict[str, Any] = {"cursor": found.get("cursor"), "terminal_state": None}
        while "run_id" in found and page["terminal_state"] is None:
            events = f"{address}/v1/runs/{found['run_id']}/events"
            asked = {"cursor": page["cursor"], "wait": "10"}
            page = client.get(events, params=asked, timeout=20.0).json()
    return str(found[field])


def _bind_process(body: dict[str, Any]) -> None:
    if isinstance(body.get("command"), str):
        body["command"] = _one(COMMANDS, body["command"])
    if isinstance(body.get("argv"), list) and any(isinstance(word, str) for word in body["argv"]):
        body["argv"] = _one(PROGRAMS, body["argv"])
    # One in three as it was made up: nothing starts in a directory that is not there.
    for name, value in (("cwd", "/"), ("shell", "/bin/sh")):
        if isinstance(body.get(name), str):
            body[name] = _one((None, value, body[name]), body[name])


def _bind_run(body: dict[str, Any]) -> None:
    if isinstance(body.get("message"), str):
        body["message"] = _one(MESSAGES, body["message"])
    for name, value in (("workspace", "/"), ("profile", "default"), ("session_id", None)):
        if isinstance(body.get(name), str):
            body[name] = _one((None, value, body[name]), body[name])


def _one(choices: Sequence[T], made_up: object) -> T:
    """The same for the same, so that a failure is found again."""
    return choices[zlib.crc32(repr(made_up).encode("utf-8", "surrogatepass")) % len(choices)]


def _whole(value: Any) -> Any:
    """`2.0` is a whole number to JSON Schema; to Hermes, as to most programs, it is none."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole(part) for part in value]
    if isinstance(value, dict):
        return {name: _whole(part) for name, part in value.items()}
    return value
