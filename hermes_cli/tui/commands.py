"""The palette: every profile's pages and verbs, and what the keys do, found by typing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.types import IgnoreReturnCallbackType

from hermes_cli.faces.overview import Row
from hermes_cli.faces.verbs import Verb

from .app import HermesApp
from .here import hermes
from .profiles import ask_to_create, ask_to_delete
from .screens.profile import PAGES, ProfileScreen


class _Command(NamedTuple):
    title: str
    help: str
    do: IgnoreReturnCallbackType


class Commands(Provider):
    """All that can be done from anywhere."""

    async def discover(self) -> Hits:
        for command in self._commands():
            yield DiscoveryHit(command.title, command.do, help=command.help)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for command in self._commands():
            score = matcher.match(command.title)
            if score > 0:
                yield Hit(score, matcher.highlight(command.title), command.do, help=command.help)

    def _commands(self) -> Iterator[_Command]:
        app = hermes(self.screen)
        rows = app.latest.rows if app.latest is not None else []
        for row in rows:
            if row.profile is not None:
                yield from _of_gateway(app, row, row.profile)
        yield _Command("create a profile", "with a gateway of its own", partial(ask_to_create, app))
        yield _Command("theme", "light, dark, or the terminal's own colours", app.action_theme)
        yield _Command("help", "what the keys do", app.action_help)
        yield _Command("quit", "gateways, runs and processes go on", app.exit)


def _of_gateway(app: HermesApp, row: Row, profile: str) -> Iterator[_Command]:
    now = f"{row.mark} {row.actual}"
    for number, page in enumerate(PAGES):
        yield _Command(f"{row.name}: {page.title.lower()}", now, partial(_open, app, profile, number))
    verbs: dict[Verb, str] = {"start": "start", "stop": "stop", "restart": "restart"}
    if row.actual == "parked":
        verbs["start"] = "start (unpark)"
    for verb, words in verbs.items():
        yield _Command(f"{row.name}: {words}", now, partial(app.do_verb, verb, profile))
    yield _Command(
        f"{row.name}: delete", "the profile, after a question", partial(ask_to_delete, app, profile)
    )


def _open(app: HermesApp, profile: str, page: int) -> None:
    app.push_screen(ProfileScreen(app.installation, profile, page))
