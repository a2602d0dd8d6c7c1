"""Asking a profile's gateway for a page or for a form: off the event loop, and what fails in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from starlette.exceptions import HTTPException

from hermes_cli.faces.background import in_thread
from hermes_cli.faces.reach import FAILURES, OK, Reach, reach
from hermes_cli.gateway.client import GatewayAnswerError, GatewayClient
from hermes_cli.home import Home

T = TypeVar("T")

_STATUS = {"down": 503, "slow": 504, "other_version": 502}


async def looked(home: Home, work: Callable[[GatewayClient], T]) -> tuple[T | None, Reach]:
    """What a page shows: the answer, or None and why there is none.

    Raises `HTTPException` where the gateway answers that there is no such thing: then there is no such page.
    """

    def look() -> tuple[T | None, Reach]:
        try:
            return work(GatewayClient(home)), OK
        except FAILURES as error:
            found = reach(error, home)
            if found.state == "refused" and isinstance(error, GatewayAnswerError) and error.status < 500:
                raise HTTPException(error.status, found.sentence) from error
            return None, found

    return await in_thread(look)


async def ordered(home: Home, work: Callable[[GatewayClient], T]) -> T:
    """What a form asks for. Raises `HTTPException` with what to do where it was not done."""

    def order() -> T:
        try:
            return work(GatewayClient(home))
        except FAILURES as error:
            found = reach(error, home)
            refused = error.status if isinstance(error, GatewayAnswerError) else 502
            status = _STATUS.get(found.state, refused)
            raise HTTPException(status, f"{found.sentence} {found.next_step}".strip()) from error

    return await in_thread(order)
