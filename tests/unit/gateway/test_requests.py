"""Numbers and bodies of requests: what JSON would call one is one, and nothing else is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import Message

from hermes_cli.gateway.process_api import ResizeBody, StartBody
from hermes_cli.gateway.requests import LARGEST, MalformedRequestError, body, limit, seconds, whole


def request(query: str = "", sent: bytes = b"") -> Request:
    async def receive() -> Message:
        return {"type": "http.request", "body": sent}

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": query.encode()}
    return Request(scope, receive)


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("007", 7), (str(LARGEST), LARGEST), ("0" * 5000, 0)])
def test_a_whole_number_is_read(text: str, number: int) -> None:
    assert whole("cursor", text) == number


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "1.0", "1e3", " 1", "1_0", "१", str(LARGEST + 1), "9" * 5000]
)
def test_what_is_no_whole_number_is_named(text: str) -> None:
    with pytest.raises(MalformedRequestError, match="cursor"):
        whole("cursor", text)


@pytest.mark.parametrize(
    ("query", "many"),
    [("", 7), ("limit=1", 1), ("limit=50", 50), ("limit=51", 50), ("limit=" + "9" * 5000, 50)],
)
def test_a_limit_is_cut_to_the_most_there_are(query: str, many: int) -> None:
    assert limit(request(query), 7, 50) == many


@pytest.mark.parametrize("text", ["0", "000", "-1", "many", "1.5", ""])
def test_a_limit_that_asks_for_nothing_is_refused(text: str) -> None:
    with pytest.raises(MalformedRequestError, match="limit"):
        limit(request(f"limit={text}"), 7, 50)


@pytest.mark.parametrize(
    ("text", "found"), [("0", 0.0), ("1.5", 1.5), ("2e3", 2000.0), ("1e-3", 0.001), ("-0.0", 0.0)]
)
def test_seconds_are_numbers(text: str, found: float) -> None:
    assert seconds(request(f"wait={text}"), "wait") == found


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "1_000", "soon", "", "1e", "१"])
def test_what_are_no_seconds_are_refused(text: str) -> None:
    with pytest.raises(MalformedRequestError, match="wait"):
        seconds(request(f"wait={text}"), "wait")


@pytest.mark.parametrize(
    ("sent", "kind", "words"),
    [
        (b'{"command":"\xff"}', StartBody, "no JSON"),
        (b"{", StartBody, "no JSON"),
        (b"[" * 100_000, StartBody, "Expected `object`"),
        (b'{"comand":"true"}', StartBody, "comand"),
        (b'{"rows":2.0,"columns":2}', ResizeBody, "Expected `int`"),
        (b"", ResizeBody, "rows"),
    ],
)
def test_a_body_that_is_none_says_why(sent: bytes, kind: Any, words: str) -> None:
    with pytest.raises(MalformedRequestError, match=words):
        asyncio.run(body(request(sent=sent), kind))
