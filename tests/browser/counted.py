"""Something that counts until it is told to stop, so that a page shows what it missed or doubled."""

from __future__ import annotations

import re

from playwright.sync_api import Page

AWAY = r"net::ERR_(CONNECTION_\w+|EMPTY_RESPONSE|INCOMPLETE_CHUNKED_ENCODING|SOCKET_NOT_CONNECTED)"
"""What a browser notes while the dashboard is away."""


def counting(enough: str) -> str:
    """A shell that says `line 1`, `line 2` … until the file `enough` is in its directory, then `over`."""
    return f'i=0; while [ ! -e {enough} ]; do i=$((i+1)); echo "line $i"; sleep 0.05; done; echo over'


def lines(page: Page, pane: str = "#output") -> list[str]:
    """The counted lines in a pane of the page."""
    return re.findall(r"line \d+", page.locator(pane).inner_text())


def assert_whole(page: Page, pane: str = "#output") -> None:
    """The lines are there from the first, in order, none missing and none twice."""
    found = lines(page, pane)
    assert found
    assert found == [f"line {number}" for number in range(1, len(found) + 1)]
