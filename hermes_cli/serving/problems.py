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
    "run_error": 400,
    "cursor_malformed": 400,
    "cursor_foreign": 400,
    "cursor_ahead": 400,
    "run_not_found": 404,
    "session_not_found": 404,
    "ambiguous": 409,
    "session_busy": 409,
    "run_active": 409,
    "idempotency_key_reused": 409,
    "cursor_expired": 410,
    "not_running": 409,
    "stdin_closed": 409,
    "environment_not_configured": 409,
    "bad_pattern": 422,
    "cannot_start": 422,
    "unsupported": 422,
    "limit": 429,
    "queue_full": 429,
    "internal_error": 500,
    "environment": 502,
    "unreachable": 502,
    "outbox": 503,
    "store_unusable": 503,
    "lease_held": 503,
    "lease_lost": 503,
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
    run_id: str | None = None
    """The run that is in the way, or has what is asked for."""
    cursor: str | None = None
    """Where to go on instead."""
    snapshot: str | None = None
    """What is left of events that were removed: the end of the run's text."""


def problem(
    code: str,
    detail: str,
    *,
    run_id: str | None = None,
    cursor: str | None = None,
    snapshot: str | None = None,
) -> tuple[int, bytes]:
    """Status and body of the error `code`; the rest as in `Problem`."""
    status = CODES[code]
    return status, msgspec.json.encode(
        Problem(
            title=HTTPStatus(status).phrase,
            status=status,
            code=code,
            detail=detail,
            run_id=run_id,
            cursor=cursor,
            snapshot=snapshot,
        )
    )
