"""The machine's Chromium, and visitors in it that notice whatever a page does wrong."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)

NAMES = ("chromium", "chromium-browser", "google-chrome")

DEADLINE_MS = 30_000
"""Milliseconds that anything awaited in a page may take on a busy machine."""


def executable() -> str | None:
    """The path of an installed Chromium; None where there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@contextmanager
def launched(path: str) -> Iterator[Browser]:
    expect.set_options(timeout=DEADLINE_MS)
    with sync_playwright() as playwright:
        # Root has no sandbox to give up, and a container's /dev/shm is too small for it.
        arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visitor:
    """One browser profile, with cookies of its own, at one dashboard.

    `faults` holds every console error (a breach of the Content-Security-Policy is one), every error of a
    script, every failed request and every request to another host. `settled` fails on any that no
    `expects` has announced.
    """

    context: BrowserContext
    origin: str
    faults: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    _expected: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context.set_default_timeout(DEADLINE_MS)
        self.context.on("console", self._console)
        self.context.on("weberror", lambda error: self.faults.append(f"script: {error.error}"))
        self.context.on("request", self._request)
        self.context.on("requestfailed", self._failed)

    def open(self, path: str = "/", *, status: int = 200) -> Page:
        """A new page at `path` below the dashboard's address; it must answer with `status`."""
        page = self.context.new_page()
        if status >= 400:
            self.expects(rf"status of {status}")
        answer = page.goto(self.origin + path)
        assert answer is not None
        assert answer.status == status, (path, answer.status, page.content()[:2000])
        return page

    def expects(self, pattern: str) -> None:
        """Faults that match `pattern` are part of the test."""
        self._expected.append(pattern)

    def settled(self) -> None:
        """Fail if anything went wrong that nobody expected."""
        unexpected = [
            fault for fault in self.faults if not any(re.search(pattern, fault) for pattern in self._expected)
        ]
        assert not unexpected, unexpected

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    def _request(self, request: Request) -> None:
        self.requests.append(request.url)
        if not request.url.startswith(self.origin + "/"):
            self.faults.append(f"a request to another host: {urlsplit(request.url).netloc}")

    def _failed(self, request: Request) -> None:
        # Aborted: a page that is left ends its own streams.
        if request.failure and "ERR_ABORTED" not in request.failure:
            self.faults.append(f"failed: {request.method} {request.url}: {request.failure}")


def visitor(browser: Browser, origin: str, **options: Any) -> Visitor:
    """A new visitor; `options` are those of playwright's `new_context`."""
    options.setdefault("reduced_motion", "reduce")
    return Visitor(browser.new_context(**options), origin)
