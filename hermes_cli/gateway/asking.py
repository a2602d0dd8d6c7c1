"""Requests as the clients of runs and processes make them: typed answers, ids that stay in their path."""

from __future__ import annotations

from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from .client import Answer, GatewayClient

ANSWERED_WITHIN = 30.0
"""Seconds for the answer to a request that changes something: starts and ends of processes are among them."""

AnswerT = TypeVar("AnswerT")


def get(
    gateway: GatewayClient, path: str, kind: type[AnswerT], *, timeout: float | None = None, **query: Any
) -> AnswerT:
    """The answer to GET `path`; parameters of the query that are None or "" are left out.

    Raises `GatewayUnreachableError` and `GatewayAnswerError`, as all here.
    """
    with gateway.open("GET", with_query(path, **query), timeout=timeout) as answer:
        return decoded(answer, kind)


def post(
    gateway: GatewayClient,
    path: str,
    body: object,
    kind: type[AnswerT],
    *,
    timeout: float = ANSWERED_WITHIN,
    **headers: str,
) -> AnswerT:
    """The answer to POST `path` with `body` as JSON. `headers`: `_` in a name is `-`."""
    data = msgspec.json.encode(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with gateway.open("POST", path, data, timeout=timeout, headers=named) as answer:
        return decoded(answer, kind)


def decoded(answer: Answer, kind: type[AnswerT]) -> AnswerT:
    answer.expect(200, 201)
    return msgspec.json.decode(answer.read(), type=kind)


def with_query(path: str, **query: Any) -> str:
    given = {name: value for name, value in query.items() if value not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path


def part(given: str) -> str:
    """What a user gave as an id, as one part of a path."""
    return quote(given, safe="") or "-"
