"""Errors as application/problem+json (RFC 9457) with a stable `code`, one list for app and documentation."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import msgspec

MEDIA_TYPE = b"application/problem+json"

CODES: Mapping[str, int] = {
    "bad_request": 400,
    "token_missing": 401,
    "token_wrong": 401,
    "token_not_configured": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "body_too_large": 413,
    "header_too_large": 431,
    "process_error": 400,
    "bad_cursor": 400,
    "ambiguous": 409,
    "not_running": 409,
    "stdin_closed": 409,
    "bad_pattern": 422,
    "cannot_start": 422,
    "limit": 429,
    "internal_error": 500,
    "environment": 502,
    "unreachable": 502,
    "outbox": 503,
    "draining": 503,
    "overloaded": 503,
}
"""Every `code` and its status. A code never changes its meaning; new ones may come."""


class Problem(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The body of every error."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str = ""


def problem(code: str, detail: str) -> tuple[int, bytes]:
    """Status and body of the error `code`."""
    status = CODES[code]
    return status, msgspec.json.encode(
        Problem(title=HTTPStatus(status).phrase, status=status, code=code, detail=detail)
    )
