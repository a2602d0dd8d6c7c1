"""The answers that every part of the interface gives: JSON, and problems."""

from __future__ import annotations

from starlette.responses import Response

from hermes_cli.serving.problems import problem


def json_response(body: bytes, status: int = 200) -> Response:
    """`body` is JSON already."""
    return Response(body, status, headers={"content-type": "application/json"})


def problem_response(code: str, detail: str, **more: str) -> Response:
    """The error `code`, which is one of `CODES`; `more` as in `Problem`."""
    status, body = problem(code, detail, **more)
    return Response(body, status, headers={"content-type": "application/problem+json"})
