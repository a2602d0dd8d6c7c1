"""A Chromium at a time for the tests here, on one worker; a page that did anything wrong fails its test."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest
from playwright.sync_api import Browser

from . import chromium
from .chromium import Visitor
from .looks import PICTURES

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("browser"))
            item.add_marker(pytest.mark.timeout(150))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    report: Any = yield
    if report.when == "call":
        item.stash[_FAILED] = report.failed
    return report


_FAILED = pytest.StashKey[bool]()


# Of the module, not of the session: while playwright is open, no other test here can have an event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium.executable()
    if path is None:
        pytest.skip("no Chromium is installed: scripts/ensure-browser installs Debian's")
    with chromium.launched(path) as browser:
        yield browser


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """For what a test opens itself. Named before `visit`, it outlives the pages, as their server must."""
    with ExitStack() as stack:
        yield stack


class Visit(Protocol):
    def __call__(self, origin: str, **options: Any) -> Visitor: ...


@pytest.fixture
def visit(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """Makes visitors of a dashboard; when the test is over, none may have seen anything go wrong."""
    visitors: list[Visitor] = []

    def make(origin: str, **options: Any) -> Visitor:
        visitors.append(chromium.visitor(browser, origin, **options))
        return visitors[-1]

    yield make
    try:
        if request.node.stash.get(_FAILED, False):
            _keep_pictures(request.node.name, visitors)
    finally:
        for visitor in visitors:
            visitor.context.close()
    for visitor in visitors:
        visitor.settled()


def _keep_pictures(name: str, visitors: list[Visitor]) -> None:
    """What the pages of a failed test look like."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    pages = [page for visitor in visitors for page in visitor.context.pages]
    for number, page in enumerate(pages):
        page.screenshot(path=PICTURES / f"FAILED-{name.replace('/', '-')}-{number}.png", full_page=True)
