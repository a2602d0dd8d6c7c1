"""Reading a form: what no form of ours sends is turned away before it costs anything."""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import Request

MAX_FORM = 8 * 1024
"""Bytes of a form; most of ours have a few hundred."""


async def read_form(request: Request, limit: int = MAX_FORM) -> dict[str, str]:
    """The fields, of those given twice the last; raises 400, 413 (more than `limit` bytes) or 415."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(415, "Only forms are taken here.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise HTTPException(413, "That is more than any form here has.", {"connection": "close"})
    try:
        fields = parse_qs(bytes(body).decode("ascii"), keep_blank_values=True, max_num_fields=16)
    except (UnicodeDecodeError, ValueError) as error:
        raise HTTPException(400, "That is no form.") from error
    return {name: values[-1] for name, values in fields.items()}
