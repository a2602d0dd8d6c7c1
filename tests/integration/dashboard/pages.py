"""What tests of a profile's pages do on them: find a form and send it, follow the page's stream."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

from tests.integration.dashboard.browser import Answer, Browser, Event, Events


class Forms(HTMLParser):
    """The forms of a page: where each goes, and the values of its fields."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self._open = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self.found.append((given.get("action") or "", {}))
            self._open = True
        elif given.get("type") == "checkbox" and "checked" not in given:
            return
        elif tag in ("input", "textarea", "select") and self._open and given.get("name"):
            self.found[-1][1][str(given["name"])] = given.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        self._open = self._open and tag != "form"


def fields_of(page: str, action: str) -> dict[str, str]:
    """The fields of the form whose address ends so."""
    found = [fields for address, fields in Forms(page).found if address.endswith(action)]
    assert found, f"there is no form {action}: {[address for address, _ in Forms(page).found]}"
    return found[0]


def send(browser: Browser, path: str, action: str, **fields: str) -> Answer:
    """Send the form of the page at `path` whose address ends in `action`."""
    page = browser.get(path).text
    address = next(address for address, _ in Forms(page).found if address.endswith(action))
    return browser.post(address, {**fields_of(page, action), **fields})


def stream_address(page: str) -> str:
    return html.unescape(re.findall(r'data-events="([^"]+)"', page)[0])


def follow(browser: Browser, path: str) -> Events:
    return browser.events(stream_address(browser.get(path).text))


def wait_for(events: Events, name: str, wanted: Callable[[Any], Any] = lambda _: True) -> Event:
    """The next event of this name whose data is wanted; others before it are passed over."""
    while True:
        event = events.next()
        assert event is not None, f"the stream ended before {name}"
        if event.name == name and wanted(event.data):
            return event


def visible(page: str) -> str:
    """The page's text, without its markup."""
    return html.unescape(re.sub(r"<[^>]+>", " ", page))
