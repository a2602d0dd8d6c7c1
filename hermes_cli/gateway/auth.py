"""Who may speak to the gateway over TCP: whoever knows the bearer token."""

from __future__ import annotations

import hmac
from collections.abc import Iterable

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
"""Answered to anybody: they say ok, starting or draining and nothing else, and probes carry no secrets."""


def refusal(token: str | None, headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, str] | None:
    """Code and detail of why these headers are refused, or None. `headers` have lower-case names."""
    if not token:
        return "token_not_configured", (
            "this gateway has no token, so it answers on its control socket only; "
            "set HERMES_GATEWAY_TOKEN in the profile's .env"
        )
    presented = [value for name, value in headers if name == b"authorization"]
    if not presented:
        return "token_missing", "send the profile's token as 'Authorization: Bearer TOKEN'"
    scheme, _, credentials = presented[0].partition(b" ")
    # Compared as bytes and in constant time, whatever the scheme: neither length nor prefix shows.
    equal = hmac.compare_digest(credentials.strip(), token.encode())
    if len(presented) > 1 or scheme.lower() != b"bearer" or not equal:
        return "token_wrong", "the token is not this gateway's"
    return None
